"""Check with kubectl what a team member may do, and what only a platform engineer may do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.bench.real import Bench, claim, until

from vellum.kube.objects import Obj, make
from vellum.package.protection import ALLOWS
from vellum.package.rights import TEAM_OWNER

NAMESPACE = "tenants"
EDITOR, OWNER = "editor@example.org", "owner@example.org"
LIGHT = {"pipelines": "disabled", "inference": "disabled"}


def bound(name: str, role: str, person: str) -> Obj:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person}
    return make("rbac.authorization.k8s.io/v1", "RoleBinding", name, NAMESPACE, roleRef=reference, subjects=[subject])


@pytest.fixture(scope="module")
def people(bench: Bench) -> Iterator[Bench]:
    """Make a namespace with an editor by Kubernetes' own role, and an owner by ours, who may have two claims."""
    quota = {"hard": {"count/mlopsplatforms.platform.vellum.dev": "2"}}
    bench.apply(
        make("v1", "Namespace", NAMESPACE),
        bound("editor", "edit", EDITOR),
        bound("owner", TEAM_OWNER, OWNER),
        make("v1", "ResourceQuota", "claims", NAMESPACE, spec=quota),
    )
    allowed = ("auth", "can-i", "create", "configmaps", f"--as={EDITOR}", "-n", NAMESPACE)
    until(lambda: bench.kubectl(*allowed, check=False).startswith("yes"), 20)
    quotas = ("get", "resourcequota", "claims", "-n", NAMESPACE, "-o", "jsonpath={.status.hard}")
    until(lambda: "mlops" in bench.kubectl(*quotas), 60)
    yield bench
    bench.kubectl("delete", "mlopsplatform", "--all", "-n", NAMESPACE, "--timeout=90s")
    bench.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def applied(bench: Bench, person: str, name: str, **spec: Any) -> str:
    """Return the output for a user who applies a claim."""
    written = claim(name, **LIGHT, **spec)
    written["metadata"]["namespace"] = NAMESPACE
    return bench.kubectl("apply", f"--as={person}", "-f", "-", given=json.dumps(written), check=False)


def test_an_editor_makes_no_claims_and_an_owner_those_of_the_quota(people: Bench) -> None:
    """Proves: an editor of a namespace cannot create claims; an owner can, up to the quota."""
    assert "forbidden" in applied(people, EDITOR, "large", size="large")
    seen = ("auth", "can-i", "list", "mlopsplatforms.platform.vellum.dev", f"--as={EDITOR}", "-n", NAMESPACE)
    assert people.kubectl(*seen, check=False).startswith("yes")

    assert "created" in applied(people, OWNER, "one")
    assert "created" in applied(people, OWNER, "two")
    assert "exceeded quota: claims" in applied(people, OWNER, "three")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("compositionUpdatePolicy", "Manual"),
        ("compositionRevisionRef", {"name": "mlopsplatform-0000000"}),
        ("compositionRevisionSelector", {"matchLabels": {"a": "b"}}),
        ("compositionRef", {"name": "another"}),
        ("compositionSelector", {"matchLabels": {"a": "b"}}),
        ("compositeDeletePolicy", "Background"),
        ("writeConnectionSecretToRef", {"name": "keys"}),
        ("resourceRef", {"apiVersion": "platform.vellum.dev/v1alpha1", "kind": "XMLOpsPlatform", "name": "other"}),
    ],
)
def test_crossplanes_own_fields_are_refused_to_a_tenant_whether_new_or_not(
    people: Bench, field: str, value: object
) -> None:
    """Proves: a tenant cannot set Crossplane's own fields of a claim."""
    item = ("mlopsplatform", "one", "-n", NAMESPACE)
    until(lambda: "resourceRef" in (people.get("mlopsplatform", "one", NAMESPACE) or {})["spec"], 30)
    expected = f"spec.{field} is Crossplane's own"
    people.kubectl("delete", "mlopsplatform", "two", "-n", NAMESPACE, "--ignore-not-found", "--timeout=60s")

    assert expected in applied(people, OWNER, "fresh", **{field: value})
    patch = json.dumps({"spec": {field: value}})
    assert expected in people.kubectl("patch", *item, f"--as={OWNER}", "--type=merge", "-p", patch, check=False)


def test_a_tenant_edits_the_claim_into_which_crossplane_wrote(people: Bench) -> None:
    item = ("patch", "mlopsplatform", "one", "-n", NAMESPACE, "--type=merge", "-p")
    people.kubectl(*item, '{"spec": {"owner": "ada@example.org"}}', f"--as={OWNER}")
    assert "configured" in applied(people, OWNER, "one", costCenter="4711")
    assert "Crossplane's own" in people.kubectl(*item, '{"spec": {"resourceRef": null}}', f"--as={OWNER}", check=False)

    people.kubectl(*item, '{"spec": {"compositionUpdatePolicy": "Manual"}}')
    people.kubectl(*item, '{"spec": {"compositionUpdatePolicy": "Automatic"}}', f"--as={OWNER}")


def test_the_composite_of_a_claim_is_not_deleted_by_hand(people: Bench) -> None:
    """Proves: the API server refuses to delete a claim's composite by hand."""
    claimed = people.get("mlopsplatform", "one", NAMESPACE) or {}
    composite = ("xmlopsplatform", claimed["spec"]["resourceRef"]["name"])

    output = people.kubectl("delete", *composite, "--wait=false", check=False)

    assert "delete the claim instead" in output
    assert people.kubectl("get", *composite, "-o", "jsonpath={.metadata.deletionTimestamp}") == ""
    people.kubectl("annotate", *composite, f"{ALLOWS}=yes")
    assert "dry run" in people.kubectl("delete", *composite, "--dry-run=server")
    people.kubectl("annotate", *composite, f"{ALLOWS}-")


def test_the_api_server_takes_no_patch_that_is_no_list(people: Bench) -> None:
    patch = json.dumps({"spec": {"charts": {"patches": {"argo-workflows": "this is not a patch"}}}})
    output = people.kubectl(
        "patch", "kubeflowplatform", "kubeflow", "--type=merge", "-p", patch, "--dry-run=server", check=False
    )
    assert "should match" in output
