"""The Store of controllers on a Kubernetes API server: watched kinds are answered from memory.

One thread per kind lists and then watches, without end. A broken watch starts again with a list, so nothing is missed.
A kind whose operator is not installed yet has no objects; the thread asks for it until the operator exists.
A controller sees its own writes, because they are stored in memory immediately.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from vellum.cluster.api import Api, ConflictError, GoneError, NotFoundError
from vellum.controlplane.watch import Watch
from vellum.errors import StoreError
from vellum.kube.objects import Key, Kind, Obj, labels_of, stamp
from vellum.kube.patch import copied
from vellum.model.state import Event

Objs: TypeAlias = list[Obj]
LOG = logging.getLogger(__name__)
WATCH_SECONDS = 300
REMEMBERED = 10_000
"""How many deletions are remembered, so that a late answer does not bring a deleted object back."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
UNSERVED_PAUSE = 1.0
"""Seconds between two requests for a kind that is not served; a dozen a second are cheap for the server."""


class KubeStore:
    """Objects of some kinds of one API server."""

    def __init__(self, api: Api, kinds: Sequence[Kind], clock: Callable[[], datetime]) -> None:
        """Begin to watch, and return once every kind was listed.

        Raises:
            StoreError: the API server does not answer (VEL307).
        """
        self._api, self._clock = api, clock
        self._mutex = threading.RLock()
        self._objects: dict[Kind, dict[Key, Obj]] = {}
        self._deleted: dict[Key, int] = {}
        self._watches: list[Watch] = []
        self._stop = threading.Event()
        versions = {kind: self._relist(kind) for kind in dict.fromkeys(kinds)}
        self._threads = [
            threading.Thread(target=self._follow, args=entry, name=f"watch {entry[0].kind}", daemon=True)
            for entry in versions.items()
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop watching; running watches end with their connections."""
        self._stop.set()

    # Reading

    def get(self, key: Key) -> Obj | None:
        """Return the object, or None."""
        known = self._objects.get(key.gvk)
        if known is None:
            return self._api.get(key)
        with self._mutex:
            obj = known.get(key)
            return None if obj is None else copied(obj)

    def list(
        self, api_version: str, kind: str, *, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Objs:
        """Return the objects of a kind in name order."""
        known = self._objects.get(Kind(api_version, kind))
        if known is None:
            objects, _ = self._api.list(Kind(api_version, kind), namespace=namespace or "", labels=labels)
            return sorted(objects, key=Key.of)
        wanted = (labels or {}).items()
        with self._mutex:
            return [
                copied(obj)
                for key, obj in sorted(known.items(), key=lambda entry: entry[0])
                if namespace in (None, key.namespace) and wanted <= dict(labels_of(obj)).items()
            ]

    def everything(self) -> Objs:
        """Return all objects of the watched kinds."""
        with self._mutex:
            return [copied(obj) for known in self._objects.values() for obj in known.values()]

    def watch(self) -> Watch:
        """Return a new subscription to every change of a watched kind."""
        watch = Watch()
        with self._mutex:
            self._watches.append(watch)
        return watch

    # Writing

    def patch_status(self, key: Key, uid: str, status: Obj) -> bool:
        """Replace the status of the object with this uid; no write when it says the same."""
        live = self.get(key)
        if live is None or live["metadata"]["uid"] != uid or live.get("status") == status:
            return False
        return self._changed(key, _is(uid), {"op": "add", "path": "/status", "value": status}, subresource="/status")

    def set_finalizer(self, key: Key, uid: str, finalizer: str, *, present: bool) -> bool:
        """Add or remove a finalizer; an object that is being deleted gets no new one."""
        live = self.get(key)
        if live is None or live["metadata"]["uid"] != uid:
            return False
        held: list[str] = list(live["metadata"].get("finalizers") or ())
        if (finalizer in held) == present or (present and "deletionTimestamp" in live["metadata"]):
            return False
        rest = [*held, finalizer] if present else [name for name in held if name != finalizer]
        as_read = {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]}
        return self._changed(key, as_read, {"op": "add", "path": "/metadata/finalizers", "value": rest})

    def ensure(self, obj: Obj) -> Obj:
        """Create the object if no object has its name; return the stored one."""
        key = Key.of(obj)
        result = self.get(key)
        if result is not None:
            return result
        try:
            return self._learn(self._api.create(obj))
        except ConflictError:
            return self._api.get(key) or obj

    def delete(self, key: Key, *, uid: str | None = None) -> bool:
        """Delete the object; return False if it does not exist or has another uid."""
        return self._api.delete(key, uid=uid or "")

    def record(self, key: Key, event: Event) -> None:
        """Count an event; the same sentence about the same object is one Event with a counter."""
        namespace, now = key.namespace or "default", stamp(self._clock())
        digest = hashlib.sha256(f"{key}{event.type}{event.reason}{event.message}".encode()).hexdigest()[:16]
        name = Key("v1", "Event", namespace, f"{key.name}.{digest}")
        known = self._api.get(name)
        if known is not None:
            self._api.merge(name, {"count": known.get("count", 1) + 1, "lastTimestamp": now})
            return
        live = self.get(key) or {"metadata": {}}
        about = {
            "apiVersion": key.api_version,
            "kind": key.kind,
            "name": key.name,
            "namespace": key.namespace,
            "uid": live["metadata"].get("uid", ""),
        }
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name.name, "namespace": namespace},
            "involvedObject": about,
            "type": event.type,
            "reason": event.reason,
            "message": event.message[:1024],
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": "vellum-stand-in"},
        }
        self._api.create(body)

    def _changed(self, key: Key, *steps: Obj, subresource: str = "") -> bool:
        try:
            self._learn(self._api.change(key, *steps, subresource=subresource))
        except ConflictError as quicker:
            # The watch brings the other client's change, and the controller runs again.
            LOG.debug("%s changed meanwhile: %s", key, quicker)
            self._poke(key)
            return False
        return True

    # Following

    def _follow(self, kind: Kind, version: str) -> None:
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            try:
                version = version or self._relist(kind)
                if version:
                    version = self._follow_once(kind, version)
                pause = FIRST_PAUSE if version else UNSERVED_PAUSE
            except GoneError:
                version = ""
            except Exception as error:  # noqa: BLE001  # if this thread ended silently, controllers would see no changes
                LOG.info("watching %s again: %s", kind.kind, error)
                version = ""
                pause = min(2 * pause, LONGEST_PAUSE)
            # A server that ends every watch immediately must not cause a tight loop.
            self._stop.wait(pause)

    def _follow_once(self, kind: Kind, version: str) -> str:
        for what, obj in self._api.watch(kind, version, WATCH_SECONDS):
            version = obj["metadata"]["resourceVersion"]
            if what != "BOOKMARK":
                self._learn(obj, gone=what == "DELETED")
            if self._stop.is_set():
                break
        return version

    def _relist(self, kind: Kind) -> str:
        """Store all objects of the kind; return the list's version, empty while the kind is not served."""
        try:
            listed, version = self._api.list(kind)
        except NotFoundError:
            listed, version = [], ""
        fresh = {Key.of(obj): obj for obj in listed}
        with self._mutex:
            before = self._objects.get(kind, {})
            # Our own writes during the list request are newer than the list.
            newer = {key: obj for key, obj in before.items() if version and _version(obj) > int(version)}
            self._objects[kind] = fresh = {**fresh, **newer}
        for key in before.keys() | fresh.keys():
            if before.get(key) != fresh.get(key):
                self._poke(key)
        return version

    def _learn(self, obj: Obj, *, gone: bool = False) -> Obj:
        """Store the object from the API server, unless a newer version is known."""
        key, kind = Key.of(obj), Kind(obj["apiVersion"], obj["kind"])
        with self._mutex:
            known = self._objects.get(kind)
            if known is not None:
                before = known.get(key)
                if _version(obj) < max(self._deleted.get(key, 0), _version(before or {"metadata": {}})):
                    return copied(obj)  # type: ignore[no-any-return]  # JSON in, JSON out
                if gone:
                    known.pop(key, None)
                    self._forget(key, _version(obj))
                else:
                    known[key] = obj
        self._poke(key)
        return copied(obj)  # type: ignore[no-any-return]  # JSON in, JSON out

    def _forget(self, key: Key, version: int) -> None:
        """Store the version of the deletion: the answer to our own last write may come after the watch's event."""
        self._deleted.pop(key, None)
        self._deleted[key] = version
        if len(self._deleted) > REMEMBERED:
            del self._deleted[next(iter(self._deleted))]

    def _poke(self, key: Key) -> None:
        for watch in self._watches:
            watch.poke(key)


def _is(uid: str) -> Obj:
    return {"op": "test", "path": "/metadata/uid", "value": uid}


def _version(obj: Obj) -> int:
    # Officially opaque, but for one object of one server it only grows (KEP-5504 makes that the rule).
    return int(obj["metadata"].get("resourceVersion") or 0)


def wait_for(done: Callable[[], bool], seconds: float, what: str, fix: str) -> None:
    """Return when ``done`` is true.

    Raises:
        StoreError: it did not become true in time (VEL308).
    """
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise StoreError("VEL308", f"{what} did not happen in {seconds:.0f} s", where="the API server", fix=fix)
        time.sleep(0.05)
