"""Each kind is ready when its own controller says so, and not before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vellum.kube.health import health

META = {"name": "x", "namespace": "y", "generation": 2}


def _obj(kind: str, status: dict[str, Any], **meta: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": META | meta, "spec": {}, "status": status}


def _ready(**more: Any) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": "True"}], **more}


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("ConfigMap", {}, (True, "")),
        ("Namespace", {"phase": "Active"}, (True, "")),
        ("Namespace", {"phase": "Terminating"}, (False, "Namespace y/x: phase Terminating")),
        ("Namespace", {}, (False, "Namespace y/x: not active yet")),
        ("StatefulSet", {"readyReplicas": 1, "observedGeneration": 2}, (True, "")),
        (
            "StatefulSet",
            {"readyReplicas": 1, "observedGeneration": 1},
            (False, "StatefulSet y/x: its controller has not processed generation 2 yet: its status is of 1"),
        ),
        ("StatefulSet", {"message": "exit 1"}, (False, "StatefulSet y/x: exit 1")),
        ("Notebook", {"readyReplicas": 1}, (True, "")),
        ("Notebook", {}, (False, "Notebook y/x: no ready replica")),
        ("InferenceService", _ready(), (True, "")),
        (
            "InferenceService",
            {"conditions": [{"type": "Ready", "status": "False", "message": "pulling"}]},
            (False, "InferenceService y/x: pulling"),
        ),
        ("InferenceService", {}, (False, "InferenceService y/x: no status yet")),
        ("Gateway", {"conditions": [{"type": "Programmed", "status": "True"}]}, (True, "")),
        ("Bucket", {"phase": "Ready", "observedGeneration": 2}, (True, "")),
        (
            "Bucket",
            {"phase": "Ready", "observedGeneration": 1},
            (False, "Bucket y/x: its controller has not processed generation 2 yet: its status is of 1"),
        ),
        ("Bucket", {"phase": "Failed", "message": "no store"}, (False, "Bucket y/x: no store")),
        ("Bucket", {}, (False, "Bucket y/x: no status yet")),
    ],
)
def test_readiness_follows_the_status(kind: str, status: dict[str, Any], expected: tuple[bool, str]) -> None:
    assert health(_obj(kind, status), "x") == expected


def test_what_does_not_exist_is_called_by_its_name() -> None:
    assert health(None, "Bucket x") == (False, "Bucket x is not created yet")


def test_what_is_being_deleted_is_not_ready() -> None:
    obj = _obj("ConfigMap", {}, deletionTimestamp="2026-01-01T00:00:00Z")
    assert health(obj, "x") == (False, "ConfigMap y/x is being deleted")


def test_a_culled_notebook_is_what_its_user_asked_for() -> None:
    assert health(_obj("Notebook", {}, annotations={"kubeflow-resource-stopped": "now"}), "x") == (True, "")


SMALL = st.integers(0, 3)
KINDS = st.sampled_from(
    ["StatefulSet", "Deployment", "Notebook", "Bucket", "S3Credentials", "InferenceService", "Release", "Namespace"]
)
CONDITION = st.fixed_dictionaries(
    {"type": st.sampled_from(["Ready", "Programmed"]), "status": st.sampled_from(["True", "False", "Unknown"])},
    optional={"reason": st.sampled_from(["", "Available"])},
)
STATUSES = st.fixed_dictionaries(
    {},
    optional={
        "readyReplicas": st.none() | SMALL,
        "observedGeneration": SMALL,
        "phase": st.sampled_from(["", "Ready", "Active", "Pending"]),
        "conditions": st.lists(CONDITION, max_size=2),
    },
)


@given(KINDS, STATUSES, SMALL)
def test_a_reason_to_wait_says_nothing_that_is_satisfied(kind: str, status: dict[str, Any], replicas: int) -> None:
    obj = {**_obj(kind, status), "spec": {"replicas": replicas}}
    ready, reason = health(obj, "x")
    text = reason.rpartition("y/x: ")[2]
    assert ready == (text == "")
    assert text not in {"phase Ready" if kind != "Namespace" else "phase Active", "Available", "True"} | {
        f"{count} of {wanted} replicas are ready" for wanted in range(4) for count in range(wanted, 4)
    }
    if "not processed" in text:
        assert status.get("observedGeneration", 0) != META["generation"]
