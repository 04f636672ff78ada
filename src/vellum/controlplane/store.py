"""Objects on disk: one SQLite file, one writer, every acknowledged write survives SIGKILL.

Invariants: a write that changes nothing is not a write (no resourceVersion moves); ``generation`` moves when anything
but metadata and status changes; an object controlled by somebody else is never applied to, adopted or deleted. All
objects are also held in memory, which the single writer makes safe; the file is the truth after a restart. A status
is the one exception: if the disk has no room for it, it stays in memory only until there is room.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from vellum.errors import StoreError
from vellum.kube.objects import COMPONENT, Key, Obj, controller_uid, labels_of
from vellum.kube.patch import copied, first_difference, merged
from vellum.model.repair import Receipt, with_receipts
from vellum.model.state import Event

Objs: TypeAlias = list[Obj]
Names: TypeAlias = list[str]

SCHEMA = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
  api_version TEXT, kind TEXT, namespace TEXT, name TEXT, body TEXT NOT NULL, applied TEXT NOT NULL,
  PRIMARY KEY (kind, namespace, name, api_version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
  kind TEXT, namespace TEXT, name TEXT, type TEXT, reason TEXT, message TEXT, count INTEGER, first TEXT, last TEXT,
  PRIMARY KEY (kind, namespace, name, type, reason, message));
CREATE INDEX IF NOT EXISTS newest_events ON events (last);
"""
MISSING = "missing"
"""What is wrong with an object that is not there: the word of the release guard's receipts too."""
NOT_STORED = "VEL303"
KEPT_EVENTS = 2000
"""The oldest beyond this go; a crash loop must not fill the disk."""


