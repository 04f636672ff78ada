"""One pass over one composite: read, compose, apply, collect, write the status. Level-triggered.

A pass over an unchanged world writes nothing. A smaller desired set deletes objects, so a pass collects only after an
answer that is not fatal, and only objects whose controller is this composite (by uid).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from vellum.controlplane.metadata import RESOURCE_ANNOTATION
from vellum.controlplane.store import MISSING, SqliteStore
from vellum.errors import StoreError
from vellum.kube.objects import DOMAIN, Key, Kind, Obj, annotations_of, stamp, status_of
from vellum.model.state import Composed, Condition, Desired, Event, Observed, Requirement

FINALIZER = f"{DOMAIN}/composed"
MOST_PASSES = 5
"""Crossplane gives a function five passes to settle its requirements; more passes mean that the function is wrong."""
TROUBLE_SECONDS = 2.0
"""Seconds until the next pass after an object could not be applied: nothing announces, say, a missing namespace."""

CREATING = Condition("Ready", "False", "Creating")
WAITING = Condition("Ready", "False", "Waiting", "Claim is waiting for composite resource to become Ready")
"""The conditions that Crossplane sets on a composite and on a claim (v2.3.4, apis/core/v2 and the claim controller)."""

Compose = Callable[[Obj, Observed, datetime], Composed]


class CompositeController:
    """Reconciles all objects of one composite kind with one compose function."""

    def __init__(self, kind: Kind, compose: Compose, waiting: Condition = CREATING) -> None:
        """Reconcile one kind.

        Args:
            kind: the composite's kind.
            compose: returns the desired objects of one composite.
            waiting: the condition Ready while the composite is not ready; PartsReady has the reasons.
        """
        self.name = f"composite/{kind.kind}"
        self.kinds: Sequence[Kind] = (kind,)
        self._compose, self._waiting = compose, waiting
        self._asked: dict[Key, Mapping[str, Requirement]] = {}
        self._known: dict[str, set[Key]] = {}

    def interested(self, changed: Key) -> list[Key]:
        """Return the composites that required the changed object in their last pass."""
        return [
            composite
            for composite, asked in self._asked.items()
            if any(_key(requirement) == changed for requirement in asked.values())
        ]

    def reconcile(self, store: SqliteStore, key: Key, now: datetime) -> float | None:
        """Apply the composite's desired objects; return the seconds until the next pass, or None."""
        composite = store.get(key)
        if composite is None:
            self._asked.pop(key, None)
            return None
        if "deletionTimestamp" in composite["metadata"]:
            return self._take_down(store, composite)
        store.set_finalizer(key, composite["metadata"]["uid"], FINALIZER, present=True)
        composed = self._composed(store, composite, now)
        trouble = composed.fatal or self._applied(store, composite, composed, now)
        self._say(store, composite, composed, trouble, now)
        return TROUBLE_SECONDS if trouble and not composed.fatal else composed.ttl_seconds

    def _composed(self, store: SqliteStore, composite: Obj, now: datetime) -> Composed:
        key = Key.of(composite)
        resources = _resources(store, composite)
        asked = self._asked.get(key, {})
        for _ in range(MOST_PASSES):
            required = {name: store.get(_key(requirement)) for name, requirement in asked.items()}
            composed = self._compose(composite, Observed(resources, required), now)
            if dict(composed.requirements) == dict(asked):
                return composed
            asked = composed.requirements
            self._asked[key] = asked
        return Composed(fatal=f"requirements did not settle in {MOST_PASSES} passes")

    def _applied(self, store: SqliteStore, composite: Obj, composed: Composed, now: datetime) -> str:
        """Apply and collect in one transaction; return what could not be done, as a sentence."""
        uid = composite["metadata"]["uid"]
        known = self._known.get(uid, set())
        applied: set[Key] = set()
        troubles: list[str] = []
        with store.transaction(f"pass {Key.of(composite)}"):
            # Namespaces first, whatever part they come from: the objects inside them need them.
            for resource, desired in sorted(composed.objects.items(), key=_inside_a_namespace):
                key = Key.of(desired.obj)
                try:
                    live, wrong = store.apply(desired.obj, owner=composite, resource=resource)
                except StoreError as error:
                    troubles.append(error.what)
                    continue
                # An object that never existed was not deleted.
                if wrong and (wrong != MISSING or key in known):
                    self._repaired(store, composite, live, wrong, now)
                # An object that is still being deleted after its part was turned off and on again is not missing.
                if key in known or "deletionTimestamp" not in live["metadata"]:
                    applied.add(key)
            _collect(store, composite, {Key.of(desired.obj) for desired in composed.objects.values()})
        self._known[uid] = applied
        return "; ".join(troubles)

    def _repaired(self, store: SqliteStore, composite: Obj, live: Obj, wrong: str, now: datetime) -> None:
        what = str(Key.of(live))
        store.receipt(live, what, wrong, now, now)
        store.record(Key.of(composite), Event("Warning", "Repaired", f"{what} was {wrong} and is put back"))

    def _say(self, store: SqliteStore, composite: Obj, composed: Composed, trouble: str, now: datetime) -> None:
        """Write the status; a condition keeps its time while its status stays the same."""
        key, meta = Key.of(composite), composite["metadata"]
        synced = (
            Condition("Synced", "False", "ReconcileError", trouble)
            if trouble
            else Condition("Synced", "True", "ReconcileSuccess")
        )
        before = status_of(composite)
        kept = {entry["type"]: entry for entry in before.get("conditions") or ()}
        reported = (synced, *self._ready(composed, kept), *composed.conditions)
        conditions = [_timed(condition, kept, meta["generation"], now) for condition in reported]
        base = composed.status
        if composed.fatal:
            # A fatal answer has no news of the parts, so their last state stays.
            base = {**before, **composed.status}
            silent = kept.keys() - {condition.type for condition in reported}
            conditions += [kept[name] for name in kept if name in silent]
        status = {**base, "conditions": conditions, "observedGeneration": meta["generation"]}
        # A process may have come back during this pass, and its receipt with it.
        store.patch_status(key, meta["uid"], status, keeps=("receipts",))
        if trouble and kept.get("Synced", {}).get("message") != trouble:
            store.record(key, Event("Warning", "ComposeResources", trouble))
        for event in composed.events:
            store.record(key, event)

    def _ready(self, composed: Composed, kept: Mapping[str, Obj]) -> tuple[Condition, ...]:
        """Return Ready as Crossplane's core sets it from compose's answer; a fatal answer leaves the old condition.

        Only a claim then says that it waits, as its own controller does on a cluster.
        """
        if composed.fatal and (self._waiting is CREATING or kept.get("Ready", {}).get("status") == "True"):
            return ()
        return (Condition("Ready", "True", "Available") if composed.ready else self._waiting,)

    def _take_down(self, store: SqliteStore, composite: Obj) -> float | None:
        """Delete in the foreground: first everything that the composite controls, then the composite."""
        uid, left = composite["metadata"]["uid"], store.controlled_by(composite["metadata"]["uid"])
        if not left:
            self._known.pop(uid, None)
            store.set_finalizer(Key.of(composite), uid, FINALIZER, present=False)
            return None
        with store.transaction(f"take down {Key.of(composite)}"):
            for obj in left:
                store.delete(Key.of(obj), uid=obj["metadata"]["uid"])
        names = ", ".join(str(Key.of(obj)) for obj in store.controlled_by(uid))
        conditions = [
            {**entry, "status": "False", "reason": "Deleting", "message": f"waits for {names}" if names else ""}
            for entry in status_of(composite).get("conditions") or ()
            if entry["type"] == "Ready"
        ]
        store.patch_status(Key.of(composite), uid, {**status_of(composite), "conditions": conditions})
        return 1.0


