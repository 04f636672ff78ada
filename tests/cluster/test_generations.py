"""Every reader ignores conditions of an older generation."""

from __future__ import annotations

import pytest

from vellum.cli import targets, watching
from vellum.compose.entry import ALARMS
from vellum.kube.health import health
from vellum.kube.objects import Obj, current

REFUSED = "the platform has kubeflow-trainer, and its spec.training says disabled; write enabled"


def platform(generation: int, text: int | None, *, ready: str = "True", reason: str = "Available") -> Obj:
    """Return a platform as Crossplane stores it; each condition names a generation, or none does."""
    seen = {} if text is None else {"observedGeneration": text}
    words = {"message": REFUSED} if reason in ALARMS else {}
    conditions = [
        {"type": "Ready", "status": ready, **seen},
        {"type": "Synced", "status": ready, **seen},
        # Of a function's conditions Crossplane 2.3.4 names no generation.
        {"type": "PartsReady", "status": ready, "reason": reason, **words},
    ]
    return {
        "apiVersion": "platform.vellum.dev/v1alpha1",
        "kind": "KubeflowPlatform",
        "metadata": {"name": "kubeflow", "generation": generation},
        "status": {"conditions": conditions, "components": [{"name": "kserve", "ready": True}]},
    }


def test_a_refusal_of_the_spec_before_does_not_end_an_installation() -> None:
    """The object is at generation 20; Crossplane last looked at generation 19 and refused it."""
    old, now = (platform(20, seen, ready="False", reason="ProfileChanged") for seen in (19, 20))
    assert watching.stuck(old) == ""
    assert watching.stuck(now) == REFUSED
    assert next(iter(watching._looks(lambda: [now], 0)))[1] == [now]


@pytest.mark.parametrize("seen", [19, None])
def test_a_readiness_of_the_spec_before_is_not_believed(seen: int | None) -> None:
    old = platform(20, seen)
    assert not watching.is_ready(old)
    assert [row.ready for row in watching.rows([old])] == [False]
    assert targets.stopped(old) == "generation 20 is not composed yet"


def test_what_is_said_of_the_spec_as_it_is_counts() -> None:
    new = platform(20, 20)
    assert watching.is_ready(new)
    assert [row.ready for row in watching.rows([new])] == [True]
    assert targets.stopped(new) == ""


@pytest.mark.parametrize("where", ["condition", "status", "nowhere"])
@pytest.mark.parametrize(
    ("kind", "type_"), [("Gateway", "Programmed"), ("Release", "Ready"), ("InferenceService", "Ready")]
)
def test_a_controller_may_name_the_generation_once_or_not_at_all(kind: str, type_: str, where: str) -> None:
    """Some controllers name it for the whole status, others in each condition.

    KServe writes it only when something else of the status changes, so an InferenceService does not wait for it.
    """
    entry: Obj = {"type": type_, "status": "True"}
    status: Obj = {"conditions": [entry]}
    if where != "nowhere":
        (entry if where == "condition" else status)["observedGeneration"] = 1
    obj: Obj = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "search", "generation": 1}}
    obj["status"] = status
    assert current(obj, type_) == entry
    assert health(obj, "search") == (True, "")
    obj["metadata"]["generation"] = 2
    assert health(obj, "search")[0] is (kind == "InferenceService" or where == "nowhere")
