"""A model of S3's documented listing over a plain set of keys, and of a store that lists folders as SeaweedFS does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vellum.workloads.s3.listing import Item, Page

NAMES = (
    "a",
    "a-",
    "a-1",
    "a.txt",
    "a b",
    "a+",
    "a0",
    "ab",
    "run",
    "run-1",
    "run-10",
    "run.txt",
    "run!",
    "z",
    "ü",
    "\U0001f600",
    "é",
    "e\u0301",
    "~",
    "-",
    ".x",
    "%2F",
    "A",
)
"""Names that begin each other and go on with bytes on both sides of a slash."""
DELIMITERS = ("", "/", "-", "a", "/a", "n-1", "ü")


@dataclass(frozen=True)
class Question:
    prefix: str
    delimiter: str
    after: str
    most: int


def listed(keys: Iterable[str], asked: Question) -> tuple[list[str], bool]:
    """Return keys and groups in order, and whether there are more."""
    results: list[str] = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(asked.prefix):
            continue
        end = key.find(asked.delimiter, len(asked.prefix)) if asked.delimiter else -1
        entry = key[: end + len(asked.delimiter)] if end >= 0 else key
        if entry.encode() <= asked.after.encode() or asked.after.startswith(entry) or entry in results[-1:]:
            continue
        if len(results) == asked.most:
            return results, asked.most > 0
        results.append(entry)
    return results, False


class Folders:
    """A store that lists one folder at a time, by name; folders whose keys are gone stay, as they may for a while."""

    def __init__(self, keys: Iterable[str], size: int, left: Iterable[str] = ()) -> None:
        self.keys, self.size, self.asked = set(keys), size, 0
        self._folders = {path for key in (*keys, *left) for path in _parents(key)}

    async def page(self, prefix: str, after: str, size: int) -> Page:
        self.asked += 1
        assert after in ("", prefix) or after.startswith(prefix), (prefix, after)
        assert "//" not in f"/{prefix}", prefix
        folder = prefix[: prefix.rfind("/") + 1]
        names = [key for key in self.keys if key.startswith(prefix) and "/" not in key[len(folder) :]]
        folders = [path for path in self._folders if path.startswith(prefix) and "/" not in path[len(folder) :]]
        # Where it starts after the prefix itself, the store also shows what has exactly that name.
        after = "" if after == prefix else after
        entries = sorted([(name, False) for name in names] + [(path, True) for path in folders])
        first = next((number for number, entry in enumerate(entries) if entry[0] > after), len(entries))
        shown = entries[first : first + min(size, self.size)]
        # A key and a folder of one name are one entry of the store's.
        while first + len(shown) < len(entries) and shown and entries[first + len(shown)][0] == shown[-1][0]:
            shown.append(entries[first + len(shown)])
        more = first + len(shown) < len(entries)
        return Page(
            [Item(name) for name, is_folder in shown if not is_folder],
            [path for path, is_folder in shown if is_folder],
            shown[-1][0] if more else "",
        )


def _parents(key: str) -> Iterable[str]:
    parts = key.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts)))
