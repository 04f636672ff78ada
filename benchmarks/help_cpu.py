"""CPU time of ``vellum --help``, in milliseconds and as a multiple of an empty Python: what every call pays.

CPU time instead of wall time, and the minimum instead of the mean: both exclude the load of other programs.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure

RUNS = 5


def cpu_ms(argv: list[str]) -> float:
    """Return the least CPU time, user and system, of ``RUNS`` runs of a command; in milliseconds."""
    return min(_once(argv) for _ in range(RUNS))


def _once(argv: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def measure() -> Iterator[Figure]:
    """Yield the figures."""
    vellum = str(Path(sys.executable).with_name("vellum"))
    cpu_ms([vellum, "--help"])  # bytecode is written once, not paid by every call
    bare, helped = cpu_ms([sys.executable, "-c", "pass"]), cpu_ms([vellum, "--help"])
    how = f"CPU time, minimum of {RUNS}"
    yield Figure("`vellum --help`", helped, "ms", 80, how=how)
    yield Figure("`vellum --help` compared with `python -c pass`", helped / bare, "times", how=f"{bare:.1f} ms bare")
