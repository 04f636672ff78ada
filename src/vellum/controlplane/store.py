"""The objects of a laptop: what Kubernetes promises of reading, applying and deleting, on one SQLite file.

Invariants: a write that changes nothing does not move the resourceVersion. ``generation`` moves when anything but
metadata and status changes. An object that another owner controls is never applied to, adopted or deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

from vellum.controlplane import events
from vellum.controlplane.database import NOT_STORED, Database
from vellum.controlplane.metadata import as_written, composed
from vellum.controlplane.watch import Watch
from vellum.errors import StoreError
from vellum.kube.objects import COMPONENT, Key, Obj, controller_uid, labels_of, not_ours, spec_of, stamp, status_of
from vellum.kube.patch import copied, first_difference, merged
from vellum.model.repair import Receipt, with_receipts
from vellum.model.state import Event

Objs: TypeAlias = list[Obj]
Names: TypeAlias = list[str]

MISSING = "missing"
"""The fault of an object that does not exist; the release guard's receipts use the same text."""


class SqliteStore:
    """The store of one installation. Safe to call from several threads; one process at a time."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], datetime],
        *,
        new_uid: Callable[[], str] = lambda: str(uuid4()),
        fault: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Open or create the store.

        Args:
            path: the SQLite file; made 0600.
            clock: returns the time in UTC.
            new_uid: makes the uid of a new object.
            fault: called before and after every commit with what is being written; tests end the process there.

        Raises:
            StoreError: another process writes it (VEL301), or it is damaged or from a newer version (VEL302).
        """
        self._clock, self._new_uid = clock, new_uid
        self._database = Database(path, fault)

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return self._database.path

    @property
    def version(self) -> int:
        """The resourceVersion of the newest write."""
        return self._database.version

    def close(self) -> None:
        """Close the file and let the next process write it. A second call does nothing."""
        self._database.close()

    # Reading

    def get(self, key: Key) -> Obj | None:
        """Return a copy of the object, or None."""
        with self._database.mutex:
            obj = self._database.objects.get(key)
            return None if obj is None else copied(obj)

    def last_applied(self, key: Key) -> Obj:
        """Return a copy of what the object's writer last applied."""
        with self._database.mutex:
            return copied(self._database.applied[key])  # type: ignore[no-any-return]  # JSON in, JSON out

    def list(
        self, api_version: str, kind: str, *, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Objs:
        """Return copies of the objects of a kind in name order."""
        wanted = (labels or {}).items()
        return self._where(
            lambda key, obj: (
                (key.kind, key.api_version) == (kind, api_version)
                and namespace in (None, key.namespace)
                and wanted <= dict(labels_of(obj)).items()
            )
        )

    def everything(self) -> Objs:
        """Return copies of all objects in key order."""
        return self._where(lambda *_: True)

    def inside(self, namespace: str) -> Objs:
        """Return copies of all objects in a namespace, in key order."""
        return self._where(lambda key, _: key.namespace == namespace)

    def controlled_by(self, uid: str) -> Objs:
        """Return copies of all objects whose controller has the uid, in key order."""
        return self._where(lambda _, obj: controller_uid(obj) == uid)

    def _where(self, wanted: Callable[[Key, Obj], bool]) -> Objs:
        with self._database.mutex:
            objects = self._database.objects
            keys = sorted(key for key, obj in objects.items() if wanted(key, obj))
            return [copied(objects[key]) for key in keys]

    def watch(self) -> Watch:
        """Return a new subscription to every change."""
        watch = Watch()
        with self._database.mutex:
            self._database.watches.append(watch)
        return watch

    # Writing

    def transaction(self, name: str) -> AbstractContextManager[None]:
        """Store all writes inside the block, or none of them.

        Raises:
            StoreError: the file could not be written (VEL303). Nothing changed, in memory or in the file.
        """
        return self._database.transaction(name)

    def _live(self, key: Key, uid: str | None = None) -> Obj | None:
        """Return the object itself, not a copy; None if it does not exist or has another uid."""
        live = self._database.objects.get(key)
        return None if live is None or uid not in (None, live["metadata"]["uid"]) else live

    def _create(self, obj: Obj, applied: Obj) -> Obj:
        self._namespace_must_live(Key.of(obj))
        meta = {**obj["metadata"], "uid": self._new_uid(), "generation": 1, "creationTimestamp": stamp(self._clock())}
        return self._database.write({**copied(obj), "metadata": copied(meta)}, copied(applied))

    def put(self, obj: Obj) -> Obj:
        """Create what a user wrote, or replace its spec. Labels and annotations of other writers stay.

        Status, uid and versions belong to the control plane, so those of ``obj`` are ignored. An edit of an object
        that a composite controls lasts until the next pass.

        Raises:
            StoreError: an object of that name is still being deleted (VEL304), or its namespace is missing or being
                deleted (VEL306).
        """
        key, obj = Key.of(obj), as_written(obj)
        with self.transaction(f"put {key}"):
            live = self._live(key)
            if live is None:
                return self._create(obj, obj)
            if "deletionTimestamp" in live["metadata"]:
                raise StoreError(
                    "VEL304",
                    f"{key} is still being deleted",
                    where=str(key),
                    fix="wait until it is gone and apply again",
                )
            return self._edited(live, obj) if controller_uid(live) else self._applied_over(live, obj)

    def apply(self, obj: Obj, *, owner: Obj, resource: str) -> tuple[Obj, str]:
        """Apply our fields of an object that ``owner`` controls; return it and what was wrong with it before.

        Raises:
            StoreError: another owner controls it (VEL305), or its namespace is missing or being deleted (VEL306).
        """
        key, uid = Key.of(obj), owner["metadata"]["uid"]
        ours = composed(obj, owner, resource)
        with self.transaction(f"apply {key}"):
            live = self._live(key)
            if live is None:
                return self._create(ours, ours), MISSING
            self._namespace_must_live(key)
            if controller_uid(live) != uid:
                raise StoreError(
                    "VEL305",
                    not_ours([live]),
                    where=str(key),
                    fix="remove or rename that object; the claim then continues automatically",
                )
            if "deletionTimestamp" in live["metadata"]:
                return copied(live), ""
            # A difference to what we apply now counts as an edit only if we applied the same last time.
            edited = first_difference(ours, live) if self._database.applied[key] == ours else ""
            return self._applied_over(live, ours), f"edited at {edited}" if edited else ""

    def _applied_over(self, live: Obj, obj: Obj) -> Obj:
        before = self._database.applied.get(Key.of(obj), {})
        return self._replaced(live, merged(live, before, obj), before, obj)

    def _edited(self, live: Obj, obj: Obj) -> Obj:
        # What the owner applied stays recorded, so that the next pass can tell the edit from it.
        applied = self._database.applied[Key.of(obj)]
        return self._replaced(live, merged(live, {}, obj), applied, applied)

    def _replaced(self, live: Obj, result: Obj, before: Obj, applied: Obj) -> Obj:
        if result == live and before == applied:
            return copied(live)  # type: ignore[no-any-return]  # JSON in, JSON out
        if spec_of(result) != spec_of(live):
            result["metadata"] = {**result["metadata"], "generation": live["metadata"]["generation"] + 1}
        return self._database.write(copied(result), copied(applied))

    def _namespace_must_live(self, key: Key) -> None:
        if not key.namespace:
            return
        namespace = self._live(Key("v1", "Namespace", "", key.namespace))
        if namespace is None or "deletionTimestamp" in namespace["metadata"]:
            state = "does not exist" if namespace is None else "is being deleted"
            raise StoreError(
                "VEL306",
                f"namespace {key.namespace} {state}",
                where=str(key),
                fix="wait; Vellum tries again automatically",
            )

    def ensure(self, obj: Obj) -> Obj:
        """Create the object if none has its name; return the one that exists now.

        Raises:
            StoreError: its namespace is missing or being deleted (VEL306).
        """
        key = Key.of(obj)
        with self.transaction(f"ensure {key}"):
            live = self._live(key)
            return self._create(obj, {}) if live is None else copied(live)

    def patch_status(self, key: Key, uid: str, status: Obj, *, keeps: Sequence[str] = ()) -> bool:
        """Replace the status of the object with this uid; return whether that changed anything.

        ``keeps`` names fields of the live status that stay. A status that cannot be stored is kept in memory, and
        ``trouble`` reports it.
        """
        try:
            with self.transaction(f"status {key}"):
                live = self._with_status(key, uid, status, keeps)
                if live is not None:
                    self._database.write(live)
                return live is not None
        except StoreError as error:
            if self._database.depth or error.code != NOT_STORED:
                raise
        with self._database.mutex:
            live = self._with_status(key, uid, status, keeps)
            if live is None or live["status"] == self._database.objects[key].get("status"):
                return False
            self._database.keep_in_memory(live)
            return True

    def _with_status(self, key: Key, uid: str, status: Obj, keeps: Sequence[str]) -> Obj | None:
        """Return a copy of the object with that status, None if nothing needs a write."""
        live = self._live(key, uid)
        if live is None:
            return None
        before = status_of(live)
        after = {**status, **{name: before[name] for name in keeps if name in before}}
        if live.get("status") == after and not self._database.is_unstored(key):
            return None
        return {**copied(live), "status": copied(after)}

    def trouble(self) -> StoreError | None:
        """Store the statuses that are only in memory; return why the store cannot write now, None if it can."""
        return self._database.trouble()

    # Deleting

    def set_finalizer(self, key: Key, uid: str, finalizer: str, *, present: bool) -> bool:
        """Add or remove a finalizer. Removing the last one removes an object that is being deleted."""
        with self.transaction(f"finalizer {key}"):
            live = self._live(key, uid)
            if live is None:
                return False
            held: Names = [*(live["metadata"].get("finalizers") or ())]
            if (finalizer in held) == present:
                return False
            rest = [*held, finalizer] if present else [name for name in held if name != finalizer]
            if not rest and "deletionTimestamp" in live["metadata"]:
                self._database.remove(key)
                return True
            meta = {**copied(live["metadata"]), "finalizers": rest}
            if not rest:
                del meta["finalizers"]
            self._database.write({**copied(live), "metadata": meta})
            return True

    def delete(self, key: Key, *, uid: str | None = None) -> bool:
        """Delete the object, or mark it while finalizers hold it; False if that changed nothing."""
        with self.transaction(f"delete {key}"):
            live = self._live(key, uid)
            if live is None:
                return False
            if not live["metadata"].get("finalizers") and key.kind != "Namespace":
                self._database.remove(key)
                return True
            if "deletionTimestamp" in live["metadata"]:
                return False
            meta = {**copied(live["metadata"]), "deletionTimestamp": stamp(self._clock())}
            self._database.write({**copied(live), "metadata": meta})
            return True

    def finish(self, key: Key, *, uid: str) -> bool:
        """Remove a namespace that is being deleted; False while it contains anything or has finalizers."""
        with self.transaction(f"finish {key}"):
            live = self._live(key, uid)
            if live is None or live["metadata"].get("finalizers"):
                return False
            # Both checks are in the transaction of the removal, so that no object can be created between them.
            if "deletionTimestamp" not in live["metadata"] or self.inside(key.name):
                return False
            self._database.remove(key)
            return True

    # Reporting

    def record(self, key: Key, event: Event) -> None:
        """Count an event; an equal event of the same object raises its counter."""
        events.record(self._database, key, event, stamp(self._clock()))

    def events(self) -> Objs:
        """Return all events, oldest first."""
        return events.listed(self._database)

    def receipt(self, obj: Obj, what: str, wrong: str, seen: datetime, back: datetime) -> None:
        """Add a receipt of a repair to the status of the composite that controls ``obj``.

        ``what`` names the object or its process, ``wrong`` the fault.
        """
        with self.transaction(f"receipt {what}"):
            uid = controller_uid(obj)
            owners = (live for live in self._database.objects.values() if live["metadata"]["uid"] == uid)
            owner = next(owners, None)
            if owner is None:
                return
            component, seconds = labels_of(obj).get(COMPONENT, ""), round((back - seen).total_seconds(), 3)
            receipt = Receipt(component, what, wrong, stamp(seen), stamp(back), seconds)
            status = status_of(owner)
            receipts = with_receipts([receipt], status.get("receipts") or ())
            self.patch_status(Key.of(owner), owner["metadata"]["uid"], {**status, "receipts": receipts})