def stamp(moment: datetime) -> str:
    """Return a time as Kubernetes writes it: UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Watch:
    """Changed keys, collected for one reader; writers and process threads wake it."""

    def __init__(self) -> None:
        self._changed: dict[Key, None] = {}
        self._condition = threading.Condition()

    def poke(self, key: Key) -> None:
        """Say that the key is worth another look."""
        with self._condition:
            self._changed[key] = None
            self._condition.notify_all()

    def changes(self) -> list[Key]:
        """Return and forget the keys that changed since the last call."""
        with self._condition:
            found = list(self._changed)
            self._changed.clear()
        return found

    def wait(self, seconds: float) -> None:
        """Return when something changed, at the latest after so many seconds."""
        with self._condition:
            if not self._changed:
                self._condition.wait(seconds)


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
        self.path = path
        self._clock, self._new_uid, self._fault = clock, new_uid, fault
        self._mutex = threading.RLock()
        self._watches: list[Watch] = []
        self._depth = 0
        self._undo: list[tuple[Key, Obj | None, Obj | None]] = []
        self._broken: sqlite3.Error | None = None
        self._trouble = False
        self._unstored: set[Key] = set()
        self._objects: dict[Key, Obj] = {}
        self._applied: dict[Key, Obj] = {}
        with ExitStack() as undo:
            self._lock = _only_writer(path)
            undo.callback(os.close, self._lock)
            try:
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
                self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
                undo.callback(self._db.close)
                self._prepare()
                self._version = self._before = self._load()
            # Whatever a damaged file makes SQLite or the JSON in it say, a person needs the same words.
            except (
                sqlite3.Error,
                OSError,
                ValueError,
                LookupError,
                TypeError,
                AttributeError,
                RecursionError,
            ) as cause:
                raise _unreadable(path, cause) from cause
            undo.pop_all()

    def _prepare(self) -> None:
        # A newer file is only read: what its tables look like is not ours to say.
        schema = _schema_of(self._db)
        if schema > SCHEMA:
            raise StoreError(
                "VEL302", f"the store was written by a newer Vellum (schema {schema}, this one knows {SCHEMA})",
                where=str(self.path), fix="install the newer version again",
            )  # fmt: skip
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_TABLES)
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('schema', ?), ('version', '0')", (str(SCHEMA),))

    def _load(self) -> int:
        for body, applied in self._db.execute("SELECT body, applied FROM objects"):
            obj, memory = json.loads(body), json.loads(applied)
            if not _is_stored(obj) or not isinstance(memory, dict):
                raise ValueError(f"it holds something that is no object: {str(body)[:80]}")  # see __init__
            self._objects[Key.of(obj)] = obj
            self._applied[Key.of(obj)] = memory
        return int(self._db.execute("SELECT value FROM meta WHERE name='version'").fetchone()[0])

    def close(self) -> None:
        """Close the file and let the next writer in; again does nothing."""
        with self._mutex:
            self._db.close()
            if self._lock >= 0:
                os.close(self._lock)
            # A number closed twice may be somebody else's file by then.
            self._lock = -1

    # Reading

    def get(self, key: Key) -> Obj | None:
        """Return a copy of the object, or None."""
        with self._mutex:
            obj = self._objects.get(key)
            return None if obj is None else copied(obj)

    def list(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Objs:
        """Return copies of the objects of a kind in name order."""
        with self._mutex:
            found = [
                (key, obj)
                for key, obj in self._objects.items()
                if key.kind == kind and key.api_version == api_version and namespace in (None, key.namespace)
            ]
            wanted = (labels or {}).items()
            return [
                copied(obj)
                for _, obj in sorted(found, key=lambda entry: entry[0])
                if wanted <= dict(labels_of(obj)).items()
            ]

    def everything(self) -> Objs:
        """Return copies of all objects in key order."""
        with self._mutex:
            return [copied(self._objects[key]) for key in sorted(self._objects)]

    def inside(self, namespace: str) -> Objs:
        """Return copies of all objects in a namespace."""
        with self._mutex:
            return [copied(self._objects[key]) for key in sorted(self._objects) if key.namespace == namespace]

    def controlled_by(self, uid: str) -> Objs:
        """Return copies of all objects whose controller has the uid."""
        with self._mutex:
            return [
                copied(self._objects[key])
                for key in sorted(self._objects)
                if controller_uid(self._objects[key]) == uid
            ]

    def watch(self) -> Watch:
        """Return a new subscription to every change."""
        watch = Watch()
        with self._mutex:
            self._watches.append(watch)
        return watch

    @property
    def version(self) -> int:
        """The resourceVersion of the newest write."""
        return self._version

    # Writing

    @contextmanager
    def transaction(self, what: str) -> Iterator[None]:
        """Make all writes inside one: after a crash all are there or none.

        Raises:
            StoreError: the file could not be written (VEL303); then nothing was changed, in memory as in the file.
        """
        with self._mutex:
            if self._depth == 0:
                self._begin()
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._roll_back()
                raise
            self._depth -= 1
            if self._depth == 0:
                self._commit(what)

    def _begin(self) -> None:
        self._undo, self._broken, self._before = [], None, self._version

    def _commit(self, what: str) -> None:
        # A full disk makes SQLite end the transaction by itself; a caller that swallowed the error must not go on in
        # a second one and store half of what belongs together.
        if self._broken:
            self._roll_back()
            raise self._not_stored(what, self._broken)
        if not self._db.in_transaction:
            return
        try:
            if self._version != self._before:
                self._db.execute("UPDATE meta SET value=? WHERE name='version'", (str(self._version),))
            self._fault(f"{what}: before")
            self._db.execute("COMMIT")
        except sqlite3.Error as cause:
            self._roll_back()
            raise self._not_stored(what, cause) from cause
        self._trouble = False
        self._unstored.difference_update(key for key, _, _ in self._undo)
        self._fault(f"{what}: after")
        for key, _, _ in self._undo:
            for watch in self._watches:
                watch.poke(key)

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._version = self._before
        for key, obj, applied in reversed(self._undo):
            for memory, value in ((self._objects, obj), (self._applied, applied)):
                if value is None:
                    memory.pop(key, None)
                else:
                    memory[key] = value

    def _not_stored(self, what: str, cause: sqlite3.Error) -> StoreError:
        self._trouble = True
        return StoreError(
            NOT_STORED, f"the write {what!r} was not stored: {cause}", where=str(self.path),
            fix="make room on the disk; nothing was changed",
        )  # fmt: skip

    def _sql(self, statement: str, values: tuple[Any, ...]) -> None:
        try:
            if not self._db.in_transaction:
                self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(statement, values)
        except sqlite3.Error as cause:
            self._broken = cause
            raise self._not_stored(statement.split(" ", maxsplit=1)[0], cause) from cause

    def _write(self, obj: Obj, applied: Obj | None = None) -> Obj:
        """Store an object under a new resourceVersion; generation and uid are kept by the callers."""
        key = Key.of(obj)
        self._undo.append((key, self._objects.get(key), self._applied.get(key)))
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        memory = self._applied.get(key, {}) if applied is None else applied
        row = (key.api_version, key.kind, key.namespace, key.name, _dumped(obj), _dumped(memory))
        self._sql("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)", row)
        self._objects[key], self._applied[key] = obj, memory
        return copied(obj)  # type: ignore[no-any-return]  # JSON in, JSON out

    def _remove(self, key: Key) -> None:
        self._undo.append((key, self._objects.get(key), self._applied.get(key)))
        self._version += 1
        self._sql(
            "DELETE FROM objects WHERE api_version=? AND kind=? AND namespace=? AND name=?",
            (key.api_version, key.kind, key.namespace, key.name),
        )
        self._objects.pop(key, None)
        self._applied.pop(key, None)

    def _born(self, obj: Obj) -> Obj:
        meta = {
            **obj["metadata"],
            "uid": self._new_uid(),
            "generation": 1,
            "creationTimestamp": stamp(self._clock()),
        }
        return {**copied(obj), "metadata": copied(meta)}

    def put(self, obj: Obj) -> Obj:
        """Create what a user wrote, or replace its spec; labels and annotations of others are kept.

        Status, uid and versions are the control plane's own: what somebody read and writes back says nothing of them.
        An object that a composite controls is only edited, and the next pass puts it back.

        Raises:
            StoreError: an object of that name is still being deleted (VEL304), or its namespace is missing or being
                deleted (VEL306).
        """
        key, obj = Key.of(obj), _written(obj)
        with self.transaction(f"put {key}"):
            live = self._objects.get(key)
            if live is None:
                self._namespace_must_live(key)
                return self._write(self._born(obj), copied(obj))
            if "deletionTimestamp" in live["metadata"]:
                raise StoreError(
                    "VEL304",
                    f"{key} is still being deleted",
                    where=str(key),
                    fix="wait until it is gone and apply again",
                )
            return self._edited(live, obj) if controller_uid(live) else self._applied_over(live, obj)

    def apply(self, obj: Obj, *, owner: Obj, resource: str) -> tuple[Obj, str]:
        """Apply what we say of an object that ``owner`` controls; return it and what was wrong with it in words.

        Raises:
            StoreError: somebody else controls it (VEL305), or its namespace is missing or going (VEL306).
        """
        key, uid = Key.of(obj), owner["metadata"]["uid"]
        marked = _marked(obj, owner, resource)
        with self.transaction(f"apply {key}"):
            self._namespace_must_live(key)
            live = self._objects.get(key)
            if live is None:
                return self._write(self._born(marked), copied(marked)), MISSING
            if controller_uid(live) != uid:
                raise StoreError(
                    "VEL305", f"{key} is not ours, so it is neither adopted nor changed", where=str(key),
                    fix="remove or rename that object; the claim goes on by itself",
                )  # fmt: skip
            if "deletionTimestamp" in live["metadata"]:
                return copied(live), ""
            # Where we say something else than last time, we changed our mind and nobody edited anything.
            where = first_difference(marked, live) if self._applied[key] == marked else ""
            return self._applied_over(live, marked), f"edited at {where}" if where else ""

    def _applied_over(self, live: Obj, obj: Obj) -> Obj:
        before = self._applied.get(Key.of(obj), {})
        return self._replaced(live, merged(live, before, obj), before, obj)

    def _edited(self, live: Obj, obj: Obj) -> Obj:
        # The owner's memory stays: without it nobody could tell an edit from what the owner meant.
        memory = self._applied[Key.of(obj)]
        return self._replaced(live, merged(live, {}, obj), memory, memory)

    def _replaced(self, live: Obj, result: Obj, before: Obj, memory: Obj) -> Obj:
        if result == live and before == memory:
            return copied(live)  # type: ignore[no-any-return]  # JSON in, JSON out
        if _spec_of(result) != _spec_of(live):
            result["metadata"] = {**result["metadata"], "generation": live["metadata"]["generation"] + 1}
        return self._write(copied(result), copied(memory))

    def _namespace_must_live(self, key: Key) -> None:
        if not key.namespace:
            return
        namespace = self._objects.get(Key("v1", "Namespace", "", key.namespace))
        if namespace is None or "deletionTimestamp" in namespace["metadata"]:
            state = "does not exist" if namespace is None else "is being deleted"
            raise StoreError(
                "VEL306",
                f"namespace {key.namespace} {state}",
                where=str(key),
                fix="wait; it is tried again by itself",
            )

    def ensure(self, obj: Obj) -> Obj:
        """Create the object if there is none of that name; return what is there.

        Raises:
            StoreError: its namespace is missing or being deleted (VEL306).
        """
        key = Key.of(obj)
        with self.transaction(f"ensure {key}"):
            live = self._objects.get(key)
            if live is None:
                self._namespace_must_live(key)
                return self._write(self._born(obj), {})
            return copied(live)  # type: ignore[no-any-return]  # JSON in, JSON out

    def patch_status(self, key: Key, uid: str, status: Obj, *, keeps: Sequence[str] = ()) -> bool:
        """Replace the status of the object with this uid; no write when it says the same.

        ``keeps`` names fields of the live status that stay. A status that cannot be stored is kept in memory, and
        ``trouble`` says so.
        """
        try:
            with self.transaction(f"status {key}"):
                live = self._with_status(key, uid, status, keeps)
                if live is not None:
                    self._write(live)
                return live is not None
        except StoreError as error:
            if self._depth or error.code != NOT_STORED:
                raise
        with self._mutex:
            live = self._with_status(key, uid, status, keeps)
            if live is None or live["status"] == self._objects[key].get("status"):
                return False
            self._version += 1
            live["metadata"]["resourceVersion"] = str(self._version)
            self._objects[key] = live
            self._unstored.add(key)
            for watch in self._watches:
                watch.poke(key)
            return True

    def _with_status(self, key: Key, uid: str, status: Obj, keeps: Sequence[str]) -> Obj | None:
        """Return a copy of the object with that status, None if there is nothing to write."""
        live = self._objects.get(key)
        if live is None or live["metadata"]["uid"] != uid:
            return None
        before = live.get("status") or {}
        said = {**status, **{name: before[name] for name in keeps if name in before}}
        if live.get("status") == said and key not in self._unstored:
            return None
        return {**copied(live), "status": copied(said)}

    def trouble(self) -> StoreError | None:
        """Store the statuses that are only in memory; return why the store cannot write now, None if it can."""
        with self._mutex:
            if not self._trouble:
                return None
            try:
                with self.transaction("catch up"):
                    for key in [key for key in self._unstored if key in self._objects]:
                        self._write(copied(self._objects[key]))
                    self._sql("UPDATE meta SET value=? WHERE name='version'", (str(self._version),))
            except StoreError as error:
                return error
            self._unstored.clear()
            return None

    def set_finalizer(self, key: Key, uid: str, finalizer: str, *, present: bool) -> bool:
        """Add or remove a finalizer; the last one gone ends an object that is being deleted."""
        with self.transaction(f"finalizer {key}"):
            live = self._objects.get(key)
            if live is None or live["metadata"]["uid"] != uid:
                return False
            held: Names = list(live["metadata"].get("finalizers") or ())
            if (finalizer in held) == present:
                return False
            rest = [*held, finalizer] if present else [name for name in held if name != finalizer]
            if not rest and "deletionTimestamp" in live["metadata"]:
                self._remove(key)
                return True
            meta = {**copied(live["metadata"]), "finalizers": rest}
            if not rest:
                del meta["finalizers"]
            self._write({**copied(live), "metadata": meta})
            return True

    def delete(self, key: Key, *, uid: str | None = None) -> bool:
        """Delete the object, or mark it while finalizers hold it; False if it is not there or has another uid."""
        with self.transaction(f"delete {key}"):
            live = self._objects.get(key)
            if live is None or (uid is not None and live["metadata"]["uid"] != uid):
                return False
            if not live["metadata"].get("finalizers") and key.kind != "Namespace":
                self._remove(key)
                return True
            if "deletionTimestamp" in live["metadata"]:
                return False
            self._write(
                {
                    **copied(live),
                    "metadata": {**copied(live["metadata"]), "deletionTimestamp": stamp(self._clock())},
                }
            )
            return True

    def finish(self, key: Key, *, uid: str) -> bool:
        """Remove a namespace that is being deleted; False while anything is in it or holds it."""
        with self.transaction(f"finish {key}"):
            live = self._objects.get(key)
            if live is None or live["metadata"]["uid"] != uid or live["metadata"].get("finalizers"):
                return False
            # Asked in the same transaction: an object that came in between would be left without its namespace.
            if "deletionTimestamp" not in live["metadata"] or self.inside(key.name):
                return False
            self._remove(key)
            return True

    # Talking

    def record(self, key: Key, event: Event) -> None:
        """Count an event; the same sentence about the same object is one line with a counter."""
        now = stamp(self._clock())
        with self.transaction(f"event {key}"):
            self._sql(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?)"
                " ON CONFLICT DO UPDATE SET count=count+1, last=excluded.last",
                (key.kind, key.namespace, key.name, event.type, event.reason, event.message, now, now),
            )
            self._sql(
                "DELETE FROM events WHERE rowid IN"
                " (SELECT rowid FROM events ORDER BY last DESC, rowid DESC LIMIT -1 OFFSET ?)",
                (KEPT_EVENTS,),
            )

    def events(self) -> Objs:
        """Return all events, oldest first."""
        names = ("kind", "namespace", "name", "type", "reason", "message", "count", "first", "last")
        with self._mutex:
            rows = self._db.execute(f"SELECT {', '.join(names)} FROM events ORDER BY last, rowid")  # noqa: S608  # own words
            return [dict(zip(names, row, strict=True)) for row in rows]

    def receipt(self, obj: Obj, what: str, wrong: str, seen: datetime, back: datetime) -> None:
        """Tell the composite that controls ``obj``, in its status, that ``what``, it or its process, was put back."""
        with self.transaction(f"receipt {what}"):
            owner = self._with_uid(controller_uid(obj))
            if owner is None:
                return
            component, seconds = labels_of(obj).get(COMPONENT, ""), round((back - seen).total_seconds(), 3)
            receipt = Receipt(component, what, wrong, stamp(seen), stamp(back), seconds)
            status = owner.get("status") or {}
            receipts = with_receipts([receipt], status.get("receipts") or ())
            self.patch_status(Key.of(owner), owner["metadata"]["uid"], {**status, "receipts": receipts})

    def _with_uid(self, uid: str | None) -> Obj | None:
        return next((obj for obj in self._objects.values() if obj["metadata"]["uid"] == uid), None)


def _unreadable(path: Path, cause: Exception) -> StoreError:
    return StoreError(
        "VEL302", f"the store cannot be opened: {cause}", where=str(path),
        fix="restore it from a copy, or move it away and run `vellum up` again; buckets and vectors are elsewhere",
    )  # fmt: skip


def _is_stored(obj: object) -> bool:
    """Tell whether this has the form of an object that a store wrote."""
    if not isinstance(obj, dict) or not isinstance(obj.get("metadata"), dict):
        return False
    meta = obj["metadata"]
    texts = (
        obj.get("apiVersion"),
        obj.get("kind"),
        meta.get("name"),
        meta.get("uid"),
        meta.get("namespace", ""),
    )
    maps = (
        obj.get("spec", {}),
        obj.get("status", {}),
        meta.get("labels") or {},
        meta.get("annotations") or {},
    )
    lists = (meta.get("finalizers") or [], meta.get("ownerReferences") or [])
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(found, dict) for found in maps)
        and all(isinstance(found, list) for found in lists)
        and isinstance(meta.get("generation"), int)
    )


def _schema_of(db: sqlite3.Connection) -> int:
    """Return the schema that the file says it has, 0 for a new file."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name='meta'").fetchone():
        return 0
    found = db.execute("SELECT value FROM meta WHERE name='schema'").fetchone()
    return int(found[0]) if found else 0


