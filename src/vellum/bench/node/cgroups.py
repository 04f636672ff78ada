"""The node's cgroups: one folder in every hierarchy of the kernel, named after the bench's directory."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from vellum.errors import BenchError

REMOVE_SECONDS = 10.0
_PLACE, _TYPE = 1, 2


def name(root: Path) -> str:
    """Return the name of the cgroup of the bench in this directory."""
    return f"vellum-bench-{hashlib.sha256(os.fsencode(root)).hexdigest()[:10]}"


def create(root: Path) -> None:
    """Create the cgroup in every hierarchy: the kubelet requires that its root exists."""
    for hierarchy in _hierarchies():
        (hierarchy / name(root)).mkdir(exist_ok=True)


def remove(root: Path) -> None:
    """Kill what still runs in the cgroup, and remove it with all its children.

    Raises:
        BenchError: a process in it does not end (VEL910).
    """
    deadline = time.monotonic() + REMOVE_SECONDS
    while left := [top for hierarchy in _hierarchies() if (top := hierarchy / name(root)).is_dir()]:
        for folder in (folder for top in left for folder in (*_below(top), top)):
            # Busy until the kernel has ended the last process in it.
            with contextlib.suppress(OSError):
                folder.rmdir()
            for pid in _pids(folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise _does_not_end(left[0])
        time.sleep(0.02)


def _does_not_end(top: Path) -> BenchError:
    pids = sorted({pid for folder in (*_below(top), top) for pid in _pids(folder)})
    return BenchError(
        "VEL910",
        f"processes of the node do not end: {', '.join(map(str, pids)) or 'their ids are unknown'}",
        where=str(top),
        fix="thaw their cgroup if it is frozen, end them, then run `vellum bench down` again",
    )


def _hierarchies() -> Iterator[Path]:
    """Yield the root of each mounted hierarchy: about ten of cgroup v1, or the only one of v2."""
    try:
        mounts = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return
    for words in (line.split() for line in mounts):
        if words[_TYPE] in ("cgroup", "cgroup2"):
            yield Path(words[_PLACE])


def _below(top: Path) -> list[Path]:
    """Return all folders below, children before their parents."""
    return [Path(folder) / child for folder, children, _ in os.walk(top, topdown=False) for child in children]


def _pids(folder: Path) -> list[int]:
    try:
        # A process outside this process's own process namespace has the number 0, which kill takes for our own group.
        return [int(pid) for pid in (folder / "cgroup.procs").read_text().split() if pid != "0"]
    except OSError:
        return []
