"""Install a rendered tree on a cluster in its order, each object once its prerequisites exist.

The only state is on the API server, so a killed installation can be run again and continues. An object that is already
as rendered is not written again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from vellum.cluster.api import Api, ConflictError, NotFoundError, UnavailableError
from vellum.cluster.store import wait_for
from vellum.errors import StoreError
from vellum.kube.objects import DOMAIN, KEPT, Key, Obj, annotations_of, current, secret, status_of
from vellum.model import keys
from vellum.model.platform import PLATFORM
from vellum.model.release import SYSTEM
from vellum.model.team import STORAGE_NAMESPACE, VECTORS_NAMESPACE

CREATE, CHANGE, RESUME = "create", "change", "resume"
SEED_PATH = "08-seed"
"""The seed's place in the tree's order; it is made here and never written to a file."""
DEFINED_SECONDS, PULLED_SECONDS = 60, 300
SEED = Key("v1", "Secret", SYSTEM, keys.SEED_SECRET)
HOLD_DATA = tuple(Key("v1", "Namespace", "", name) for name in (STORAGE_NAMESPACE, VECTORS_NAMESPACE))
UNINSTALLING = f"{DOMAIN}/uninstalling"
"""Annotation of a platform that an uninstallation paused, so that an installation resumes it."""
_PACKAGES = ("Function", "Provider")
_NOT_WRITTEN = ("managedFields", "resourceVersion", "generation")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Change:
    """One write: the object, its file, and whether the object exists already."""

    path: str
    action: str
    key: Key

    def as_dict(self) -> Obj:
        """Return it as JSON."""
        return {"path": self.path, "action": self.action, "namespace": "", **self.key.as_dict()}


class Installation:
    """One tree on one cluster."""

    def __init__(self, api: Api, files: Mapping[str, list[Obj]], stop: Callable[[], bool] = lambda: False) -> None:
        """Store the tree and the cluster; ``stop`` ends all waiting when it returns true."""
        self._api, self._stop = api, stop
        self._files = {**files, SEED_PATH: []}

    def changes(self) -> list[Change]:
        """Return what ``run`` would change now, without changing anything.

        Raises:
            StoreError: as ``run``.
        """
        return [result for path, obj in self._objects() if (result := self._decided(path, obj))]

    def run(self, say: Say) -> list[Change]:
        """Install, and return what was changed.

        Raises:
            StoreError: the API server refuses (VEL307), a definition (VEL308) or a package (VEL309) does not become
                ready, or the seed of an existing platform is gone (VEL310).
        """
        done: list[Change] = []
        last = ""
        for path, obj in self._objects():
            if self._stop():
                break
            if path != last:
                say(path)
                last = path
            if change := self._decided(path, obj):
                self._write(change, obj)
                done.append(change)
            self._settled(obj)
        return done

    def _objects(self) -> Iterator[tuple[str, Obj]]:
        for path in sorted(self._files):
            if path == SEED_PATH:
                # The value is random, and generated only when it is written.
                yield path, secret(SEED.name, SYSTEM, {})
            for obj in self._files[path]:
                yield path, obj

    def _decided(self, path: str, obj: Obj) -> Change | None:
        key = Key.of(obj)
        live = self._api.get(key)
        if live is None:
            if key == SEED:
                self._may_have_a_new_seed()
            return Change(path, CREATE, key)
        if UNINSTALLING in annotations_of(live):
            return Change(path, RESUME, key)
        if key == SEED or _same(self._api.apply(obj, dry=True), live):
            return None
        return Change(path, CHANGE, key)

    def _may_have_a_new_seed(self) -> None:
        platform = self._api.get(PLATFORM)
        there = filter(None, map(self._api.get, HOLD_DATA))
        kept = [Key.of(obj) for obj in there if KEPT in annotations_of(obj)]
        if status_of(platform).get("seedFingerprint"):
            of = "the running platform"
        elif kept:
            of = f"what an uninstallation kept in {kept[0].name}"
        else:
            return
        raise StoreError(
            "VEL310",
            f"the seed is gone, and all keys of {of} derive from it",
            where=str(SEED),
            fix="restore that Secret from its copy; without one, uninstall with --delete-data",
        )

    def _write(self, change: Change, obj: Obj) -> None:
        if change.key == SEED:
            # A second installation at the same time may have written it: the first seed stays.
            with suppress(ConflictError):
                self._api.create(secret(SEED.name, SYSTEM, {keys.SEED: secrets.token_hex(keys.SEED_BYTES)}))
            return
        if change.action == RESUME:
            free = {"crossplane.io/paused": None, UNINSTALLING: None, f"{DOMAIN}/delete-all-data": None}
            self._api.merge(PLATFORM, {"metadata": {"annotations": free}})
        wait_for(
            lambda: self._stop() or self._applied(obj),
            DEFINED_SECONDS,
            f"the API server takes {change.key}",
            described(change.key),
        )

    def _applied(self, obj: Obj) -> bool:
        """Apply; return False while the API server or its webhooks do not know a new kind, or another client writes."""
        try:
            self._api.apply(obj)
        except (NotFoundError, UnavailableError, ConflictError):
            return False
        return True

    def _settled(self, obj: Obj) -> None:
        """Return once the next objects may depend on this one."""
        key = Key.of(obj)
        if key.kind == "CompositeResourceDefinition":
            kind = "Offered" if "claimNames" in obj["spec"] else "Established"
            wait_for(lambda: self._stop() or self._is(key, kind), DEFINED_SECONDS, f"{key} is {kind}", described(key))
        if key.kind in _PACKAGES:
            self._pulled(key)

    def _pulled(self, key: Key) -> None:
        try:
            wait_for(
                lambda: self._stop() or self._is(key, "Healthy"), PULLED_SECONDS, f"{key} is Healthy", described(key)
            )
        except StoreError:
            live = self._api.get(key) or {}
            messages = [condition.get("message") for condition in status_of(live).get("conditions") or ()]
            why = "; ".join(words for words in messages if words) or "Crossplane does not report why"
            what = f"the package of {key} does not run after {PULLED_SECONDS} s: {why}"
            fix = f"kubectl describe {key.kind.lower()}.pkg.crossplane.io {key.name}; then install again"
            raise StoreError("VEL309", what, where=str(key), fix=fix) from None

    def _is(self, key: Key, kind: str) -> bool:
        live = self._api.get(key)
        return live is not None and (current(live, kind) or {}).get("status") == "True"


def described(key: Key) -> str:
    """Return the command that shows an object which Crossplane does not process."""
    where = f" -n {key.namespace}" if key.namespace else ""
    name = f"kubectl describe {key.kind.lower()} {key.name}{where}"
    return f"{name}; kubectl logs deployment/crossplane -n {SYSTEM}"


def _same(obj: Obj, other: Obj) -> bool:
    return _written(obj) == _written(other)


def _written(obj: Obj) -> Obj:
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _NOT_WRITTEN}
    return {**obj, "metadata": metadata}
