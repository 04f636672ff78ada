"""What is deleted, edited or killed comes back, on the real Crossplane."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.bench.real import Bench, until
from tests.nightly import chosen

from vellum.model.team import STORAGE_NAMESPACE, VECTORS_NAMESPACE, Team


@pytest.fixture(scope="module")
def team(bench: Bench) -> Iterator[Team]:
    """Return a team with everything, which the tests of this module break and find whole again."""
    yield bench.claim("breaks", notebooks="enabled")
    bench.delete("breaks")


def where(team: Team, kind: str) -> tuple[str, str, str]:
    """Return kind, name and namespace of one of the team's objects."""
    names = {
        "statefulset": (team.qdrant, VECTORS_NAMESPACE),
        "bucket": (team.bucket, STORAGE_NAMESPACE),
        "notebook": ("notebook", team.namespace),
        "inferenceservice": ("search", team.namespace),
        "resourcequota": ("team", team.namespace),
        "networkpolicy": ("default-deny", team.namespace),
        "rolebinding": ("default-editor", team.namespace),
        "secret": ("vellum-binding", team.namespace),
        "configmap": ("kfp-launcher", team.namespace),
    }
    return (kind, *names[kind])


KINDS = (
    "statefulset",
    "notebook",
    "inferenceservice",
    "resourcequota",
    "networkpolicy",
    "rolebinding",
    "secret",
    "configmap",
)


def meaning(obj: dict[str, Any] | None) -> Any:
    """Return what of the object was composed."""
    return obj and {key: obj.get(key) for key in ("spec", "data", "rules", "subjects", "roleRef")}


@pytest.mark.parametrize("kind", chosen(KINDS, lambda kind: kind in {"statefulset", "notebook", "secret"}))
def test_a_composed_object_that_is_deleted_comes_back_as_it_was(bench: Bench, team: Team, kind: str) -> None:
    """Proves: a deleted object comes back as it was."""
    place = where(team, kind)
    before = bench.get(*place)
    assert before is not None
    bench.kubectl("delete", kind, place[1], "-n", place[2], "--wait=false")

    def back() -> bool:
        now = bench.get(*place)
        return (
            now is not None and now["metadata"]["uid"] != before["metadata"]["uid"] and meaning(now) == meaning(before)
        )

    until(back, 30, lambda: bench.kubectl("get", kind, "-A"))
    bench.ready("breaks")


EDITS = (
    ("statefulset", {"spec": {"replicas": 3}}),
    ("resourcequota", {"spec": {"hard": {"pods": "100000"}}}),
    ("networkpolicy", {"spec": {"podSelector": {"matchLabels": {"only": "me"}}}}),
    ("rolebinding", {"subjects": [{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}]}),
    ("secret", {"data": {"AWS_ACCESS_KEY_ID": "ZXZl"}}),
    ("configmap", {"data": {"defaultPipelineRoot": "s3://elsewhere"}}),
    ("inferenceservice", {"spec": {"predictor": {"minReplicas": 7}}}),
)


@pytest.mark.parametrize(
    ("kind", "patch"),
    chosen(EDITS, lambda case: case[0] in {"resourcequota", "inferenceservice"}),
    ids=[kind for kind, _ in EDITS],
)
def test_a_composed_field_that_is_edited_comes_back(bench: Bench, team: Team, kind: str, patch: dict[str, Any]) -> None:
    """Proves: an edited field comes back."""
    place = where(team, kind)
    before = bench.get(*place)
    bench.kubectl("patch", kind, place[1], "-n", place[2], "--type=merge", "-p", json.dumps(patch))
    until(
        lambda: meaning(bench.get(*place)) == meaning(before),
        10,
        lambda: f"{meaning(bench.get(*place))}\n{meaning(before)}",
    )


def test_a_field_that_somebody_else_adds_is_theirs_and_stays(bench: Bench, team: Team) -> None:
    """Proves: a field that others add stays."""
    place = where(team, "configmap")
    bench.kubectl("annotate", "configmap", place[1], "-n", place[2], "theirs=yes")
    bench.kubectl("delete", "secret", "vellum-binding", "-n", team.namespace)
    until(lambda: bench.get("secret", "vellum-binding", team.namespace), 30)
    assert (bench.get(*place) or {})["metadata"]["annotations"]["theirs"] == "yes"


