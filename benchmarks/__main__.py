"""``python -m benchmarks [NAME ...]``: measure on this machine and record the figures in ``benchmarks/RESULTS.md``."""

from __future__ import annotations

import importlib
import signal
import sys
from types import FrameType

from benchmarks import results

NAMES = (
    "help_cpu",
    "compose_time",
    "start",
    "repair",
    "rotation",
    "object_store",
    "documents",
    "retrieval",
    "function_calls",
)
"""What ``make figures`` measures. The bench is not needed for any of them."""


def main() -> None:
    """Run the named benchmarks one after the other, by default all; SIGTERM ends them like Ctrl-C."""
    signal.signal(signal.SIGTERM, _end)
    for name in sys.argv[1:] or NAMES:
        results.record(name, importlib.import_module(f"benchmarks.{name}").measure())


def _end(number: int, _: FrameType | None) -> None:
    """Raise an exception, so that the benchmark removes its installation; ignore further signals."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
