"""List keys in S3's order from a store that lists folders. Pure except for the pages that it awaits.

S3 lists by the bytes of whole keys: ``run-1/a``, ``run.txt``, ``run/x``, since ``-`` and ``.`` come before ``/``. A
folder's entries come by the bytes of their names: ``run``, ``run-1``, ``run.txt``. So the content of a folder waits
until every name that begins with the folder's, and goes on with a byte below ``/``, has been seen. What waits is a
chain of names, each the beginning of the next: at most as many as the longest name has bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from vellum.workloads.s3.ahead import Ahead
from vellum.workloads.s3.keys import LONGEST_NAME, refusal

HIGHEST = "\U0010ffff"
"""The highest character."""
_SOME = 3
"""The number of entries that are read to find out whether a folder has keys."""


@dataclass(frozen=True, slots=True)
class Item:
    """One key and what a listing says of it: the elements of its XML beside the key, by name, in order."""

    key: str
    facts: tuple[tuple[str, str], ...] = ()
    owner: tuple[str, str] = ("", "")
    """Identity and display name."""


@dataclass(frozen=True, slots=True)
class Group:
    """All keys that begin with ``prefix``, which ends with the delimiter."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Page:
    """Entries of one folder, sorted by name: keys in full, and folders by their full path without the last slash."""

    items: Sequence[Item]
    folders: Sequence[str]
    after: str
    """Where the next page begins; empty on the last."""


Entry: TypeAlias = Item | Group
Pages = Callable[[str, str, int], Awaitable[Page]]
"""From a prefix, what to start after (empty, or a text that begins with the prefix) and a size, to entries of the
folder in which the prefix's last slash ends."""


@dataclass(slots=True)
class Listing:
    """One page of what a client asked for."""

    entries: list[Entry] = field(default_factory=list)
    truncated: bool = False

    @property
    def last(self) -> str:
        """Where the next page begins."""
        entry = self.entries[-1]
        return entry.prefix if isinstance(entry, Group) else entry.key


async def listed(pages: Pages, *, prefix: str, delimiter: str, after: str, most: int) -> Listing:
    """Return the first entries after a text, in S3's order; a group counts as one, and not if ``after`` is in it."""
    listing = Listing()
    if most == 0 or _never(prefix):
        return listing
    # Other delimiters skip the content of a group, so pages that were read ahead would be discarded.
    ahead = Ahead(pages, most + 1 if delimiter in ("", "/") else 0)
    try:
        async for entry in _grouped(_Walk(ahead, min(1000, most + 2)), prefix, delimiter, after):
            if len(listing.entries) == most:
                listing.truncated = True
                break
            listing.entries.append(entry)
            ahead.entries += 1
    finally:
        await ahead.forget()
    return listing


def _never(prefix: str) -> bool:
    """Return whether no storable key has this prefix."""
    folders, _, name = prefix.rpartition("/")
    return bool(
        "//" in prefix
        or (name not in (".", "..") and _cut(name) != name)
        or prefix.startswith("/")
        or (folders and refusal(folders, writes=False))
    )


async def _grouped(walk: _Walk, prefix: str, delimiter: str, after: str) -> AsyncIterator[Entry]:
    if after and not after.startswith(prefix):
        if after > prefix:
            return
        after = ""
    if delimiter == "/":
        async for entry in walk.entries(prefix, _past(after, prefix, delimiter), groups=True):
            yield entry
        return
    while True:
        after = _past(after, prefix, delimiter)
        async for entry in walk.entries(prefix, after, groups=False):
            group = _group(entry.key, prefix, delimiter) if isinstance(entry, Item) else ""
            if not group:
                yield entry
            elif not after.startswith(group):
                yield Group(group)
                # Skip the rest of the group instead of reading it.
                after = group
                break
        else:
            return


def _group(key: str, prefix: str, delimiter: str) -> str:
    if not delimiter:
        return ""
    end = key.find(delimiter, len(prefix))
    return key[: end + len(delimiter)] if end >= 0 else ""


def _past(after: str, prefix: str, delimiter: str) -> str:
    """Return what to start after when the group in which ``after`` lies is done."""
    group = _group(after, prefix, delimiter)
    return group + HIGHEST if group else after