def test_a_deleted_team_namespace_comes_back_with_its_content(bench: Bench, team: Team) -> None:
    """Proves: a deleted team namespace comes back with everything in it."""
    before = {kind: bench.get(*where(team, kind)) for kind in KINDS}
    old = (bench.get("namespace", team.namespace) or {})["metadata"]["uid"]
    bench.kubectl("delete", "namespace", team.namespace, "--wait=false")
    until(lambda: (bench.get("namespace", team.namespace) or {"metadata": {"uid": old}})["metadata"]["uid"] != old, 60)

    bench.ready("breaks", 60)

    after = {kind: bench.get(*where(team, kind)) for kind in KINDS}
    assert {kind: meaning(obj) for kind, obj in after.items()} == {kind: meaning(obj) for kind, obj in before.items()}


def process(bench: Bench, name: str) -> dict[str, Any]:
    result = json.loads(bench.vellum("status", "--output", "json", check=False).stdout)
    return next(item for item in result["processes"] if item["name"] == name)


def revisions(bench: Bench) -> dict[str, int]:
    """Return how often Helm has upgraded each release."""
    result = bench.list("releases.helm.crossplane.io")
    return {release["metadata"]["name"]: release["status"]["atProvider"]["revision"] for release in result}


@pytest.mark.parametrize(
    "name",
    chosen(
        ["function", "crossplane", "apiserver", "etcd", "controllers"],
        lambda name: name in {"function", "crossplane", "etcd"},
    ),
)
def test_a_killed_control_plane_process_comes_back_and_catches_up(bench: Bench, team: Team, name: str) -> None:
    """Proves: after a kill of the function, Crossplane, the API server or etcd, all pending requests are completed.

    The kill causes no Helm upgrade.
    """
    old, helm = process(bench, name), revisions(bench)
    bench.kubectl("patch", "mlopsplatform", "breaks", "--type=merge", "-p", '{"spec": {"owner": "before"}}')

    os.kill(old["pid"], signal.SIGKILL)

    patch = json.dumps({"spec": {"owner": f"after {name}"}})
    # The killed one may be the API server, and kubectl asks once.
    until(
        lambda: (
            "patched" in bench.kubectl("patch", "mlopsplatform", "breaks", "--type=merge", "-p", patch, check=False)
        ),
        30,
    )

    def owner() -> str:
        namespace = bench.get("namespace", team.namespace) or {"metadata": {"annotations": {}}}
        return str(namespace["metadata"]["annotations"].get("platform.vellum.dev/owner", ""))

    until(lambda: owner() == f"after {name}", 60, owner)
    bench.ready("breaks")
    assert process(bench, name)["restarts"] > old["restarts"]
    # The stand-ins saw these changes too, and restore what their objects lack.
    bench.kubectl("delete", "deployment", "search-predictor", "-n", team.namespace, "--ignore-not-found")
    until(lambda: bench.get("deployment", "search-predictor", team.namespace), 30)
    assert revisions(bench) == helm


def test_without_the_function_nothing_of_a_team_changes(bench: Bench, team: Team) -> None:
    """Proves: while the function does not answer, nothing of a team is changed or deleted.

    The claim asks for less meanwhile; no answer must never be taken for an empty one.
    """
    (composite,) = (item for item in bench.list("xmlopsplatform") if item["metadata"]["uid"] == team.claim_uid)
    before = composite["spec"]["resourceRefs"]
    # Stop the supervisor first, because it would restart a stopped function.
    supervisor = json.loads((bench.root / "supervisor.json").read_text())["pid"]
    pids = supervisor, process(bench, "function")["pid"]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        bench.kubectl("patch", "mlopsplatform", "breaks", "--type=merge", "-p", '{"spec": {"notebooks": "disabled"}}')
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            assert bench.get(*where(team, "notebook")) is not None
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)

    until(lambda: bench.get(*where(team, "notebook")) is None, 60)
    bench.ready("breaks")

    after = (bench.get("xmlopsplatform", composite["metadata"]["name"]) or {})["spec"]["resourceRefs"]
    gone = [ref["name"] for ref in before if ref not in after]
    assert sorted(gone) == ["notebook", "notebook-token"]
