"""An object that the API server refuses does not stop the other objects, the status or the guard."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from tests.compose import render
from tests.compose.world import PLATFORMS, UID, World, settled_platform, written

from vellum.compose.refused import refusals
from vellum.kube.objects import DOMAIN, Key, Obj, condition, controller_uid
from vellum.kube.patch import copied
from vellum.model.state import Composed, Observed

CLAIM = "apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlatform\nmetadata: {name: alpha, namespace: default}\n"
WEBHOOK = (
    'Internal error occurred: failed calling webhook "validator.trainer.kubeflow.org": failed to call webhook: Post '
    '"https://kubeflow-trainer-controller-manager.kubeflow-system.svc:443/validate?timeout=10s": dial tcp 10.0.0.7:443: '
    "connect: connection refused"
)
GONE = "the server could not find the requested resource"


@dataclass
class Crossplane(World):
    """A world with the passes of Crossplane 2.3.4: references first, then each object in a random order."""

    objects: dict[Key, Obj] = field(default_factory=dict)
    """The objects on the API server."""
    references: dict[str, Key] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Kind to the error with which the API server refuses to apply any object of it."""
    names: dict[Key, str] = field(default_factory=dict)
    """The annotation with the resource's name, which the last apply wrote."""
    deleted: list[Key] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    def step(self) -> Composed:
        """Read, delete what is no longer desired, store the references, apply until one object is refused."""
        self.objects |= {Key.of(obj): obj for obj in self.resources.values()} if not self.references else {}
        self.references = self.references or {name: Key.of(obj) for name, obj in self.resources.items()}
        self.resources = {
            name: self.objects[key]
            for name, key in self.references.items()
            if key in self.objects and self.names.get(key, name) == name
        }
        composed = self.look()
        if composed.fatal:
            return composed
        for name in self.resources.keys() - composed.objects.keys():
            gone = self.references[name]
            assert controller_uid(self.objects[gone]) == UID
            del self.objects[gone]
            self.deleted.append(gone)
        self.references = {name: Key.of(desired.obj) for name, desired in composed.objects.items()}
        names = list(composed.objects)
        self.dice.shuffle(names)
        for name in names:
            obj = composed.objects[name].obj
            if words := self.refused.get(obj["kind"]):
                self._ended(f'cannot compose resources: cannot apply composed resource "{name}": {words}')
                return composed
            self.names[Key.of(obj)] = name
            self.objects[Key.of(obj)] = self._applied(obj, self.objects.get(Key.of(obj)))
        self.resources = {name: self.objects[key] for name, key in self.references.items()}
        messages = [asdict(item) for item in composed.conditions]
        synced = {"type": "Synced", "status": "True", "observedGeneration": 1}
        self.composite = {**self.composite, "status": {**copied(composed.status), "conditions": [*messages, synced]}}
        return composed

    def _found(self, name: str, requirement: Any) -> Obj | None:
        key = Key(requirement.api_version, requirement.kind, requirement.namespace, requirement.name)
        return self.objects.get(key) or super()._found(name, requirement)

    def _ended(self, message: str) -> None:
        synced = {"type": "Synced", "status": "False", "message": message, "observedGeneration": 1}
        status = {**(self.composite.get("status") or {})}
        rest = [item for item in status.get("conditions") or () if item["type"] != "Synced"]
        self.composite = {**self.composite, "status": {**status, "conditions": [*rest, synced]}}

    def composed(self) -> bool:
        """Return whether the last pass completed."""
        return (condition(self.composite, "Synced") or {}).get("status") == "True"

    def stand_ins(self) -> list[Key]:
        return [
            key for key, obj in self.objects.items() if f"{DOMAIN}/stands-for" in (obj["metadata"].get("labels") or {})
        ]


def platform() -> Crossplane:
    world = Crossplane(written(PLATFORMS["light"]))
    for _ in range(60):
        world.step()
    assert world.look().ready
    world.deleted.clear()
    return world


def claim() -> Crossplane:
    place = settled_platform(PLATFORMS["light"])
    place["metadata"]["name"] = "kubeflow"
    world = Crossplane(written(CLAIM + "spec: {notebooks: enabled}\n"), platform=place)
    for _ in range(60):
        world.step()
    assert world.look().ready
    world.deleted.clear()
    return world


def part(world: World, name: str) -> Obj:
    return next(component for component in world.composite["status"]["components"] if component["name"] == name)


def test_a_webhook_that_is_down_does_not_blind_the_guard() -> None:
    """Kubeflow Trainer's webhook is unreachable: KServe's Deployment still comes back, and nothing is deleted."""
    world = platform()
    world.refused = {"ClusterTrainingRuntime": WEBHOOK}
    runtimes = [key for key in world.objects if key.kind.endswith("Runtime")]
    world.step()
    assert not world.composed()
    world.helm.live.pop(Key("apps/v1", "Deployment", "kserve", "kserve"))
    for _ in range(25):
        world.now += timedelta(seconds=1)
        world.step()
        assert world.composed()
    assert Key("apps/v1", "Deployment", "kserve", "kserve") in world.helm.live
    assert all(key in world.objects for key in runtimes)
    assert {key.kind for key in world.deleted} <= {"ClusterUsage"}
    assert world.stand_ins() == []
    text = part(world, "training-runtimes")
    assert not text["ready"]
    assert text["serves"], "what is there works on, so no team waits for it"
    assert "failed calling webhook" in text["reason"]
    assert [component["name"] for component in world.composite["status"]["components"] if not component["ready"]] == [
        "training-runtimes"
    ]


