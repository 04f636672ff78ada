"""Training is left out of a platform until a user asks for it, and stays once it is there."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.compose.world import HEAD, PLATFORMS, World, settled_platform, written

from vellum.kube.objects import Obj
from vellum.kube.patch import copied

CLAIM = HEAD + "kind: MLOpsPlatform\nmetadata: {name: research, namespace: team-a}\nspec: {training: enabled}\n"
LEFT_OUT = "the platform leaves it out; write spec.training: enabled in KubeflowPlatform kubeflow"
PARTS = {"kubeflow-trainer", "training-runtimes"}


def without(profile: str) -> str:
    """Return a platform without training."""
    documents = yaml.safe_load(PLATFORMS[profile])
    del documents["spec"]["training"]
    return yaml.safe_dump(documents)


def parts(status: Obj) -> dict[str, Any]:
    return {part["name"]: part for part in status["components"]}


@pytest.mark.parametrize("profile", ["light", "standard"])
def test_a_platform_has_no_trainer_unless_it_is_asked_for_one(profile: str) -> None:
    bare, full = (World(written(text)).settle() for text in (without(profile), PLATFORMS[profile]))
    assert (bare.ready, full.ready) == (True, True)
    assert parts(full.status).keys() - parts(bare.status).keys() == PARTS
    assert not [name for name in bare.objects if "training" in name or "trainer" in name]


def test_a_team_without_training_is_told_who_can_help() -> None:
    """A team that asks for training is told who can enable it, and gets all other parts."""
    world = World(written(CLAIM), settled_platform(without("light")))
    composed = world.settle()
    waiting = {name: part for name, part in parts(composed.status).items() if not part["ready"]}
    assert waiting == {
        "training": {
            "name": "training",
            "ready": False,
            "actor": "the platform",
            "reason": f"waits for the platform's training-runtimes: {LEFT_OUT}",
        }
    }
    assert "training-role" not in composed.objects


def test_a_team_waits_for_the_trainer_while_it_is_installed() -> None:
    platform = settled_platform(PLATFORMS["light"])
    status = copied(platform["status"])
    parts(status)["training-runtimes"].update(ready=False, reason="waits for kubeflow-trainer: it starts")
    composed = World(written(CLAIM), {**platform, "status": status}).settle()
    assert parts(composed.status)["training"]["reason"] == (
        "waits for the platform's training-runtimes: waits for kubeflow-trainer: it starts"
    )


def test_a_trainer_that_is_there_is_not_taken_away_from_those_who_use_it() -> None:
    world = World(written(PLATFORMS["light"]))
    world.settle()
    before = set(world.resources)
    world.composite["spec"]["training"] = "disabled"
    composed = world.step()
    message = (
        "the platform has kubeflow-trainer, but its spec.training is disabled, which would remove it; write enabled"
    )
    assert (composed.fatal, composed.conditions[0].reason) == (message, "ProfileChanged")
    assert set(world.resources) == before


def test_a_trainer_that_never_began_can_be_left_out_again() -> None:
    world = World(written(PLATFORMS["light"]))
    world.composite["spec"]["training"] = "disabled"
    world.settle()
    world.helm.foreign = "kubeflow-trainer"
    world.composite["spec"]["training"] = "enabled"
    assert not world.settle().ready
    world.composite["spec"]["training"] = "disabled"
    composed = world.settle()
    assert (composed.fatal, composed.ready) == ("", True)


def test_a_laptop_can_always_train() -> None:
    composed = World(written(CLAIM), settled_platform(PLATFORMS["local"])).settle()
    assert (composed.ready, parts(composed.status)["training"]["ready"]) == (True, True)
