"""Read the first pages of the next folders while the current one is read. Pure except for the pages that it awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from typing import Generic, TypeVar

AT_ONCE = 8
"""Pages that are asked for at the same time, and folders of one level that are read ahead."""
_MOST = 32
"""Pages that are held, of all levels."""

P = TypeVar("P")


class Ahead(Generic[P]):
    """Pages of folders, some of them requested before they are needed."""

    def __init__(self, pages: Callable[[str, str, int], Awaitable[P]], wanted: int) -> None:
        """Read for a listing that ends after so many entries."""
        self._pages, self._wanted = pages, wanted
        self.entries = 0
        """Entries that the listing has."""
        self._folders = 0
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._begun: dict[tuple[str, int], asyncio.Task[P]] = {}

    async def page(self, prefix: str, after: str, size: int) -> P:
        """Return a page, from what was begun if it is there."""
        begun = self._begun.pop((prefix, size), None) if after in ("", prefix) else None
        return await (begun or self._gated(prefix, after, size))

    def begin(self, prefixes: Iterable[str], size: int) -> None:
        """Begin to read the next folders, before the current one is read.

        No more are begun than the listing still needs if they have as many entries as those before. So the first
        folder is read alone.
        """
        enough = (self._wanted - self.entries) * self._folders // max(1, self.entries) - 1
        self._folders += 1
        for prefix in islice(prefixes, max(0, min(AT_ONCE, enough))):
            if (prefix, size) not in self._begun and len(self._begun) < _MOST:
                self._begun[prefix, size] = asyncio.create_task(self._gated(prefix, "", size))

    async def forget(self) -> None:
        """End what was begun and is not needed any more."""
        begun = list(self._begun.values())
        self._begun.clear()
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)

    async def _gated(self, prefix: str, after: str, size: int) -> P:
        async with self._gate:
            return await self._pages(prefix, after, size)
