"""What stays of a run on disk: the log and small files; never the text of documents, however the run ends."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

STEPS = "steps"
"""kfp's folder in a run's folder: what the steps write, one folder a step."""
SMALL = ("listing", "counts", "verdicts")


def tidy(run: Path) -> None:
    """Keep the small files that the steps wrote, as ``<name>.json``, and remove the rest.

    The folder is renamed first: whoever is still at work opens files by path, so none comes after those that are
    removed. Safe to repeat, and beside another process that does the same.
    """
    steps, going = run / STEPS, run / f"{STEPS}.going"
    shutil.rmtree(going, ignore_errors=True)
    with contextlib.suppress(OSError):
        steps.rename(going)
        for name in SMALL:
            for found in going.glob(f"*/*/{name}"):
                found.replace(run / f"{name}.json")
    shutil.rmtree(going, ignore_errors=True)
