"""Check for room on the disk of an installation, and in the limits that its processes inherit."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vellum.errors import LaptopError

FULL = {errno.ENOSPC, errno.EDQUOT}
MEBIBYTE = 2**20
NEEDED = 64 * MEBIBYTE
"""SeaweedFS writes into volumes of 64 MiB, and a bucket without a volume needs a new one."""
NEEDED_SHARE = 100
"""SeaweedFS refuses writes if less than 1/100 of the disk is free: `weed mini` has no flag for it (weed 4.48)."""


@dataclass(frozen=True, slots=True)
class Room:
    """The free and the total bytes of a path's disk."""

    path: Path
    free: int
    total: int

    def __str__(self) -> str:
        return f"{self.path} has {size(self.free)} free of {size(self.total)}"


def room(path: Path) -> Room:
    """Return the room on the disk of a path."""
    found = os.statvfs(path)
    return Room(path, found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def needed(found: Room) -> int:
    """Return how many bytes must be free, so that every part can write."""
    return max(NEEDED, found.total // NEEDED_SHARE)


def lacking(path: Path) -> LaptopError | None:
    """Return the error of a disk with too little room for its services; None if it has enough."""
    found = room(path)
    least = needed(found)
    if found.free >= least:
        return None
    word = "full" if found.free < MEBIBYTE else "almost full"
    return LaptopError(
        "VEL419", f"the disk is {word}: {size(found.free)} free of {size(found.total)}, and {size(least)} are needed",
        where=str(path),
        fix="make room on that disk; waiting parts then continue. Until then buckets and vectors refuse writes",
    )  # fmt: skip


def without_volume(folder: Path, buckets: Iterable[str]) -> LaptopError | None:
    """Return the error of a store that cannot create a volume for one of its buckets, None if it can.

    SeaweedFS reserves the rest of every volume. So a disk that is far from full may have no room for a new bucket, or
    for a bucket whose volumes are full, and SeaweedFS answers 500 (measured on weed 4.48).
    """
    volumes = _volumes(folder)
    kept = sum(max(0, NEEDED - length) for length in volumes.values())
    usable = {name.rpartition("_")[0] for name, length in volumes.items() if length < NEEDED}
    without = sorted(set(buckets) - usable)
    if not without or not folder.is_dir() or room(folder).free - kept >= NEEDED:
        return None
    return LaptopError(
        "VEL419", f"the object store has no room for a new volume of bucket {', '.join(without)}: {size(NEEDED)} are "
        f"needed beside the {size(kept)} that it keeps for its {len(volumes)} volumes", where=str(room(folder)),
        fix="make room on that disk; the bucket then accepts writes again",
    )  # fmt: skip


def _volumes(folder: Path) -> dict[str, int]:
    """Return the size of each volume by its name, BUCKET_NUMBER.

    SeaweedFS can remove a file of a deleted bucket between listing and reading.
    """
    sizes = {}
    for path in folder.glob("*.dat"):
        if path.stem.rpartition("_")[2].isdigit():
            with contextlib.suppress(FileNotFoundError):
                sizes[path.stem] = path.stat().st_size
    return sizes


def size(count: int) -> str:
    """Return a number of bytes as text with a unit."""
    for unit, length in (("GiB", 2**30), ("MiB", MEBIBYTE), ("KiB", 2**10)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count} bytes"


def advice(error: BaseException, otherwise: str) -> str:
    """Return the fix for an operating system error."""
    number = getattr(error, "errno", None)
    if number in FULL:
        return "make room on that disk, then run the command again: it continues where it stopped"
    if number == errno.EFBIG:
        return "raise the limit of a file's size (`ulimit -f unlimited`), then run the command again"
    if number in (errno.EMFILE, errno.ENFILE):
        return "raise the limit of open files (`ulimit -n 4096`), then run the command again"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "give this user the right to write there, then run the command again"
    return otherwise
