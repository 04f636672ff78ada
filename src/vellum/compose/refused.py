"""Leave out objects that the API server refused in the last pass, so that they do not stop the rest. Pure.

Crossplane 2.3.4 ends a pass at the first apply that fails (unless it is Invalid): the rest is not applied, and no
status is written. It names the object in ``Synced``. Such an object is left as it is and tried again later.

An existing object must not be deleted because it is left out. Crossplane deletes an observed object that is not
desired, by resource name. So for one pass a stand-in is desired under that name: an inert Usage. After it the
composite has no reference to the object, which stays; the next apply adopts it again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from vellum.kube.objects import DOMAIN, Key, Obj, annotations_of, current, stamp, status_of
from vellum.kube.usage import usage
from vellum.model.state import PARTS_READY, Composed, Desired, Observed, Requirement, not_ready

PAUSES = (30, 60, 120, 300)
"""Seconds until an object is tried again, by the number of failed tries; the last one for all further tries."""
STANDS_FOR = f"{DOMAIN}/stands-for"
"""Label and annotation of a stand-in: the resource's name, and its refusal as JSON."""
ABSENT = "could not find the requested resource"
_APPLY = re.compile(r'cannot apply composed resource "([^"]+)": (.*)', re.DOTALL)
_DOWN = ("failed calling webhook", ABSENT, "no matches for kind", "custom resource definition is terminating")
"""Errors of a whole operator instead of one object: all objects of its kinds would get them."""
_PREFIX = "refused/"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One object that is left out: why, until when, and how often it was tried."""

    name: str
    reason: str
    until: str
    tries: int
    obj: Key | None = None
    """The object, if it exists."""

    def as_dict(self) -> Obj:
        """Return plain data for the status."""
        entry: Obj = {"name": self.name, "reason": self.reason, "until": self.until, "tries": self.tries}
        return {**entry, "object": self.obj.as_dict()} if self.obj else entry

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Refusal:
        """Return the refusal that ``as_dict`` wrote."""
        obj = Key.read(entry["object"]) if entry.get("object") else None
        return cls(entry["name"], entry["reason"], entry["until"], int(entry["tries"]), obj)

    def __str__(self) -> str:
        kind = f"{self.obj} stays as it is" if self.obj else f"{self.name} is not made"
        return f"{kind}, because the API server refuses it: {self.reason}; it is tried again at {self.until}"


@dataclass(frozen=True, slots=True)
class Refusals:
    """The objects that one pass leaves out, and the live objects that compose sees instead."""

    known: Mapping[str, Refusal]
    observed: Observed
    requirements: Mapping[str, Requirement] = field(default_factory=dict)
    fresh: str = ""
    """The object that was refused in the last pass."""
    everywhere: bool = False
    """Whether the reason of the refusal is outside the object."""
    referred: frozenset[str] = frozenset()
    """The objects that Crossplane observed. It deletes those that are not desired."""

    def applied(self, composed: Composed, now: datetime) -> Composed:
        """Return the answer without the objects left out, and with their reasons in the status."""
        composed = replace(composed, requirements={**composed.requirements, **self.requirements})
        if composed.fatal:
            return composed
        out = {name: refusal for name, refusal in self._all(composed).items() if name in composed.objects}
        if not out:
            return composed
        objects = dict(composed.objects)
        for name, refusal in out.items():
            desired = objects.pop(name)
            if name in self.referred:
                objects[name] = Desired(_stand_in(name, refusal, desired.obj), ready=False)
        refused = [refusal.as_dict() for _, refusal in sorted(out.items())]
        status = {**composed.status, "refused": refused, "components": _components(composed.status, out)}
        missing = [f"{part['name']}: {part['reason']}" for part in status["components"] if not part["ready"]]
        missing = missing or list(map(str, out.values()))
        left = min(datetime.fromisoformat(refusal.until) for refusal in out.values()) - now
        others = (other for other in composed.conditions if other.type != PARTS_READY)
        conditions = (not_ready("Refused", "; ".join(missing)), *others)
        ttl = max(1.0, min(composed.ttl_seconds, left.total_seconds()))
        return replace(composed, objects=objects, status=status, ready=False, conditions=conditions, ttl_seconds=ttl)

    def _all(self, composed: Composed) -> dict[str, Refusal]:
        """Return the refused object, and the objects that would be refused too: a pass reports only one of them.

        These are all objects of its kind in its namespace; if an operator does not answer, all objects of its kinds.
        """
        first = self.known.get(self.fresh)
        if first is None or self.fresh not in composed.objects:
            return dict(self.known)
        wanted = _like(composed.objects[self.fresh].obj, everywhere=self.everywhere)
        more = {
            name: replace(first, name=name, obj=_key(self.observed.resources.get(name)))
            for name, desired in composed.objects.items()
            if _like(desired.obj, everywhere=self.everywhere) == wanted
        }
        return {**more, **self.known}


def _key(obj: Obj | None) -> Key | None:
    return Key.of(obj) if obj else None


def refusals(composite: Obj, observed: Observed, now: datetime) -> Refusals:
    """Return what this pass leaves out, from Crossplane's conditions and our own status of earlier passes."""
    before: dict[str, Refusal] = {}
    for refusal in _remembered(composite, observed):
        before[refusal.name] = max(refusal, before.get(refusal.name, refusal), key=lambda other: other.until)
    resources = {name: obj for name, obj in observed.resources.items() if STANDS_FOR not in annotations_of(obj)}
    known = {name: refusal for name, refusal in before.items() if stamp(now) < refusal.until}
    fresh, reason = _failure(composite)
    if fresh and fresh not in known:
        tries = before[fresh].tries + 1 if fresh in before else 1
        until = now + timedelta(seconds=PAUSES[min(tries, len(PAUSES)) - 1])
        there = _key(resources.get(fresh))
        known[fresh] = Refusal(fresh, reason, stamp(until), tries, there)
    # Objects left out are looked up by name, so that their live state counts.
    asked = {
        f"{_PREFIX}{name}": Requirement(*key.gvk, key.name, namespace=key.namespace)
        for name, refusal in known.items()
        if (key := refusal.obj) and not any(word in refusal.reason for word in _DOWN[1:])
    }
    seen = {name: obj for name in known if (obj := observed.required.get(f"{_PREFIX}{name}"))}
    return Refusals(
        known,
        replace(observed, resources={**resources, **seen}) if known or before else observed,
        asked,
        fresh,
        any(word in reason for word in _DOWN),
        frozenset(resources),
    )


