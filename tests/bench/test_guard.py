"""Crossplane installs Kubeflow by Helm, in its order, and the guard repairs a fault of each kind.

``tests/compose/test_releases.py`` proves the other faults on a simulated Helm.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bench.real import Bench, condition, until

from vellum.cluster.api import Api
from vellum.compose.helm.desired import ROLLBACKS
from vellum.kube.objects import Kind, Obj

KSERVE = ("deployment", "kserve-controller-manager", "kserve")
RELEASES = "releases.helm.crossplane.io"
OPERATOR = ("deployment", "seaweedfs-operator", "vellum-storage")
NOTEBOOKS = ("deployment", "notebook-controller-deployment", "kubeflow")
SOON = 45
"""Seconds within which a deleted or edited workload of a chart is back."""


def platform(bench: Bench) -> Obj:
    result = bench.get("kubeflowplatform", "kubeflow")
    assert result is not None
    return result


def part(bench: Bench, name: str) -> Obj:
    return next(component for component in platform(bench)["status"]["components"] if component["name"] == name)


def revision(bench: Bench, release: str) -> int:
    result = bench.get(RELEASES, release)
    assert result is not None
    return int(result["status"]["atProvider"]["revision"])


def explained(bench: Bench) -> str:
    return json.dumps(platform(bench)["status"], indent=1)


def whole(bench: Bench, release: str, seconds: float = 60) -> None:
    """Wait until the guard has no work left."""

    def at_rest() -> bool:
        text = (platform(bench)["status"].get("guard") or {}).get(release) or {}
        return bool(part(bench, release)["ready"]) and not (text.get("last") or {}).get("open")

    until(at_rest, seconds, lambda: explained(bench))


@pytest.fixture(autouse=True)
def _in_the_end_everything_is_ready(bench: Bench) -> Iterator[None]:
    yield
    until(lambda: condition(platform(bench), "Ready").get("status") == "True", 90, lambda: explained(bench))


def test_the_provider_comes_before_istio_and_istio_before_the_rest(bench: Bench) -> None:
    """Proves: Crossplane makes provider-helm Healthy first, then istio-base, istiod and the other parts."""
    provider = bench.get("provider.pkg.crossplane.io", "provider-helm")
    healthy = condition(provider, "Healthy")
    assert healthy["status"] == "True"
    made = {item["metadata"]["name"]: item["metadata"]["creationTimestamp"] for item in bench.list(RELEASES)}
    assert healthy["lastTransitionTime"] <= made["istio-base"] <= made["istiod"]
    others = set(made) - {"istio-base", "istiod"}
    assert all(made["istiod"] <= made[name] for name in others)
    assert others == {
        "argo-workflows",
        "cert-manager",
        "istio-cni",
        "istio-ingressgateway",
        "kserve",
        "kserve-crd",
        "kserve-runtimes",
        "kubeflow-pipelines",
        "kubeflow-trainer",
        "notebook-controller",
        "seaweedfs-operator",
    }


def test_every_release_is_one_revision_of_a_chart_from_the_registry(bench: Bench) -> None:
    for item in bench.list(RELEASES):
        chart = item["spec"]["forProvider"]["chart"]
        assert chart["repository"].startswith("oci://127.0.0.1:")
        assert item["status"]["atProvider"]["state"] == "deployed"


def test_the_pods_of_pipelines_need_their_secret_to_start(bench: Bench) -> None:
    """Proves: Pipelines' Secret exists before Pipelines, whose pods cannot start without it."""
    secret = bench.get("secret", "mlpipeline-minio-artifact", "kubeflow")
    release = bench.get(RELEASES, "kubeflow-pipelines")
    assert secret is not None
    assert release is not None
    assert secret["metadata"]["creationTimestamp"] <= release["metadata"]["creationTimestamp"]
    for name in ("ml-pipeline", "ml-pipeline-ui"):
        deployment = bench.get("deployment", name, "kubeflow")
        assert deployment is not None
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        references = [item["valueFrom"]["secretKeyRef"] for item in container["env"] if "secretKeyRef" in str(item)]
        assert "mlpipeline-minio-artifact" in {reference["name"] for reference in references}
        assert not any(reference.get("optional") for reference in references)


def deleted(bench: Bench, *where: str) -> None:
    bench.kubectl("delete", where[0], where[1], "-n", where[2], "--wait=false")


def test_a_deleted_workload_is_back_within_seconds_by_one_upgrade(bench: Bench) -> None:
    """Proves: a deleted workload of a chart is back in seconds, by exactly one Helm upgrade."""
    before, was = bench.get(*KSERVE), revision(bench, "kserve")
    assert before is not None
    deleted(bench, *KSERVE)

    def back() -> bool:
        now = bench.get(*KSERVE)
        if now is None or "deletionTimestamp" in now["metadata"]:
            return False
        return bool(now["spec"] == before["spec"] and now["metadata"]["uid"] != before["metadata"]["uid"])

    until(back, SOON, lambda: explained(bench))
    whole(bench, "kserve")
    assert revision(bench, "kserve") == was + 1
    receipt = platform(bench)["status"]["receipts"][0]
    assert (receipt["component"], receipt["object"]) == ("kserve", f"Deployment {KSERVE[2]}/{KSERVE[1]}")
    assert receipt["seconds"] < SOON


