"""Kubeflow Trainer, installed by the real provider-helm and kept, and the example's files taken by the real kinds."""

from __future__ import annotations

from tests.bench.real import ROOT, Bench, condition, until

from vellum.kube.objects import Obj

SYSTEM = "kubeflow-system"
CAN = ("create", "get", "list", "watch", "delete", "patch")


def receipts(bench: Bench) -> list[Obj]:
    platform = bench.get("kubeflowplatform", "kubeflow") or {}
    return [
        receipt
        for receipt in (platform.get("status") or {}).get("receipts", ())
        if receipt["object"] == f"Deployment {SYSTEM}/jobset-controller"
    ]


def test_the_examples_files_are_taken_in_a_team_that_may_train(bench: Bench) -> None:
    team = bench.claim("trains", training="enabled")
    bench.kubectl("apply", "-n", team.namespace, "-f", str(ROOT / "examples/training"))

    job = bench.get("trainjob", "documents", team.namespace)
    assert job is not None
    assert job["spec"]["managedBy"] == "trainer.kubeflow.org/trainjob-controller"
    assert job["spec"]["trainer"]["command"] == ["python", "-m", "vellum.workloads.classify"]
    until(
        lambda: condition(bench.get("inferenceservice", "documents", team.namespace), "Ready").get("status") == "True",
        60,
        lambda: bench.kubectl("describe", "inferenceservice", "documents", "-n", team.namespace),
    )
    (pod,) = bench.list("pods", "-n", team.namespace, "-l", "serving.kserve.io/inferenceservice=documents")
    (container,) = [item for item in pod["spec"]["containers"] if item["name"] == "kserve-container"]
    assert container["args"] == ["--http_port=8080", "--model_name=documents", "--model=models/documents.skops"]

    account = f"--as=system:serviceaccount:{team.namespace}:default-editor"
    rights = {
        place: [
            bench.kubectl(
                "auth", "can-i", verb, "trainjobs.trainer.kubeflow.org", "-n", place, account, check=False
            ).splitlines()[-1]
            for verb in CAN
        ]
        for place in (team.namespace, "default")
    }
    assert rights == {team.namespace: ["yes"] * len(CAN), "default": ["no"] * len(CAN)}
    bench.delete("trains")


def test_a_deleted_controller_of_the_trainers_chart_comes_back(bench: Bench) -> None:
    before = len(receipts(bench))
    old = bench.get("deployment", "jobset-controller", SYSTEM)
    assert old is not None
    bench.kubectl("delete", "deployment", "jobset-controller", "-n", SYSTEM)

    def back() -> bool:
        new = bench.get("deployment", "jobset-controller", SYSTEM)
        return new is not None and new["metadata"]["uid"] != old["metadata"]["uid"]

    until(back, 90)
    until(lambda: len(receipts(bench)) > before, 90)