def _key(requirement: Requirement) -> Key:
    return Key(requirement.api_version, requirement.kind, requirement.namespace, requirement.name)


def _resources(store: SqliteStore, composite: Obj) -> dict[str, Obj]:
    mine = store.controlled_by(composite["metadata"]["uid"])
    return {annotations_of(obj)[RESOURCE_ANNOTATION]: obj for obj in mine if RESOURCE_ANNOTATION in annotations_of(obj)}


def _inside_a_namespace(entry: tuple[str, Desired]) -> bool:
    return bool(entry[1].obj["kind"] != "Namespace")


def _collect(store: SqliteStore, composite: Obj, desired: set[Key]) -> None:
    """Delete what an earlier pass composed under a name that is no longer desired."""
    for obj in store.controlled_by(composite["metadata"]["uid"]):
        if RESOURCE_ANNOTATION in annotations_of(obj) and Key.of(obj) not in desired:
            store.delete(Key.of(obj), uid=obj["metadata"]["uid"])


def _timed(condition: Condition, kept: Mapping[str, Mapping[str, Any]], generation: int, now: datetime) -> Obj:
    before = kept.get(condition.type)
    unchanged = before is not None and before["status"] == condition.status
    entry: Obj = {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "lastTransitionTime": before["lastTransitionTime"] if before and unchanged else stamp(now),
        "observedGeneration": generation,
    }
    return {**entry, "message": condition.message} if condition.message else entry