def test_every_workload_and_service_of_every_chart_is_watched(bench: Bench) -> None:
    text = platform(bench)["status"]["components"]
    watched = {item["name"]: item.get("watched", 0) for item in text if "version" in item}
    assert {name for name, count in watched.items() if not count} == {"kserve-crd"}
    for namespace, release in (("kserve", "kserve"), ("kubeflow", "kubeflow-pipelines"), ("istio-system", "istiod")):
        made = [
            obj
            for kind in ("deployment", "service", "configmap", "serviceaccount")
            for obj in bench.list(kind, "-n", namespace, "-l", "app.kubernetes.io/managed-by=Helm")
            if obj["metadata"]["annotations"]["meta.helm.sh/release-name"] == release
        ]
        assert watched[release] >= len(made) > 1


def test_an_edited_custom_resource_of_a_chart_is_back_by_two_upgrades(bench: Bench) -> None:
    """Proves: an edited custom resource of a chart is back by two upgrades."""
    place, was = ("clusterservingruntime", "kserve-sklearnserver", ""), revision(bench, "kserve-runtimes")
    before = bench.get(*place)
    assert before is not None
    patch = [{"op": "replace", "path": "/spec/containers/0/image", "value": "evil:1"}]
    bench.kubectl("patch", place[0], place[1], "--type=json", "-p", json.dumps(patch))
    until(lambda: (bench.get(*place) or {})["spec"] == before["spec"], SOON, lambda: explained(bench))
    whole(bench, "kserve-runtimes")
    assert revision(bench, "kserve-runtimes") == was + 2


def process(bench: Bench, name: str) -> int:
    result = json.loads(bench.vellum("status", "--output", "json", check=False).stdout)
    return next(int(item["pid"]) for item in result["processes"] if item["name"] == name)


def test_a_provider_killed_during_an_upgrade_leaves_nothing_broken(bench: Bench) -> None:
    """Proves: a provider-helm killed during an upgrade breaks nothing."""
    before, others = bench.get(*OPERATOR), bench.get(*KSERVE)
    assert before is not None
    assert others is not None
    # An upgrade takes about a second, so nothing may be started in it: neither kubectl nor vellum.
    pid, api = process(bench, "provider-helm"), Api(Path(bench.kubeconfig))
    upgrading = {"owner": "helm", "name": "kserve", "status": "pending-upgrade"}
    deleted(bench, *KSERVE)
    until(lambda: api.list(Kind("v1", "Secret"), labels=upgrading)[0], 30, lambda: explained(bench))
    os.kill(pid, signal.SIGKILL)
    whole(bench, "kserve", 90)
    assert bench.get(*KSERVE) is not None
    assert (bench.get(*OPERATOR) or {})["metadata"]["uid"] == before["metadata"]["uid"]


def refused(name: str) -> Obj:
    """Return an admission policy and its binding that forbid creating that Deployment."""
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "not-now"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": f"object.metadata.name != '{name}'", "message": "not while we move"}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "not-now"},
        "spec": {"policyName": "not-now", "validationActions": ["Deny"]},
    }
    return {"apiVersion": "v1", "kind": "List", "items": [policy, binding]}


@pytest.mark.nightly
def test_a_refused_repair_is_reverted_reported_and_done_later(bench: Bench) -> None:
    """Proves: a refused repair is rolled back and reported, and done as soon as it is allowed.

    provider-helm alone would upgrade without end: about a revision in two seconds.
    """
    release, where = "argo-workflows", ("deployment", "argo-workflows-workflow-controller", "kubeflow")
    was = revision(bench, release)
    policy = json.dumps(refused(where[1]))
    bench.kubectl("apply", "-f", "-", given=policy)
    try:
        time.sleep(2)
        deleted(bench, *where)
        until(lambda: "not while we move" in str(part(bench, release).get("reason")), 60, lambda: explained(bench))
        # Every try is one upgrade, and provider-helm's rollbacks of it, which are refused as well.
        time.sleep(30)
        assert was < revision(bench, release) <= was + 2 * (1 + ROLLBACKS)
    finally:
        bench.kubectl("delete", "-f", "-", given=policy)
    until(lambda: bench.get(*where), 150, lambda: explained(bench))
    whole(bench, release)


@pytest.mark.nightly
def test_somebody_who_undoes_every_repair_is_named_and_not_fought_for_ever(bench: Bench) -> None:
    """Proves: the guard names who undoes every repair, and stops repairing."""
    release, where = "notebook-controller", NOTEBOOKS
    was = revision(bench, release)

    def undone() -> bool:
        result = bench.get(*where)
        if result and result["spec"]["replicas"]:
            bench.kubectl("scale", *where[:2], "-n", where[2], "--replicas=0")
        return "Contended" in str(part(bench, release).get("reason"))

    until(undone, 240, lambda: explained(bench))
    assert part(bench, release)["actor"] == "the platform engineer"
    assert revision(bench, release) == was + 3
    time.sleep(30)
    assert revision(bench, release) == was + 3
    bench.kubectl("scale", *where[:2], "-n", where[2], "--replicas=1")
    whole(bench, release)


def test_verify_repair_breaks_a_release_and_shows_every_receipt(bench: Bench) -> None:
    argv = [
        sys.executable,
        "-m",
        "vellum.cli",
        "verify",
        "repair",
        "--yes",
        "--kubeconfig",
        bench.kubeconfig,
        "--release",
        "notebook-controller",
    ]
    done = subprocess.run([*argv, "--output", "json"], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["repairs"]
    assert [(row["object"], row["done"]) for row in rows][:3] == [
        ("Deployment kubeflow/notebook-controller-deployment", what)
        for what in ("deleted", "scaled to 0", "given another image")
    ]
    receipts = [row["receipt"] for row in rows]
    assert {receipt["component"] for receipt in receipts} == {"notebook-controller"}
    assert [receipt for receipt in receipts if receipt not in platform(bench)["status"]["receipts"]] == []