def _only_writer(path: Path) -> int:
    """Take the lock beside the file and leave our pid in it for the next one's message."""
    try:
        lock = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as cause:
        raise _unreadable(path, cause) from cause
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as cause:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise StoreError(
            "VEL301", f"process {holder} is already writing this store", where=str(path),
            fix="use that one (`vellum status`), or stop it with `vellum down`",
        ) from cause  # fmt: skip
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _dumped(value: Obj) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


_OWN_METADATA = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp")


def _written(obj: Obj) -> Obj:
    """Return what a person can say of an object: without status and what only the control plane knows."""
    meta = {name: value for name, value in obj["metadata"].items() if name not in _OWN_METADATA}
    return {**{name: value for name, value in obj.items() if name != "status"}, "metadata": meta}


def _spec_of(obj: Obj) -> Obj:
    return {name: value for name, value in obj.items() if name not in ("metadata", "status")}


RESOURCE_ANNOTATION = "crossplane.io/composition-resource-name"
"""The name of a composed object inside its composite, under the key that Crossplane uses."""


def _marked(obj: Obj, owner: Obj, resource: str) -> Obj:
    meta = obj["metadata"]
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    annotations = {**(meta.get("annotations") or {}), RESOURCE_ANNOTATION: resource}
    return {**obj, "metadata": {**meta, "annotations": annotations, "ownerReferences": [reference]}}
