"""One pass of the real Crossplane and one of the embedded control plane, from the same world, in the same form.

The tables below list the intended differences, each with its reason; everything else must be equal.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.bench.oracle import REFUSED, Oracle
from tests.controlplane.world import NOW, PLATFORM, World

from vellum.api.claim import KIND, XR_KIND
from vellum.controlplane.composite import WAITING
from vellum.controlplane.metadata import composed
from vellum.controlplane.store import SqliteStore
from vellum.kube.objects import Key, Obj, make
from vellum.kube.patch import copied
from vellum.model.keys import SEED, SEED_SECRET, Seed
from vellum.model.release import SYSTEM
from vellum.model.state import Event, Requirement
from vellum.package.compositions import compositions

Path = tuple[str | int, ...]
_FINDS = "how Crossplane finds what it made; the embedded one remembers the owner's uid"
_ONE = "a laptop has the claim and no composite beside it; their uids are the same here"
OBJECTS: dict[Path, str] = {
    ("metadata", "labels", "crossplane.io/composite"): _FINDS,
    ("metadata", "labels", "crossplane.io/claim-name"): _FINDS,
    ("metadata", "labels", "crossplane.io/claim-namespace"): _FINDS,
    ("metadata", "ownerReferences", 0, "kind"): _ONE,
    ("metadata", "ownerReferences", 0, "name"): _ONE,
}
STATUS: dict[Path, str] = {
    ("claimConditionTypes",): "tells Crossplane's claim controller what to copy into the claim",
    ("observedGeneration",): "the embedded one says it once for all, Crossplane only in the conditions",
    ("receipts",): "the embedded one reports what it put back; Crossplane puts it back silently",
}
CONDITIONS: dict[Path, str] = {
    ("lastTransitionTime",): "each has its own clock",
    ("observedGeneration",): "render forgets the generation in the middle of a pass (its client.go)",
}
SILENT = {
    "Responsive": "a condition about Crossplane's circuit breaker; the embedded one has none",
    "is not yet ready": "Crossplane repeats it in every pass; on a laptop the condition PartsReady says it once",
    "Repaired": "the embedded one reports what it put back; Crossplane puts it back silently",
}
"""Conditions by their type, events by their reason or the end of their message."""
FRAMES = ('cannot compose resources: pipeline step "compose" returned a fatal result: ', 'Pipeline step "compose": ')
"""Crossplane's prefix of our messages, which names its pipeline."""


def _ready_of_claim(conditions: dict[str, Obj]) -> dict[str, Obj]:
    """A claim's Ready is written by Crossplane's claim controller, of which render has none: it waits for the composite."""
    ready = conditions.get("Ready", {})
    waiting = {"type": "Ready", "status": "False", "reason": WAITING.reason, "message": WAITING.message}
    return {**conditions, "Ready": ready if ready.get("status") == "True" else waiting}


@dataclass(frozen=True)
class Pass:
    """The writes and the messages of one pass."""

    applied: dict[Key, Obj]
    deleted: set[Key]
    status: Obj
    conditions: dict[str, Obj]
    events: set[tuple[str, str, str]]
    asked: set[Requirement]

    def of(self, kind: str) -> dict[str, Obj]:
        """Return the applied objects of a kind by name."""
        return {key.name: obj for key, obj in self.applied.items() if key.kind == kind}


