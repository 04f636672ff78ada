"""One part's operator fails: the others are composed and repaired, and the claims say what they wait for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tests.bench.real import Bench, condition, until
from tests.bench.test_guard import KSERVE, RELEASES, explained, part, platform

from vellum.kube.objects import Obj

JOB_SET = "jobsets.jobset.x-k8s.io"
CRD = "inferenceservices.serving.kserve.io"
DOWN: Obj = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "down"},
    "webhooks": [
        {
            "name": "down.example.org",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "timeoutSeconds": 1,
            "clientConfig": {"url": "https://127.0.0.1:1/validate"},
            "rules": [
                {
                    "apiGroups": ["trainer.kubeflow.org"],
                    "apiVersions": ["*"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["clustertrainingruntimes"],
                }
            ],
        }
    ],
}


def test_a_webhook_that_is_down_keeps_no_other_part_from_repair(bench: Bench) -> None:
    before = bench.get("clustertrainingruntime", "vellum")
    assert before is not None
    bench.apply(DOWN)
    try:
        bench.kubectl("annotate", "kubeflowplatform", "kubeflow", "look=now", "--overwrite")
        until(lambda: "failed calling webhook" in str(part(bench, "training-runtimes")), 30, lambda: explained(bench))
        bench.kubectl("delete", *KSERVE[:2], "-n", KSERVE[2], "--wait=false")
        until(lambda: bench.get(*KSERVE), 45, lambda: explained(bench))
    finally:
        bench.kubectl("delete", "validatingwebhookconfiguration", "down")
    until(lambda: condition(platform(bench), "Ready").get("status") == "True", 120, lambda: explained(bench))
    after = bench.get("clustertrainingruntime", "vellum")
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert bench.get("clusterusage", "vellum") is None


def test_a_deleted_crd_is_back_and_the_claim_says_that_it_was_gone(bench: Bench) -> None:
    bench.claim("gone", wait=120)
    try:
        bench.kubectl("delete", "crd", CRD, "--wait=false")
        until(lambda: "kind InferenceService" in bench.waits_for("gone"), 60, lambda: explained(bench))
        assert condition(bench.get("mlopsplatform", "gone", "default"), "Ready")["status"] == "False"
        until(
            lambda: (
                "deletionTimestamp"
                not in (bench.get("crd", CRD) or {"metadata": {"deletionTimestamp": ""}})["metadata"]
            ),
            90,
            lambda: explained(bench),
        )
        bench.ready("gone", 120)
    finally:
        bench.delete("gone")


@pytest.mark.nightly
def test_a_deleted_crd_that_helm_makes_only_when_it_installs_is_back(bench: Bench) -> None:
    before = bench.get(RELEASES, "kubeflow-trainer")
    assert before is not None
    bench.kubectl("delete", "crd", JOB_SET)
    until(lambda: bench.get("crd", JOB_SET), 60, lambda: explained(bench))
    until(lambda: bench.get(RELEASES, "kubeflow-trainer-crds") is None, 60, lambda: explained(bench))
    until(lambda: part(bench, "kubeflow-trainer")["ready"], 60, lambda: explained(bench))
    after = bench.get(RELEASES, "kubeflow-trainer")
    assert after is not None
    assert (after["metadata"]["uid"], after["status"]["atProvider"]["revision"]) == (
        before["metadata"]["uid"],
        before["status"]["atProvider"]["revision"],
    )
    left = bench.list("secrets", "-n", "kubeflow-system", "-l", "owner=helm,name=kubeflow-trainer-crds")
    assert left == []


@pytest.mark.nightly
def test_a_later_crd_of_a_user_is_not_uninstalled(bench: Bench) -> None:
    """The status keeps the uid of the CRD that the chart brought; a CRD that a user makes later has another uid."""

    def plan() -> tuple[bool, bool]:
        argv = [
            sys.executable,
            "-m",
            "vellum.cli",
            "uninstall",
            "--with-claims",
            "--dry-run",
            "--output",
            "json",
            "--kubeconfig",
            bench.kubeconfig,
        ]
        planned = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
        going = [obj["name"] for stage in planned["stages"] for obj in stage["objects"]]
        return JOB_SET in going, JOB_SET in [item["name"] for item in planned["stays"]]

    spec = platform(bench)["spec"]
    assert plan() == (True, False)
    repairs(bench, "disabled")
    try:
        bench.kubectl("delete", "crd", JOB_SET)
        bench.apply(theirs())
        until(lambda: plan() == (False, True), 30, lambda: str(plan()))
    finally:
        repairs(bench, "enabled")
        bench.kubectl("delete", "crd", JOB_SET)
    assert platform(bench)["spec"] == spec
    until(lambda: part(bench, "kubeflow-trainer")["ready"], 90, lambda: explained(bench))
    until(lambda: plan() == (True, False), 30, lambda: str(plan()))


def repairs(bench: Bench, switch: str) -> None:
    patch = json.dumps({"spec": {"repair": switch}})
    bench.kubectl("patch", "kubeflowplatform", "kubeflow", "--type=merge", "-p", patch)


def theirs() -> Obj:
    """Return a user's own CRD of the same name."""
    names = {"kind": "JobSet", "listKind": "JobSetList", "plural": "jobsets", "singular": "jobset"}
    schema = {"openAPIV3Schema": {"type": "object"}}
    versions = [{"name": "v1alpha2", "served": True, "storage": True, "schema": schema}]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": JOB_SET},
        "spec": {"group": "jobset.x-k8s.io", "names": names, "scope": "Namespaced", "versions": versions},
    }