def _failure(composite: Obj) -> tuple[str, str]:
    """Return the object that Crossplane could not apply in its last pass, and why; empty if it applied all."""
    synced = current(composite, "Synced") or {}
    if synced.get("status") != "False":
        return "", ""
    match = _APPLY.search(str(synced.get("message", "")))
    return (match[1], " ".join(match[2].split())) if match else ("", "")


def _remembered(composite: Obj, observed: Observed) -> Iterator[Refusal]:
    """Yield the refusals in stand-ins, in case that pass ended before it wrote its status, and those in the status."""
    for obj in observed.resources.values():
        if note := annotations_of(obj).get(STANDS_FOR):
            yield Refusal.read(json.loads(note))
    yield from map(Refusal.read, status_of(composite).get("refused") or ())


def _like(obj: Obj, *, everywhere: bool) -> str:
    """Return the group, or the kind and place, of the object; the API server would refuse others that share it."""
    key = Key.of(obj)
    group, _, version = key.api_version.partition("/")
    return group if everywhere and version else f"{key.api_version} {key.kind} {key.namespace}"


def _stand_in(name: str, refusal: Refusal, obj: Obj) -> Obj:
    """Return an inert object of the same scope: a Usage of an object that does not exist.

    It has its own name. Under the name of ``obj`` it would replace the real Usage of that name. The name also
    differs between two claims: their resources have the same names, and some stand-ins have no namespace.
    """
    key = Key.of(obj)
    own = "standin-" + hashlib.sha256(f"{name} {key}".encode()).hexdigest()[:20]
    nothing = Key("v1", "ConfigMap" if key.namespace else "Namespace", key.namespace, "vellum-nothing")
    made = usage(own, key.namespace, of=nothing, reason=refusal.reason[:256], labels={STANDS_FOR: name})
    made["metadata"]["annotations"] = {STANDS_FOR: json.dumps(replace(refusal, obj=key).as_dict())}
    return made


def _components(status: Obj, out: Mapping[str, Refusal]) -> list[Obj]:
    entries = []
    for part in status.get("components") or ():
        own = [refusal for name, refusal in out.items() if _part_of(name, status) == part["name"]]
        if own:
            # An existing object continues to work unchanged.
            works = {"serves": True} if part["ready"] and all(refusal.obj for refusal in own) else {}
            reason = "; ".join(map(str, own))
            entries.append({**part, "ready": False, "reason": reason, "actor": "the platform engineer", **works})
        else:
            entries.append(part)
    return entries


def _part_of(name: str, status: Obj) -> str:
    """Return the part that owns the object: names of resources begin with the part's name."""
    parts = [part["name"] for part in status.get("components") or ()]
    return max((part for part in parts if name == part or name.startswith(f"{part}-")), key=len, default="")
