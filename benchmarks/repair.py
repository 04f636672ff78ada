"""How long a killed process is away, as its own door sees it."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.figures import Figure, Installation, installed, until

ROUNDS = 5
KILLED = {
    "seaweed": ("SeaweedFS", 2),
    "envoy": ("Envoy", 2),
    "qdrant": ("the Qdrant stand-in", 2),
    "search": ("search", 2),
    "notebook": ("JupyterLab", 4),
}
"""The process that is killed, its name in the results, and the target in seconds."""


def away(installation: Installation, prefix: str) -> float:
    """Kill the process and return the seconds until the supervisor says that it answers again."""

    def process() -> dict[str, Any]:
        """Return the status of the process."""
        return next(entry for name, entry in installation.processes().items() if name.startswith(prefix))

    before = process()
    began = time.perf_counter()
    os.kill(before["pid"], signal.SIGKILL)
    until(lambda: process()["restarts"] > before["restarts"] and process()["ready"])
    receipts = [
        receipt
        for obj in installation.json("status")["objects"]
        for receipt in obj["status"].get("receipts", ())
        if receipt["object"] == f"process {before['name']}"
    ]
    # The receipt's own clock: asking for the status costs 0.15 s each time.
    return min(float(receipts[0]["seconds"]), time.perf_counter() - began)


def measure() -> Iterator[Figure]:
    """Yield the figures."""
    with installed() as installation:
        for prefix, (name, target) in KILLED.items():
            seconds = []
            for _ in range(ROUNDS):
                # Two quick deaths in a row are a crash loop, which waits on purpose.
                time.sleep(11)
                seconds.append(away(installation, prefix))
            yield Figure(
                f"After a kill, {name} answers again",
                statistics.median(seconds),
                "s",
                target,
                how=f"median of {ROUNDS}",
            )
