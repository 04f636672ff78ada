"""Check for room on the disk of an installation, and in the limits that its processes inherit."""

from __future__ import annotations

import errno
import os
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
    stats = os.statvfs(path)
    return Room(path, stats.f_bavail * stats.f_frsize, stats.f_blocks * stats.f_frsize)


def needed(disk: Room) -> int:
    """Return how many bytes must be free, so that every part can write."""
    return max(NEEDED, disk.total // NEEDED_SHARE)


def lacking(path: Path) -> LaptopError | None:
    """Return the error of a disk with too little room for its services; None if it has enough."""
    disk = room(path)
    least = needed(disk)
    if disk.free >= least:
        return None
    word = "full" if disk.free < MEBIBYTE else "almost full"
    return LaptopError(
        "VEL419",
        f"the disk is {word}: {size(disk.free)} free of {size(disk.total)}, and {size(least)} are needed",
        where=str(path),
        fix="make room on that disk; waiting parts then continue. Until then buckets and vectors refuse writes",
    )


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
