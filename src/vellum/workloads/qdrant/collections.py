"""Collections on disk, created, opened and deleted so that a kill at any moment leaves a whole collection or none.

    <folder>/lock                     held while the process lives
    <folder>/<uuid>/collection.json   name, schema, the current shard folder: the collection exists while this does
    <folder>/<uuid>/shard-<n>/        qdrant-edge's own files

Folders carry no names, so any name is safe on any disk. Not thread-safe: one thread does all of it (``server``).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import orjson
import qdrant_edge as edge

from vellum.errors import WorkloadError
from vellum.workloads.qdrant import space
from vellum.workloads.qdrant.refused import RefusedError, absent, refused
from vellum.workloads.qdrant.schema import Schema

_RECORD = "collection.json"
_FORBIDDEN = frozenset('<>:"/\\|?*') | {chr(code) for code in (*range(32), 127)}
"""Qdrant's own list and all control characters."""
_MAX_NAME = 255


class Collection:
    """One collection; its shard is opened at the first use, which keeps the start fast."""

    def __init__(self, folder: Path, name: str, schema: Schema, shard: str) -> None:
        self.folder = folder
        self.name = name
        self.schema = schema
        self.writes = 0
        self.settled: set[object] = set()
        """Checks that conditions have one meaning in all releases for the stored payloads (``releases``)."""
        self._shard_name = shard
        self._shard: edge.EdgeShard | None = None

    @classmethod
    def load(cls, folder: Path) -> Collection:
        """Read a collection's record."""
        record = orjson.loads((folder / _RECORD).read_bytes())
        return cls(folder, record["name"], Schema.read(record["schema"]), record["shard"])

    @property
    def shard(self) -> edge.EdgeShard:
        """The open shard; to open it needs room on the disk, since the core replays its write-ahead log."""
        if self._shard is None:
            space.check(self.folder)
            self._shard = edge.EdgeShard.load(str(self.shard_path))
        return self._shard

    @property
    def shard_path(self) -> Path:
        """The folder of the current shard."""
        return self.folder / self._shard_name

    @property
    def is_open(self) -> bool:
        """Return whether the shard has been used."""
        return self._shard is not None

    def update(self, operation: edge.UpdateOperation) -> int:
        """Apply one write and store it in the write-ahead log; return its number since the start."""
        self.writes += 1
        self.settled.clear()
        self.shard.update(operation)
        return self.writes

    def next_shard_path(self) -> Path:
        """Return a folder for a rebuilt shard; it becomes the current one only by ``adopt``."""
        return self.folder / f"shard-{int(self._shard_name.removeprefix('shard-')) + 1}"

    def adopt(self, path: Path) -> None:
        """Make a rebuilt shard the current one, and remove the old one."""
        old = self.shard_path
        self.close()
        self._shard_name = path.name
        self.write_record()
        shutil.rmtree(old, ignore_errors=True)

    def write_record(self) -> None:
        """Write the record as a whole or not at all."""
        record = {"name": self.name, "schema": self.schema.record(), "shard": self._shard_name}
        draft = self.folder / f"{_RECORD}.draft"
        with draft.open("wb") as file:
            file.write(orjson.dumps(record))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.folder / _RECORD)
        _sync(self.folder)

    def flush(self) -> None:
        """Write everything so far into its files."""
        self.shard.flush()

    def close(self) -> None:
        """Close the shard, flushed if the disk has room; the write-ahead log holds all writes."""
        if self._shard is not None:
            shard, self._shard = self._shard, None
            # Without enough space the shard is only dropped. This thread drops it here, before the folder is removed or
            # its lock is released. A drop flushes what fits. On a full disk the flush failed silently and lost nothing.
            # In a removed folder it made no file (measured on qdrant-edge 0.9.0).
            if space.has_room(self.folder):
                shard.flush()
                shard.close()


class Collections:
    """All collections of one folder, which one process holds at a time.

    Raises:
        WorkloadError: another process holds the folder (VEL514), or a record cannot be read (VEL515).
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)
        self._lock = _hold(root)
        self._by_name = {item.name: item for item in _stored(root)}

    def __iter__(self) -> Iterator[Collection]:
        return iter(list(self._by_name.values()))

    def names(self) -> list[str]:
        """Return the names, sorted."""
        return sorted(self._by_name)

    def __contains__(self, item: str | Collection) -> bool:
        return self._by_name.get(item.name) is item if isinstance(item, Collection) else item in self._by_name

    def get(self, name: str) -> Collection:
        """Return a collection.

        Raises:
            RefusedError: no collection has that name (404).
        """
        collection = self._by_name.get(name)
        if collection is None:
            raise absent(f"Collection `{name}` doesn't exist!")
        return collection

    def create(self, name: str, schema: Schema) -> None:
        """Create an empty collection; it exists from the moment its record is renamed into place.

        Raises:
            RefusedError: the name is taken (409) or not usable (400).
        """
        check_name(name)
        if name in self._by_name:
            raise RefusedError(409, f"Wrong input: Collection `{name}` already exists!")
        folder = self._root / uuid.uuid4().hex
        folder.mkdir(mode=0o700)
        collection = Collection(folder, name, schema, "shard-0")
        try:
            edge.EdgeShard.create(str(collection.shard_path), schema.edge()).close()
            collection.write_record()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        _sync(self._root)
        self._by_name[name] = collection

    def delete(self, name: str) -> bool:
        """Delete a collection by first deleting its record; return whether it existed."""
        collection = self._by_name.pop(name, None)
        if collection is None:
            return False
        (collection.folder / _RECORD).unlink()
        _sync(collection.folder)
        collection.close()
        shutil.rmtree(collection.folder, ignore_errors=True)
        return True

    def close(self) -> None:
        """Flush and close everything, and release the folder."""
        for collection in self:
            collection.close()
        self._lock.close()


def check_name(name: str) -> None:
    """Refuse a collection name that Qdrant, a disk or a user could mistake."""
    if not name or len(name) > _MAX_NAME:
        raise refused(f"Collection name must have 1 to {_MAX_NAME} characters")
    if name.startswith("."):
        raise refused("Collection name cannot start with `.`")
    if bad := sorted(_FORBIDDEN & set(name)):
        raise refused(f"Collection name cannot contain {bad[0]!r}")


def _hold(root: Path) -> IO[bytes]:
    """Lock the folder; the kernel releases the lock when the process ends in any way."""
    lock = (root / "lock").open("ab")
    (root / "lock").chmod(0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        fix = "stop the other one: `vellum down`"
        raise WorkloadError("VEL514", "another process holds the collections", where=str(root), fix=fix) from error
    return lock


def _stored(root: Path) -> Iterator[Collection]:
    """Read every record, and remove what a kill left behind: folders without a record."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if not (folder / _RECORD).exists():
            shutil.rmtree(folder, ignore_errors=True)
            continue
        try:
            collection = Collection.load(folder)
        except (OSError, ValueError, KeyError, TypeError, RefusedError) as error:
            where, fix = (str(folder / _RECORD), "put the file back, or move the folder away to go on without it")
            raise WorkloadError("VEL515", "a collection's record cannot be read", where=where, fix=fix) from error
        for other in folder.glob("shard-*"):
            if other != collection.shard_path:
                shutil.rmtree(other, ignore_errors=True)
        yield collection


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