class _Walk:
    """Traverses folders in the order of whole keys."""

    def __init__(self, ahead: Ahead[Page], size: int) -> None:
        self._ahead, self._size = ahead, size

    async def entries(self, prefix: str, after: str, *, groups: bool) -> AsyncIterator[Entry]:
        """Yield what begins with the prefix and comes after a text; folders of the first level as groups, if asked."""
        waiting = await self._passed(prefix, after)
        folder, name, slash = _next_name(prefix, after)
        start = folder + _cut(name)
        if slash and name and _cut(name) == name:
            async for entry in self._content(folder + name, after, groups=groups):
                yield entry
            # Names from here to NAME + "/" hold only keys that come before what is in it.
            start += f".{HIGHEST}"
        coming: deque[str] = deque()
        async for path, item in self._from(prefix, start, coming):
            while waiting and f"{waiting[-1]}/" < path:
                self._look_ahead(coming, waiting[-1], groups=groups)
                async for entry in self._content(waiting.pop(), after, groups=groups):
                    yield entry
            # The store shows the folder that is named like the prefix, also when it starts after the prefix.
            if item is None and path not in waiting:
                waiting.append(path)
            elif item is not None and path > after:
                yield item
        while waiting:
            self._look_ahead(coming, waiting[-1], groups=groups)
            async for entry in self._content(waiting.pop(), after, groups=groups):
                yield entry

    async def _from(self, prefix: str, start: str, coming: deque[str]) -> AsyncIterator[tuple[str, Item | None]]:
        """Yield the names of a folder: keys with their item, and folders, which also wait in ``coming``."""
        if not start.startswith(prefix):
            start = ""
        while True:
            page = await self._ahead.page(prefix, start, self._size)
            coming.extend(sorted(f"{path}/" for path in page.folders))
            for pair in _merged(page):
                yield pair
            start = page.after
            if not start:
                return

    def _look_ahead(self, coming: deque[str], path: str, *, groups: bool) -> None:
        """Begin to read the folders that come after this one."""
        while coming and coming[0] <= f"{path}/":
            coming.popleft()
        self._ahead.begin(coming, _SOME if groups else self._size)

    async def _content(self, path: str, after: str, *, groups: bool) -> AsyncIterator[Entry]:
        inside = f"{path}/"
        if not after.startswith(inside):
            if after > inside:
                return
            after = ""
        if groups:
            # A folder stays empty after its last key is deleted.
            if not after and await self._has_keys(inside):
                yield Group(inside)
            return
        async for entry in self.entries(inside, after, groups=False):
            yield entry

    async def _has_keys(self, inside: str) -> bool:
        after = ""
        while True:
            page = await self._ahead.page(inside, after, _SOME)
            if page.items:
                return True
            for path in page.folders:
                if await self._has_keys(f"{path}/"):
                    return True
            after = page.after
            if not after:
                return False

    async def _passed(self, prefix: str, after: str) -> list[str]:
        """Return the folders whose names begin the next name of ``after``, and whose content comes after it."""
        folder, name, slash = _next_name(prefix, after)
        known = _cut(name)
        ends = [end for end in range(1, min(len(known) + 1, len(name))) if name[end] < "/"]
        if name and not slash and known == name:
            ends.append(len(name))
        paths = [folder + name[:end] for end in ends if len(folder) + end >= len(prefix)]
        return [path for path in paths if await self._has_keys(f"{path}/")]


def _next_name(prefix: str, after: str) -> tuple[str, str, bool]:
    """Return the prefix's folder, the name that follows it in ``after``, and whether a slash follows that."""
    folder = prefix[: prefix.rfind("/") + 1]
    name, slash, _ = after[len(folder) :].partition("/")
    return folder, name, bool(slash)


def _cut(name: str) -> str:
    """Return the longest prefix of a name that the store can hold; names after the whole name also sort after it."""
    if name in (".", ".."):
        return ""
    for end, letter in enumerate(name):
        if letter in "\\\0":
            return name[:end]
    return name.encode()[:LONGEST_NAME].decode(errors="ignore")


def _merged(page: Page) -> list[tuple[str, Item | None]]:
    """Return keys and folders by name; where both have one name the key comes first."""
    both: list[tuple[str, Item | None]] = [(item.key, item) for item in page.items]
    both += [(path, None) for path in page.folders]
    return sorted(both, key=lambda pair: (pair[0], pair[1] is None))
