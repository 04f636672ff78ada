"""Report the events of a step to its worker, and end the step when the worker is gone."""

from __future__ import annotations

import atexit
import fcntl
import os
import sys
import threading
from pathlib import Path

import orjson

from vellum.workloads.ingest.leftovers import tidy

EVENTS = "VELLUM_INGEST_EVENTS"
ALIVE = "VELLUM_INGEST_ALIVE"


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
    """End this step and clean up as soon as its worker dies: an orphan must not write beside the next run.

    The worker holds an exclusive lock on its own file; a shared lock is granted when the worker is gone. A parent's
    death signal would not do: kfp puts a shell between the worker and the step.
    """
    path = os.environ.get(ALIVE)
    if path is not None:
        tidying = threading.Lock()
        threading.Thread(target=_wait_for, args=(Path(path), tidying), daemon=True).start()
        # A step that finishes at this moment would be cut off.
        atexit.register(tidying.acquire)


def _wait_for(alive: Path, tidying: threading.Lock) -> None:
    with alive.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        tidying.acquire()
        try:
            tidy(alive.parent)
        finally:
            os._exit(1)
