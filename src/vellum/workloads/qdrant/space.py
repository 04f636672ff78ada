"""Check for room on the disk before the core writes: it writes into mapped files, and a full disk kills it there."""

from __future__ import annotations

import shutil
from pathlib import Path

from vellum.workloads.qdrant.refused import RefusedError

MEBIBYTE = 2**20
LEAST = 64 * MEBIBYTE
"""Bytes that must be free, as in Qdrant: two segments of the write-ahead log. To open a collection after a kill took 31
MiB (measured on qdrant-edge 0.9.0)."""
COPIES = 2
"""A write is stored in the write-ahead log and in the collection's own files."""


def has_room(path: Path, body: int = 0) -> bool:
    """Return whether the disk has room for a write whose request has this many bytes."""
    return shutil.disk_usage(path).free >= _needed(body)


def _needed(body: int) -> int:
    return LEAST + COPIES * body


def check(path: Path, body: int = 0) -> None:
    """Refuse a call on a full disk, as Qdrant does: status 500, and the sentence that its users search for.

    Raises:
        RefusedError: too few bytes are free.
    """
    disk = shutil.disk_usage(path)
    if disk.free < _needed(body):
        raise RefusedError(
            500,
            f"Service internal error: No space left on device: the disk has {_text(disk.free)} free of "
            f"{_text(disk.total)}, and {_text(_needed(body))} are needed",
        )


def _text(count: int) -> str:
    return f"{count / MEBIBYTE:.1f} MiB"
