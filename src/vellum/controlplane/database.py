"""Objects in one SQLite file and in memory, with one writer. Every acknowledged transaction survives SIGKILL.

The single writer makes the copy in memory safe; after a restart the file is the truth. A transaction that fails
restores the memory. One exception: a status that does not fit on the disk stays in memory until it fits.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from vellum.controlplane.watch import Watch
from vellum.errors import StoreError
from vellum.kube.objects import Key, Obj
from vellum.kube.patch import copied

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
NOT_STORED = "VEL303"


class Database:
    """The objects of one installation. Safe to call from several threads of one process."""

    def __init__(self, path: Path, fault: Callable[[str], None] = lambda _: None) -> None:
        """Open or create the file with mode 0600.

        ``fault`` is called before and after every commit with the name of the transaction; tests end the process there.

        Raises:
            StoreError: another process writes the file (VEL301), or it is damaged or from a newer version (VEL302).
        """
        self.path = path
        self.mutex = threading.RLock()
        self.objects: dict[Key, Obj] = {}
        self.applied: dict[Key, Obj] = {}
        self.watches: list[Watch] = []
        self.depth = 0
        self._fault = fault
        self._undo: list[tuple[Key, Obj | None, Obj | None]] = []
        self._broken: sqlite3.Error | None = None
        self._trouble = False
        self._unstored: set[Key] = set()
        with ExitStack() as undo:
            self._lock = _only_writer(path)
            undo.callback(os.close, self._lock)
            try:
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
                self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
                undo.callback(self._db.close)
                self._prepare()
                self.version = self._before = self._load()
            # A damaged file can fail in any of these ways; the user needs one message for all of them.
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
        # This version must not change the tables of a newer one, so it looks at the schema first.
        schema = _schema_of(self._db)
        if schema > SCHEMA:
            raise StoreError(
                "VEL302",
                f"a newer Vellum wrote the store (schema {schema}; this version knows {SCHEMA})",
                where=str(self.path),
                fix="install the newer version again",
            )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_TABLES)
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('schema', ?), ('version', '0')", (str(SCHEMA),))

    def _load(self) -> int:
        for body, applied in self._db.execute("SELECT body, applied FROM objects"):
            obj, memory = json.loads(body), json.loads(applied)
            if not _is_stored(obj) or not isinstance(memory, dict):
                raise ValueError(f"a row does not hold an object: {str(body)[:80]}")  # see __init__
            self.objects[Key.of(obj)] = obj
            self.applied[Key.of(obj)] = memory
        return int(self._db.execute("SELECT value FROM meta WHERE name='version'").fetchone()[0])

    def close(self) -> None:
        """Close the file and release its lock. A second call does nothing."""
        with self.mutex:
            self._db.close()
            if self._lock >= 0:
                os.close(self._lock)
            # The number can belong to another file after the first call.
            self._lock = -1

    @contextmanager
    def transaction(self, name: str) -> Iterator[None]:
        """Store all writes inside the block, or none of them. Blocks nest; the outermost one commits.

        Raises:
            StoreError: the file could not be written (VEL303). Nothing changed, in memory or in the file.
        """
        with self.mutex:
            if self.depth == 0:
                self._undo, self._broken, self._before = [], None, self.version
            self.depth += 1
            try:
                yield
            except BaseException:
                self.depth -= 1
                if self.depth == 0:
                    self._roll_back()
                raise
            self.depth -= 1
            if self.depth == 0:
                self._commit(name)

    def _commit(self, name: str) -> None:
        # A full disk makes SQLite end the transaction. A caller that caught that error must not continue in
        # a second transaction and store half of what belongs together.
        if self._broken:
            self._roll_back()
            raise self._not_stored(name, self._broken)
        if not self._db.in_transaction:
            return
        try:
            if self.version != self._before:
                self._db.execute("UPDATE meta SET value=? WHERE name='version'", (str(self.version),))
            self._fault(f"{name}: before")
            self._db.execute("COMMIT")
        except sqlite3.Error as cause:
            self._roll_back()
            raise self._not_stored(name, cause) from cause
        self._trouble = False
        self._unstored.difference_update(key for key, _, _ in self._undo)
        self._fault(f"{name}: after")
        for key, _, _ in self._undo:
            self._poke(key)

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self.version = self._before
        for key, obj, applied in reversed(self._undo):
            for memory, value in ((self.objects, obj), (self.applied, applied)):
                if value is None:
                    memory.pop(key, None)
                else:
                    memory[key] = value

    def _poke(self, key: Key) -> None:
        for watch in self.watches:
            watch.poke(key)

    def _not_stored(self, name: str, cause: sqlite3.Error) -> StoreError:
        self._trouble = True
        return StoreError(
            NOT_STORED,
            f"the write {name!r} was not stored: {cause}",
            where=str(self.path),
            fix="free some disk space and try again; nothing was changed",
        )

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Run a statement that writes, inside the current transaction.

        Raises:
            StoreError: the file could not be written (VEL303).
        """
        try:
            if not self._db.in_transaction:
                self._db.execute("BEGIN IMMEDIATE")
            return self._db.execute(statement, values)
        except sqlite3.Error as cause:
            self._broken = cause
            raise self._not_stored(statement.split(" ", maxsplit=1)[0], cause) from cause

    def read(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement that only reads."""
        with self.mutex:
            return self._db.execute(statement).fetchall()

    def write(self, obj: Obj, applied: Obj | None = None) -> Obj:
        """Store an object under a new resourceVersion and return a copy.

        ``applied`` is what its writer applied; None keeps what was applied before.
        """
        key = Key.of(obj)
        self._remember(key)
        obj["metadata"]["resourceVersion"] = str(self.version)
        memory = self.applied.get(key, {}) if applied is None else applied
        row = (key.api_version, key.kind, key.namespace, key.name, _dumped(obj), _dumped(memory))
        self.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)", row)
        self.objects[key], self.applied[key] = obj, memory
        return copied(obj)  # type: ignore[no-any-return]  # JSON in, JSON out

    def remove(self, key: Key) -> None:
        """Remove an object."""
        self._remember(key)
        self.execute(
            "DELETE FROM objects WHERE api_version=? AND kind=? AND namespace=? AND name=?",
            (key.api_version, key.kind, key.namespace, key.name),
        )
        self.objects.pop(key, None)
        self.applied.pop(key, None)

    def _remember(self, key: Key) -> None:
        self._undo.append((key, self.objects.get(key), self.applied.get(key)))
        self.version += 1

    def is_unstored(self, key: Key) -> bool:
        """Return whether the newest status of the object is only in memory."""
        return key in self._unstored

    def keep_in_memory(self, obj: Obj) -> None:
        """Replace an object in memory only, because the disk has no room for its status."""
        key = Key.of(obj)
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self.objects[key] = obj
        self._unstored.add(key)
        self._poke(key)

    def trouble(self) -> StoreError | None:
        """Store the objects that are only in memory; return why the file cannot be written, None if it can."""
        with self.mutex:
            if not self._trouble:
                return None
            try:
                with self.transaction("catch up"):
                    for key in [key for key in self._unstored if key in self.objects]:
                        self.write(copied(self.objects[key]))
                    self.execute("UPDATE meta SET value=? WHERE name='version'", (str(self.version),))
            except StoreError as error:
                return error
            self._unstored.clear()
            return None


def _unreadable(path: Path, cause: Exception) -> StoreError:
    return StoreError(
        "VEL302",
        f"the store cannot be opened: {cause}",
        where=str(path),
        fix="restore it from a copy, or move it away and run `vellum up` again; buckets and vectors are elsewhere",
    )


def _is_stored(obj: object) -> bool:
    """Return whether this has the form of an object that a store wrote."""
    if not isinstance(obj, dict) or not isinstance(obj.get("metadata"), dict):
        return False
    meta = obj["metadata"]
    texts = (obj.get("apiVersion"), obj.get("kind"), meta.get("name"), meta.get("uid"), meta.get("namespace", ""))
    maps = (obj.get("spec", {}), obj.get("status", {}), meta.get("labels") or {}, meta.get("annotations") or {})
    lists = (meta.get("finalizers") or [], meta.get("ownerReferences") or [])
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(value, dict) for value in maps)
        and all(isinstance(value, list) for value in lists)
        and isinstance(meta.get("generation"), int)
    )


def _schema_of(db: sqlite3.Connection) -> int:
    """Return the schema that the file names, 0 for a new file."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name='meta'").fetchone():
        return 0
    row = db.execute("SELECT value FROM meta WHERE name='schema'").fetchone()
    return int(row[0]) if row else 0


def _only_writer(path: Path) -> int:
    """Take the lock beside the file and write our pid into it, for the message of the next process."""
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
            "VEL301",
            f"process {holder} is already writing this store",
            where=str(path),
            fix="use that one (`vellum status`), or stop it with `vellum down`",
        ) from cause
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _dumped(value: Obj) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
