"""Check for room on the disk before the core writes: it writes into mapped files, and a full disk kills it there."""

from __future__ import annotations

from pathlib import Path

from vellum.host.room import MEBIBYTE, room, size
from vellum.laptop.qdrant.refused import RefusedError

LEAST = 64 * MEBIBYTE
"""Bytes that must be free, as in Qdrant: two segments of the write-ahead log. To open a collection after a kill took 31
MiB (measured on qdrant-edge 0.9.0)."""
COPIES = 2
"""A write is stored in the write-ahead log and in the collection's own files."""


def has_room(path: Path, body: int = 0) -> bool:
    """Return whether the disk has room for a write whose request has this many bytes."""
    return room(path).free >= _needed(body)


def _needed(body: int) -> int:
    return LEAST + COPIES * body


def check(path: Path, body: int = 0) -> None:
    """Refuse a call on a full disk, as Qdrant does: status 500, and the sentence that its users search for.

    Raises:
        RefusedError: too few bytes are free.
    """
    disk = room(path)
    if disk.free < _needed(body):
        raise RefusedError(
            500, f"Service internal error: No space left on device: the disk has {size(disk.free)} free of "
            f"{size(disk.total)}, and {size(_needed(body))} are needed",
        )  # fmt: skip
