"""Is there room: on the disk of an installation, and in the limits that its processes inherit. It only looks."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT}
MEBIBYTE = 2**20
NEEDED = 64 * MEBIBYTE
"""SeaweedFS writes into volumes of 64 MiB, and a bucket without a volume needs a new one."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much may still be written below a path."""

    path: Path
    free: int
    total: int

    def __str__(self) -> str:
        return f"{self.path} has {size(self.free)} free of {size(self.total)}"


def room(path: Path) -> Room:
    """Return the room on the disk of a path."""
    found = os.statvfs(path)
    return Room(path, found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def size(count: int) -> str:
    """Return a number of bytes in words."""
    for unit, length in (("GiB", 2**30), ("MiB", MEBIBYTE), ("KiB", 2**10)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count} bytes"


def advice(error: BaseException, otherwise: str) -> str:
    """Return what to do about an error of the system."""
    number = getattr(error, "errno", None)
    if number in FULL:
        return "make room on that disk, then run the command again: it goes on where it was"
    if number == errno.EFBIG:
        return "raise the limit of a file's size (`ulimit -f unlimited`), then run the command again"
    if number in (errno.EMFILE, errno.ENFILE):
        return "raise the limit of open files (`ulimit -n 4096`), then run the command again"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "give this user the right to write there, then run the command again"
    return otherwise
