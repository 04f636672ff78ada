"""The supervisor's process: ``python -m vellum.laptop.daemon``, started by ``vellum up`` and left running."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from vellum.api import loader
from vellum.controlplane.store import SqliteStore
from vellum.errors import LaptopError, VellumError
from vellum.host import service
from vellum.host.control import Answer, refused
from vellum.host.state import State
from vellum.kube.objects import KEEP_FOLDER, Key, Obj, controller_uid
from vellum.laptop import troubles
from vellum.laptop.folders import LAYOUT
from vellum.laptop.installation import Installation
from vellum.model.platform import PLATFORM
from vellum.model.state import Event
from vellum.model.team import CLAIM


class Commands:
    """The operations that the socket offers, one method each, JSON in and out."""

    def __init__(self, installation: Installation, stop: threading.Event) -> None:
        self._installation, self._stop = installation, stop
        self._store: SqliteStore = installation.store

    def answer(self, request: Mapping[str, Any]) -> Answer:
        """Return the answer to one request; errors become data."""
        operations: dict[str, Callable[..., Any]] = {
            "ping": service.ping,
            "apply": self.apply,
            "delete": self.delete,
            "list": self.objects,
            "edit": self.edit,
            "events": self._store.events,
            "processes": self.processes,
            "record": self.record,
            "remove": self.remove,
            "rotate": self.rotate,
            "stop": self.stop,
            "troubles": self.troubles,
        }
        arguments = {name: value for name, value in request.items() if name != "op"}
        operation = operations.get(str(request.get("op")))
        if operation is None:
            return refused(f"unknown operation {request.get('op')!r}")
        try:
            return {"ok": operation(**arguments)}
        except VellumError as error:
            return {"error": error.as_dict()}
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            # The request does not have the form that the operation needs. A ValidationError is a ValueError.
            return refused(str(error) or type(error).__name__)

    def apply(self, manifests: list[Obj]) -> list[Obj]:
        """Store claims and platforms, after a check of all of them."""
        for manifest in manifests:
            loader.admit(manifest)
        return [self._installation.apply(manifest) for manifest in manifests]

    def delete(self, namespace: str, name: str, kind: list[str] | None = None) -> bool:
        """Delete an object, by default a claim, after what it composed. A composed object comes back."""
        api_version, word = kind or CLAIM
        key = Key(api_version, word, namespace, name)
        with self._store.transaction(f"delete {key}"):
            obj = self._store.get(key) or {}
            _keeps_what_it_says(key, obj)
            if key.kind == CLAIM.kind and obj:
                self._tell_volumes(obj)
            return self._store.delete(key)

    def _tell_volumes(self, claim: Obj) -> None:
        """Write the claim's ``deletionPolicy`` to its volumes, which a claim that cannot be composed has not done."""
        word = "no" if claim["spec"].get("deletionPolicy") == "Delete" else "yes"
        for live in self._store.list("v1", "PersistentVolumeClaim"):
            meta = live["metadata"]
            if controller_uid(live) == claim["metadata"]["uid"] and "deletionTimestamp" not in meta:
                marked = {"name": meta["name"], "namespace": meta["namespace"], "annotations": {KEEP_FOLDER: word}}
                self._store.put({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": marked})

    def remove(self, kind: list[str], namespace: str, name: str) -> bool:
        """Delete what a team made itself. Refuse composed objects, since those would come back."""
        api_version, word = kind
        return self._installation.remove(Key(api_version, word, namespace, name))

    def rotate(self, kind: list[str], namespace: str, name: str, generation: int, overlap: str) -> Obj:
        """Write another generation of keys into a claim or the platform."""
        api_version, word = kind
        return self._installation.rotate(Key(api_version, word, namespace, name), generation, overlap)

    def edit(self, manifest: Obj) -> bool:
        """Change fields of a composed object, as a user of a cluster may; the next pass puts them back."""
        key = Key.of(manifest)
        with self._store.transaction(f"edit {key}"):
            composed = controller_uid(self._store.get(key) or {"metadata": {}}) is not None
            return composed and bool(self._store.put(manifest))

    def objects(self, kinds: list[list[str]] | None = None) -> list[Obj]:
        """Return the objects of some kinds, by default claims and the platform."""
        wanted = kinds or (PLATFORM.gvk, CLAIM)
        return [obj for api_version, kind in wanted for obj in self._store.list(api_version, kind)]

    def processes(self) -> list[Obj]:
        """Return the running processes."""
        return service.processes(self._installation.supervisor, self._installation.state)

    def troubles(self) -> list[Obj]:
        """Return what is wrong now, as errors."""
        inside = self._installation
        return troubles.troubles(inside.state, inside.store, inside.manager.failing())

    def record(self, namespace: str, name: str, reason: str, message: str) -> bool:
        """Write an event about a claim, as an ingest does when it ends."""
        self._store.record(Key(*CLAIM, namespace, name), Event("Normal", reason, message))
        return True

    def stop(self) -> Answer:
        """End this process and all its children soon."""
        self._stop.set()
        self._installation.manager.watch.poke(Key("v1", "Namespace", "", "default"))
        return service.ping()


def _keeps_what_it_says(key: Key, obj: Obj) -> None:
    """Refuse what the API server of a cluster also refuses, see ``package/protection.py``."""
    now, carried = ((obj.get(part) or {}).get("deletionPolicy", "Retain") for part in ("spec", "status"))
    if key.kind == CLAIM.kind and (now, carried) == ("Retain", "Delete"):
        raise LaptopError(
            "VEL417",
            "spec.deletionPolicy says Retain, and its bucket and vectors still carry Delete",
            where=str(key),
            fix="try again in a moment; where `vellum status` names what is in the way, fix that first",
        )


def begin(state: State, stop: threading.Event) -> tuple[Installation, Commands]:
    """Open the installation and reconcile everything once, so that no client reads "ready" of an earlier run."""
    installation = Installation(state)
    # The second pass is for the composites, which came before their workloads in the first.
    for _ in range(2):
        installation.manager.work()
    return installation, Commands(installation, stop)


if __name__ == "__main__":
    sys.exit(service.run(begin, LAYOUT))