@pytest.mark.parametrize("name", [name for name, _, _ in render.CASES])
def test_a_stand_in_has_the_name_of_no_other_object(name: str) -> None:
    """Each object of each golden file is refused once, and with it what would meet the same."""
    world = render.worlds()[name]
    composed = world.settle()
    observed = Observed(world.resources, {}, {}, None)
    for refused, desired in composed.objects.items():
        words = f'cannot compose resources: cannot apply composed resource "{refused}": {WEBHOOK}'
        synced = {"type": "Synced", "status": "False", "message": words, "observedGeneration": 1}
        composite = {**world.composite, "status": {"conditions": [synced]}}
        objects = refusals(composite, observed, world.now).applied(composed, world.now).objects
        assert desired.obj not in [obj.obj for obj in objects.values()], refused
        assert len({Key.of(obj.obj) for obj in objects.values()}) == len(composed.objects), refused


def test_a_store_that_is_refused_keeps_the_usage_of_its_name() -> None:
    world = platform()
    usages = {key for key in world.objects if key.kind == "Usage"}
    world.refused = {"Seaweed": WEBHOOK, "Bucket": WEBHOOK}
    for _ in range(25):
        world.now += timedelta(seconds=1)
        world.step()
    assert len(usages) >= 2
    assert usages <= set(world.objects)
    assert not usages & set(world.deleted)
    assert {f"{item['object']['kind']} {item['object']['name']}" for item in world.composite["status"]["refused"]} >= {
        "Seaweed store",
        "Bucket vellum-artifacts",
    }


def test_two_claims_stand_ins_have_different_names() -> None:
    """The resources of two claims have the same names, and the stand-ins of their namespaces have no namespace."""
    results = set()
    for spoken in ("alpha", "beta"):
        place = settled_platform(PLATFORMS["light"])
        world = Crossplane(written(CLAIM.replace("name: alpha", f"name: {spoken}") + "spec: {}\n"), platform=place)
        for _ in range(60):
            world.step()
        world.refused = {"Namespace": WEBHOOK}
        for _ in range(2):
            world.step()
        results |= set(world.stand_ins())
    assert len(results) == 2


def test_what_was_refused_is_tried_again_with_growing_pauses() -> None:
    world = platform()
    world.refused = {"ClusterTrainingRuntime": WEBHOOK}
    failed = []
    for second in range(600):
        world.now += timedelta(seconds=1)
        world.step()
        if not world.composed():
            failed.append(second)
    pauses = [later - earlier for earlier, later in pairwise(failed)]
    assert 3 <= len(failed) <= 5
    assert pauses == sorted(pauses)
    assert pauses[0] >= 30
    world.refused = {}
    for _ in range(310):
        world.now += timedelta(seconds=1)
        world.step()
    assert world.look().ready
    assert "refused" not in world.composite["status"]
    assert world.stand_ins() == []


def test_two_webhooks_that_are_down_at_once_stop_nothing_else() -> None:
    """A stand-in records the first refusal, because the pass with the second one wrote no status."""
    world = platform()
    world.refused = {"ClusterTrainingRuntime": WEBHOOK, "ClusterServingRuntime": WEBHOOK}
    kinds = [key for key in world.objects if key.kind in world.refused]
    for _ in range(6):
        world.step()
    assert world.composed()
    assert all(key in world.objects for key in kinds)
    assert {item["object"]["kind"] for item in world.composite["status"]["refused"]} == set(world.refused)


@pytest.mark.parametrize("kind", ["InferenceService", "Notebook", "Bucket", "NetworkPolicy"])
@pytest.mark.parametrize("words", [WEBHOOK, "admission webhook denied the request: not while we move"])
def test_a_part_of_a_claim_that_is_refused_stops_no_other_part(kind: str, words: str) -> None:
    world = claim()
    world.refused = {kind: words}
    before = set(world.objects)
    world.composite["spec"]["costCenter"] = "4711"
    for _ in range(14):
        world.step()
        if world.composed():
            break
    world.step()
    assert world.composed()
    assert before <= set(world.objects)
    space = next(obj for key, obj in world.objects.items() if key.kind == "Namespace")
    assert "4711" in str(space["metadata"])
    reasons = " ".join(component.get("reason", "") for component in world.composite["status"]["components"])
    assert words.rsplit(":", maxsplit=1)[-1].strip() in reasons


def test_an_object_whose_kind_is_gone_is_not_composed_and_not_referred_to() -> None:
    """Crossplane looks up every reference before it calls the function; one of a deleted kind would end each pass."""
    world = claim()
    world.refused = {"InferenceService": GONE}
    for key in [key for key in world.objects if key.kind == "InferenceService"]:
        del world.objects[key]
    world.step()
    assert not world.composed()
    world.step()
    assert world.composed()
    assert not any(key.kind == "InferenceService" for key in world.references.values())
    text = part(world, "search")
    assert not text["ready"]
    assert GONE in text["reason"]
    assert "serves" not in text
    world.refused = {}
    for _ in range(40):
        world.now += timedelta(seconds=1)
        world.step()
    assert world.look().ready
