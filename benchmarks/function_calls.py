"""The cost of one call of Crossplane's composition function, compared with the SDK's example, and its memory."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

from benchmarks.figures import ROOT, Figure, times

CALLS = times(100_000, 10_000)


def measure() -> Iterator[Figure]:
    """Yield the figures; the load runs in the function's own environment."""
    argv = [str(ROOT / ".venv-function/bin/python"), "-m", "benchmarks.function_load", str(CALLS)]
    result = json.loads(subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    what = f"One call of the function with {result['objects']} objects"
    yield Figure(
        f"{what}: p50",
        result["ours"]["p50"],
        "ms",
        1.5,
        how="one caller, loopback, no TLS; objects observed and desired",
    )
    yield Figure(f"{what}: p99", result["ours"]["p99"], "ms", 5)
    ratio = result["stock"]["p50"] / result["ours"]["p50"]
    how = f"its p50 is {result['stock']['p50']:.1f} ms; both were measured in turns"
    yield Figure("A call in the SDK's own way takes longer by", ratio, "times", 3, at_most=False, how=how)
    yield Figure(f"Memory of the function after {result['calls']:,} calls", result["rss"], "MB", 80)
    yield Figure(f"Growth of its memory over {result['calls']:,} calls", result["growth"], "MB", 2)
