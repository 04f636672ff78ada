"""Report the events of a step to its worker, and end the step when its worker or its launcher is gone."""

from __future__ import annotations

import atexit
import fcntl
import os
import sys
import threading
import time
from pathlib import Path
from typing import IO

import orjson

from vellum.workloads.ingest.leftovers import tidy

EVENTS = "VELLUM_INGEST_EVENTS"
ALIVE = "VELLUM_INGEST_ALIVE"
WORKER = "VELLUM_INGEST_WORKER"
_LOOK_SECONDS = 0.1


def emit(event: str, **fields: object) -> None:
    """Append one JSON line to the worker's file, or in a pod, which has no such file, to the step's log."""
    line = orjson.dumps({"event": event, **fields}) + b"\n"
    path = os.environ.get(EVENTS)
    if path is None:
        sys.stdout.write(line.decode())
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def end_with_worker() -> None:
    """End this step as soon as its worker or its launcher dies: an orphan must not write beside the next run.

    The worker holds an exclusive lock on its own file; a shared lock is granted when the worker is gone. A parent's
    death signal would not do: kfp puts a shell, the launcher, between the worker and the step.
    """
    path = os.environ.get(ALIVE)
    if path is not None:
        tidying, launcher = threading.Lock(), _launcher(int(os.environ[WORKER]))
        threading.Thread(target=_watch, args=(Path(path), launcher, tidying), daemon=True).start()
        # A step that finishes at this moment would be cut off.
        atexit.register(tidying.acquire)


def _launcher(worker: int) -> int | None:
    """Return this step's parent; None if the launcher died first, so that another process took the step over."""
    parent = os.getppid()
    if not Path("/proc/self").exists():
        # macOS has no such files.
        return parent
    # A shell may replace itself with the step (exec); then the worker is the parent.
    return parent if worker in (parent, _parent_of(parent)) else None


def _parent_of(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The name before the last parenthesis may have spaces.
    return int(status.rpartition(")")[2].split()[1])


def _watch(alive: Path, launcher: int | None, tidying: threading.Lock) -> None:
    """Look several times a second; tidy up in place of a worker that is gone."""
    with alive.open("rb") as file:
        while not (orphaned := _is_free(file)) and os.getppid() == launcher:
            time.sleep(_LOOK_SECONDS)
        tidying.acquire()
        try:
            if orphaned:
                tidy(alive.parent)
        finally:
            os._exit(1)


def _is_free(file: IO[bytes]) -> bool:
    """Return whether no process holds the file's exclusive lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