class Watched(SqliteStore):
    """The embedded control plane's store; it records the writes of a pass."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.forget()

    def forget(self) -> None:
        self.applied: dict[Key, Obj] = {}
        self.deleted: set[Key] = set()
        self.said: list[Event] = []

    def apply(self, obj: Obj, *, owner: Obj, resource: str) -> tuple[Obj, str]:
        self.applied[Key.of(obj)] = composed(obj, owner, resource)
        return super().apply(obj, owner=owner, resource=resource)

    def delete(self, key: Key, *, uid: str | None = None) -> bool:
        self.deleted.add(key)
        return super().delete(key, uid=uid)

    def record(self, key: Key, event: Event) -> None:
        self.said.append(event)
        super().record(key, event)


def embedded(world: World, key: Key) -> Pass:
    """Run one pass of the embedded control plane."""
    store, controller = world.store, world.platforms if key == PLATFORM else world.claims
    assert isinstance(store, Watched)
    store.forget()
    controller.reconcile(store, key, NOW)
    live = store.get(key)
    assert live is not None
    asked = {*controller._asked.get(key, {}).values(), *_ahead(key)}
    return Pass(
        {item: without(obj, OBJECTS) for item, obj in store.applied.items()},
        store.deleted,
        _status(live),
        _conditions(live),
        _events({"type": item.type, "reason": item.reason, "message": item.message} for item in store.said),
        asked,
    )


def crossplane(oracle: Oracle, world: World, key: Key) -> Pass:
    """Run one pass of the real reconciler, which calls our real function."""
    code, complaint, text = oracle.render(*inputs(world, key), credentials=[secret(world.seed)])
    assert code in (0, REFUSED), complaint
    live = text["composite_resource"]
    conditions = _conditions(live)
    asked = {
        Requirement(resource["apiVersion"], resource["kind"], resource["matchName"], resource.get("namespace", ""))
        for resource in text["required_resources"]
    }
    return Pass(
        {Key.of(obj): without(obj, OBJECTS) for obj in text.get("composed_resources", ())},
        {Key.of(obj) for obj in text.get("deleted_resources", ())},
        _status(live),
        conditions if key == PLATFORM else _ready_of_claim(conditions),
        _events(text.get("events", ())),
        asked,
    )


def inputs(world: World, key: Key) -> tuple[Obj, list[Obj], list[Obj]]:
    """Return the composite in Crossplane's form, its composed objects, and all other objects that it can look up."""
    live = world.store.get(key)
    assert live is not None
    made = world.store.controlled_by(live["metadata"]["uid"])
    others = [obj for obj in world.store.everything() if obj not in (live, *made) and obj["kind"] != KIND]
    return _composite(live), made, others


def secret(seed: Seed) -> Obj:
    """Return the Secret of the function's credentials."""
    data = {SEED: base64.b64encode(seed.material).decode()}
    return make("v1", "Secret", SEED_SECRET, SYSTEM, data=data)


def _composite(live: Obj) -> Obj:
    if live["kind"] != KIND:
        chosen = {"crossplane": {"compositionRef": {"name": _composition(live["kind"])["metadata"]["name"]}}}
        return {**live, "spec": {**live["spec"], **chosen}}
    meta = live["metadata"]
    names = {"name": meta["name"], "namespace": meta["namespace"]}
    labels = {f"crossplane.io/claim-{part}": value for part, value in names.items()}
    about = {"name": f"{meta['name']}-x7k2p", "labels": labels} | {part: meta[part] for part in ("uid", "generation")}
    refs = {
        "claimRef": {"apiVersion": live["apiVersion"], "kind": KIND, **names},
        "compositionRef": {"name": _composition(XR_KIND)["metadata"]["name"]},
    }
    return {**live, "kind": XR_KIND, "metadata": about, "spec": {**live["spec"], **refs}}


def _composition(kind: str) -> Obj:
    return next(
        composition for composition in compositions() if composition["spec"]["compositeTypeRef"]["kind"] == kind
    )


def _ahead(key: Key) -> set[Requirement]:
    """What Crossplane looks up before it calls the function, because the Composition says so."""
    (step,) = _composition(XR_KIND if key.kind == KIND else key.kind)["spec"]["pipeline"]
    return {
        Requirement(resource["apiVersion"], resource["kind"], resource["name"])
        for resource in step["requirements"]["requiredResources"]
    }


def _status(live: Obj) -> Obj:
    text = without({name: item for name, item in live["status"].items() if name != "conditions"}, STATUS)
    # Each has its own clock.
    return {**text, "components": [without(part, [("since",)]) for part in text.get("components", ())]}


def _conditions(live: Obj) -> dict[str, Obj]:
    results = [_unframed(without(condition, CONDITIONS)) for condition in live["status"]["conditions"]]
    return {item["type"]: item for item in results if item["type"] not in SILENT}


def _events(text: Iterable[Obj]) -> set[tuple[str, str, str]]:
    return {
        (item["type"], item["reason"], _unframed(item)["message"])
        for item in text
        if item["reason"] not in SILENT and not any(item["message"].endswith(words) for words in SILENT)
    }


def _unframed(text: Obj) -> Obj:
    if "message" not in text:
        return text
    message = text["message"]
    for frame in FRAMES:
        message = message.removeprefix(frame)
    return {**text, "message": message}


def without(obj: Obj, paths: Iterable[Path]) -> Obj:
    """Return a copy without the values at the paths, and without maps that are then empty."""
    result: Obj = copied(obj)
    for path in paths:
        _drop(result, *path)
    return result


def _drop(inside: Any, step: str | int, *deeper: str | int) -> None:
    result = inside.get(step) if isinstance(inside, dict) else inside[step]
    if result is None:
        return
    if deeper:
        _drop(result, *deeper)
    if not deeper or not result:
        del inside[step]
