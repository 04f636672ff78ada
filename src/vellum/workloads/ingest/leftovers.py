"""The files of a run that stay on disk: the log and small files, but never the text of documents."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

STEPS = "steps"
"""kfp's folder in a run's folder: one folder per step, with the files that the step wrote."""
SMALL = ("listing", "counts", "verdicts")


def tidy(run: Path) -> None:
    """Keep the small files that the steps wrote, as ``<name>.json``, and remove the rest.

    The folder is renamed first: a process that still works opens files by path, so it adds none to the renamed
    folder. A worker and its step may both do this, one at a time; if one is killed, the other finishes.
    """
    steps, going = run / STEPS, run / f"{STEPS}.going"
    with _alone(run):
        _empty(going, run)
        with contextlib.suppress(OSError):
            steps.rename(going)
        _empty(going, run)


def _empty(folder: Path, run: Path) -> None:
    for name in SMALL:
        for path in folder.glob(f"*/*/{name}"):
            path.replace(run / f"{name}.json")
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
