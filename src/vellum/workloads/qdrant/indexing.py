"""Build the graph of a large collection without blocking requests: another process builds it, on a copy.

qdrant-edge never builds one by itself, and its ``optimize`` holds the GIL to the end: 20 s for 30 000 points of 128
numbers, while a thread of the same process answered one query (measured). So a quiet, large collection is copied and
built elsewhere while this process answers from the original. A write in between discards the copy.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from concurrent.futures import Executor
from pathlib import Path

from vellum.workloads.qdrant import space
from vellum.workloads.qdrant.collections import Collection, Collections
from vellum.workloads.qdrant.schema import INDEXING_THRESHOLD

THRESHOLD = 20_000
"""Points without a graph that justify a build; fewer are compared one by one in a few milliseconds."""
QUIET = 3.0
"""Seconds without a write before a build begins, so that an upload in batches does not start one in its middle."""
_LOOK = 0.5


class Indexer:
    """Watches the collections that are open; one build at a time."""

    def __init__(self, collections: Collections, worker: Executor) -> None:
        self._collections = collections
        self._worker = worker
        self._seen: dict[Path, tuple[int, float]] = {}
        self._built: dict[Path, int] = {}

    async def run(self) -> None:
        """Build graphs one after the other until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK)
            collection = await loop.run_in_executor(self._worker, self._next)
            if collection is not None:
                await self._build(collection)

    def _next(self) -> Collection | None:
        return next(
            (
                collection
                for collection in self._collections
                if self._is_quiet(collection) and self._is_worth_it(collection)
            ),
            None,
        )

    def _is_quiet(self, collection: Collection) -> bool:
        writes, since = self._seen.get(collection.folder, (-1, 0.0))
        if writes != collection.writes:
            self._seen[collection.folder] = (collection.writes, time.monotonic())
            return False
        return time.monotonic() - since >= QUIET

    def _is_worth_it(self, collection: Collection) -> bool:
        if not (collection.is_open and collection.schema.dense and space.has_room(collection.folder)):
            return False
        if self._built.get(collection.folder) == collection.writes:
            return False
        info = collection.shard.info()
        waiting = info.points_count - info.indexed_vectors_count
        kilobytes = waiting * max(item.size for item in collection.schema.dense.values()) * 4 / 1024
        return waiting > THRESHOLD and kilobytes > INDEXING_THRESHOLD

    async def _build(self, collection: Collection) -> None:
        loop = asyncio.get_running_loop()
        writes, copy = collection.writes, collection.next_shard_path()
        await loop.run_in_executor(self._worker, collection.flush)
        process = await _start(collection.shard_path, copy)
        try:
            while process.returncode is None and self._stands(collection, writes):
                await asyncio.wait([asyncio.ensure_future(process.wait())], timeout=_LOOK)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        await loop.run_in_executor(self._worker, self._finish, collection, writes, copy, process.returncode)

    def _finish(self, collection: Collection, writes: int, copy: Path, code: int | None) -> None:
        if code == 0 and self._stands(collection, writes):
            collection.adopt(copy)
        else:
            shutil.rmtree(copy, ignore_errors=True)
        if collection not in self._collections:
            shutil.rmtree(collection.folder, ignore_errors=True)
        self._built[collection.folder] = writes

    def _stands(self, collection: Collection, writes: int) -> bool:
        return collection.writes == writes and collection in self._collections


async def _start(original: Path, copy: Path) -> asyncio.subprocess.Process:
    """Start the build without a key, since it needs none."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("QDRANT__")}
    argv = (sys.executable, "-P", "-m", "vellum.workloads.qdrant.build", str(original), str(copy))
    return await asyncio.create_subprocess_exec(*argv, env=environment, stdin=asyncio.subprocess.DEVNULL)
