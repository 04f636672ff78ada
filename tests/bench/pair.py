"""Both control planes side by side: every step is done to both, and afterwards both must have the same objects.

Of an object on the API server only what Crossplane applied is compared: its ``managedFields`` say which fields those
are, so neither the server's defaults nor what other controllers write needs a list. The rest is in DROPPED.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.bench.real import CLAIM, Bench, until
from tests.controlplane.world import NOW, PLATFORM, World, claim, claim_key

from vellum.api.platform import NAME
from vellum.cluster.api import Api
from vellum.controlplane.store import SqliteStore
from vellum.kube.objects import Key, Obj
from vellum.kube.patch import copied, merged
from vellum.model.keys import SEED, SEED_SECRET, Seed
from vellum.model.release import SYSTEM

_TEMPLATE = ("spec", "volumeClaimTemplates", "*")
DROPPED: dict[tuple[str, ...], str] = {
    ("status",): "its own controllers write it: here stand-ins, there the laptop's",
    ("metadata", "uid"): "each store draws its own",
    ("metadata", "resourceVersion"): "each store counts its own",
    ("metadata", "generation"): "the embedded store counts it for every kind, the API server not for all",
    ("metadata", "creationTimestamp"): "each store has its own clock",
    ("metadata", "finalizers"): "of the controller that serves the kind",
    ("metadata", "ownerReferences"): "on Crossplane a composite stands between claim and object",
    ("metadata", "generateName"): "Crossplane writes one beside the name",
    ("metadata", "labels", "crossplane.io/*"): "which claim and composite: on a laptop the owner says so",
    (*_TEMPLATE, "apiVersion"): "the API server's default, in a list that has only one owner",
    (*_TEMPLATE, "kind"): "the same",
    (*_TEMPLATE, "status"): "the same",
}
SAID = ("Ready", "Synced", "PartsReady")


@dataclass
class Pair:
    """The real Crossplane and the embedded control plane, with the same platform and the same seed."""

    bench: Bench
    api: Api
    world: World

    def claim(self, name: str, **spec: Any) -> None:
        self.bench.apply(claim(name, **spec))
        self.world.put(name, **spec)

    def edit(self, name: str, kind: str, part: str, patch: Obj) -> None:
        """Edit one of a claim's objects, as a user would."""
        key = self._one(name, kind, part)
        self.api.merge(key, patch)
        live = copied(self.world.store.get(key) or {})
        self.world.store.put(merged(live, {}, patch))

    def delete(self, name: str, kind: str, part: str) -> None:
        """Delete one of a claim's objects."""
        key = self._one(name, kind, part)
        assert self.api.delete(key)
        assert self.world.store.delete(key)

    def delete_claim(self, name: str) -> None:
        self.bench.delete(name)
        self.world.store.delete(claim_key(name))

    def make(self, obj: Obj) -> None:
        """Create an object with another owner."""
        self.bench.apply(obj)
        self.world.store.ensure(obj)

    def _one(self, name: str, kind: str, part: str) -> Key:
        (result,) = (key for key in self.embedded(name) if (key.kind, key.name) == (kind, part))
        return result

    def real(self, name: str) -> dict[Key, Obj]:
        """Return what Crossplane composed for a claim, as far as it wrote it."""
        live = self.bench.get(CLAIM, name, "default")
        if live is None or "resourceRef" not in live["spec"]:
            return {}
        composite = self.bench.get("xmlopsplatform", live["spec"]["resourceRef"]["name"]) or {"spec": {}}
        keys = [
            Key(ref["apiVersion"], ref["kind"], ref.get("namespace", ""), ref["name"])
            for ref in composite["spec"].get("resourceRefs", [])
        ]
        return {key: _composed(_applied(obj)) for key in keys if (obj := self.api.get(key))}

    def embedded(self, name: str) -> dict[Key, Obj]:
        """Return the objects that the embedded control plane composed."""
        live = self.world.store.get(claim_key(name))
        owned = self.world.store.controlled_by(live["metadata"]["uid"]) if live else []
        ours = {Key.of(obj): obj for obj in owned if "deletionTimestamp" not in obj["metadata"]}
        return {key: _composed(_within(obj, self.world.store.last_applied(key))) for key, obj in ours.items()}

    def said(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what both say of every claim."""
        real = {item["metadata"]["name"]: item for item in self.bench.list(CLAIM)}
        for composite in self.bench.list("xmlopsplatform"):
            # A claim's Synced describes its composite; on a laptop the claim itself is synced.
            claim = real.get(composite["spec"]["claimRef"]["name"])
            if claim is not None:
                kept = [condition for condition in _conditions(claim) if condition["type"] != "Synced"]
                synced = [condition for condition in _conditions(composite) if condition["type"] == "Synced"]
                claim["status"] = {**claim.get("status", {}), "conditions": [*kept, *synced]}
        here = [item for item in self.world.store.everything() if item["kind"] == "MLOpsPlatform"]
        embedded = {item["metadata"]["name"]: item for item in here}
        names = sorted(embedded)
        return {name: _said(real.get(name)) for name in names}, {name: _said(embedded[name]) for name in names}

    def same(self, *names: str) -> None:
        """Wait until both have the same objects and status; report the differences."""
        self.world.settle()
        expected = {name: self.embedded(name) for name in names}

        def differences() -> list[str]:
            results = [line for name in names for line in _differences(self.real(name), expected[name])]
            real, here = self.said()
            return results + [
                f"{name} says\n  {real[name]}\n  {here[name]}" for name in names if real.get(name) != here.get(name)
            ]

        until(lambda: not differences(), 60, lambda: "real, embedded:\n" + "\n".join(differences()))


def pair(bench: Bench, folder: Path) -> Pair:
    """Return a new embedded control plane beside the bench, with the bench's platform and seed."""
    api = Api(Path(bench.kubeconfig))
    secret = bench.get("secret", SEED_SECRET, SYSTEM) or {}
    platform = bench.get("kubeflowplatform", NAME) or {}
    store = SqliteStore(folder / "store.db", lambda: NOW)
    spec = {name: platform["spec"][name] for name in ("profile", "images", "charts", "training")}
    store.put({"apiVersion": PLATFORM.api_version, "kind": PLATFORM.kind, "metadata": {"name": NAME}, "spec": spec})
    world = World(store, Seed(base64.b64decode(secret["data"][SEED])), platform["status"])
    world.settle()
    return Pair(bench, api, world)


def _applied(obj: Obj) -> Obj:
    """Return only what Crossplane's own field manager wrote."""
    head = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": _name(obj)}
    for entry in obj["metadata"]["managedFields"]:
        if entry["manager"].startswith("apiextensions.crossplane.io/composed") and not entry.get("subresource"):
            return merged(head, {}, _owned(obj, entry["fieldsV1"]))
    return head


def _within(live: Any, applied: Any) -> Any:
    """Return the current values of the fields that the embedded control plane wrote."""
    if not (isinstance(live, dict) and isinstance(applied, dict)):
        return live
    return {name: _within(live[name], value) for name, value in applied.items() if name in live}


def _name(obj: Obj) -> Obj:
    return {name: obj["metadata"][name] for name in ("name", "namespace") if name in obj["metadata"]}


def _owned(value: Any, fields: Mapping[str, Any]) -> Any:
    """Follow ``fieldsV1``: f: is a field, k: an element of a list by its keys, v: an element by its value."""
    names = [name for name in fields if name != "."]
    if not names:
        return value
    if isinstance(value, dict):
        return {name[2:]: _owned(value[name[2:]], fields[name]) for name in names if name[2:] in value}
    return [_owned(element, fields[name]) for element in value for name in names if _is(element, name)]


def _is(element: Any, name: str) -> bool:
    wanted = json.loads(name[2:])
    if name.startswith("v:"):
        return bool(element == wanted)
    return all(element.get(key) == value for key, value in wanted.items())


def _composed(obj: Obj) -> Obj:
    """Return the object without the dropped fields."""
    obj = copied(obj)
    for path in DROPPED:
        _drop(obj, path)
    return obj


def _drop(at: Any, path: tuple[str, ...]) -> None:
    """Remove the fields that the path names; ``*`` matches any key and every element of a list."""
    if isinstance(at, list):
        for element in at:
            _drop(element, path[1:])
        return
    for key in [key for key in at or () if fnmatchcase(key, path[0])]:
        if len(path) == 1:
            del at[key]
        else:
            _drop(at[key], path[1:])


def _conditions(live: Obj) -> list[Obj]:
    return list((live.get("status") or {}).get("conditions") or ())


def _said(live: Obj | None) -> Any:
    status = (live or {}).get("status") or {}
    conditions = {
        condition["type"]: (condition["status"], condition.get("reason")) for condition in status.get("conditions", ())
    }
    messages = {condition["type"]: condition.get("message", "") for condition in status.get("conditions", ())}
    rest = {name: status.get(name) for name in ("team", "components", "deletionPolicy", "endpoints", "seedFingerprint")}
    return {**rest, **{name: conditions.get(name) for name in SAID}, "message": messages.get("PartsReady")}


def _differences(real: Mapping[Key, Obj], embedded: Mapping[Key, Obj]) -> list[str]:
    keys = sorted(real.keys() | embedded.keys(), key=str)
    return [f"{key}\n  {real.get(key)}\n  {embedded.get(key)}" for key in keys if real.get(key) != embedded.get(key)]
