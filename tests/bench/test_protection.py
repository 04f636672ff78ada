"""Objects in use are not deleted: the API server keeps the data, Crossplane keeps the order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.bench.real import Bench, until

from vellum.kube.objects import Obj
from vellum.model.release import SYSTEM
from vellum.model.team import STORAGE_NAMESPACE, VECTORS_NAMESPACE
from vellum.package.protection import ALLOWS

PLATFORM = ("kubeflowplatform", "kubeflow")


def refused(bench: Bench, *what: str) -> str:
    """Try to delete it; return the refusal, after a check that nothing was deleted."""
    output = bench.kubectl("delete", *what, "--wait=false", check=False)
    result = bench.kubectl("get", *what, "-o", "jsonpath={.metadata.deletionTimestamp}")
    assert (result, "in-use" in output or "denied" in output) == ("", True), output
    return output


@pytest.fixture
def allowed(bench: Bench) -> Iterator[None]:
    """Say that all data may go."""
    bench.kubectl("annotate", *PLATFORM, f"{ALLOWS}=yes")
    yield
    bench.kubectl("annotate", *PLATFORM, f"{ALLOWS}-")


def test_the_platform_is_not_deleted_while_teams_use_it(bench: Bench) -> None:
    """Proves: the API server refuses to delete the platform until an annotation allows it."""
    assert "it would delete the data of every team" in refused(bench, *PLATFORM)
    assert bench.get("namespace", VECTORS_NAMESPACE) is not None


def test_while_a_claim_lives_the_platform_is_refused_by_the_claims_name(bench: Bench, allowed: None) -> None:
    """Proves: Crossplane refuses to delete the platform while a claim exists, and names the claim."""
    team = bench.claim("stands", pipelines="disabled", inference="disabled")
    why = {item["metadata"]["name"]: item["spec"].get("reason", "") for item in bench.list("clusterusages")}
    assert why[f"claim-{team.id}"] == "claim default/stands uses it"
    # Other tests' claims may use it too, and only one is named.
    text = refused(bench, *PLATFORM)
    assert any(f'"{name}" with reason: "{words}"' in text for name, words in why.items())

    bench.delete("stands")

    until(lambda: bench.get("clusterusage", f"claim-{team.id}") is None, 5)


def test_retain_is_refused_while_the_data_still_says_delete(bench: Bench) -> None:
    team = bench.claim("worried", deletionPolicy="Delete", pipelines="disabled", inference="disabled")
    # Crossplane does not compose it meanwhile, as with any error.
    composite = (
        "xmlopsplatform",
        (bench.get("mlopsplatform", "worried", "default") or {})["spec"]["resourceRef"]["name"],
    )
    bench.kubectl("annotate", *composite, "crossplane.io/paused=true")
    bench.claim("worried", wait=0, deletionPolicy="Retain", pipelines="disabled", inference="disabled")
    assert "they still carry Delete" in refused(bench, "mlopsplatform", "worried")

    bench.kubectl("annotate", *composite, "crossplane.io/paused-")
    until(lambda: status(bench, "worried").get("deletionPolicy") == "Retain", 60, lambda: str(status(bench, "worried")))
    bench.delete("worried")
    assert bench.get("bucket", team.bucket, STORAGE_NAMESPACE) is None
    bench.claim("worried", deletionPolicy="Delete", pipelines="disabled", inference="disabled")
    bench.delete("worried")


def status(bench: Bench, claim: str) -> Obj:
    return dict((bench.get("mlopsplatform", claim, "default") or {}).get("status") or {})


@pytest.mark.parametrize(
    ("what", "by"),
    [
        (("seaweed", "store", "-n", STORAGE_NAMESPACE), "Bucket/"),
        (("releases.helm.crossplane.io", "seaweedfs-operator"), "Seaweed/store"),
        (("namespace", STORAGE_NAMESPACE), "Release/seaweedfs-operator"),
        (("namespace", "istio-system"), "Release/istio"),
    ],
)
def test_what_other_objects_need_to_go_does_not_go_before_them(bench: Bench, what: tuple[str, ...], by: str) -> None:
    assert f"by resource {by}" in refused(bench, *what)


def test_the_helm_provider_has_no_rights_on_team_objects(bench: Bench) -> None:
    """Secrets it may read: Crossplane's own rbac-manager gives every provider those of all namespaces."""
    account = f"--as=system:serviceaccount:{SYSTEM}:provider-helm"

    def may(verb: str, resource: str) -> bool:
        output = bench.kubectl("auth", "can-i", verb, *resource.split(), account, "-n", "default", check=False)
        answer = output.splitlines()[0]
        assert answer in ("yes", "no"), output
        return answer == "yes"

    asked = {
        "create": (
            "deployments.apps",
            "clusterroles.rbac.authorization.k8s.io",
            "pods",
            "pods --subresource=exec",
            "namespaces",
        ),
        "delete": (
            "services",
            "namespaces",
            "pods",
            "notebooks.kubeflow.org",
            "mlopsplatforms.platform.vellum.dev",
            "inferenceservices.serving.kserve.io",
            "buckets.seaweed.seaweedfs.com",
            "nodes",
        ),
        "get": ("secrets", "notebooks.kubeflow.org", "pods --subresource=log"),
        "impersonate": ("users",),
        "escalate": ("clusterroles.rbac.authorization.k8s.io",),
    }
    allowed = {(verb, resource) for verb, each in asked.items() for resource in each if may(verb, resource)}
    assert allowed == {
        ("create", "deployments.apps"),
        ("create", "clusterroles.rbac.authorization.k8s.io"),
        ("delete", "services"),
        ("get", "secrets"),
        ("escalate", "clusterroles.rbac.authorization.k8s.io"),
    }
