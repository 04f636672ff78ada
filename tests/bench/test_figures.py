"""The benchmark of the real Crossplane yields each of its figures, in a short run on the tests' bench."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.bench.real import ROOT, Bench

REPAIRS = "A deleted, scaled or edited workload of a chart is back"
NAMES = [
    "A full claim, from `kubectl apply` to Ready",
    REPAIRS,
    f"{REPAIRS}: repairs with other than 1 Helm upgrade",
    "A composed object that was deleted is back",
    "A composed object that was edited is back",
    "3 full claims together, until all are Ready",
    "Memory of all processes with 3 claims",
]


def test_the_figures_of_a_running_bench_are_measured(bench: Bench) -> None:
    argv = [sys.executable, "-m", "benchmarks.control_plane", str(bench.root)]
    done = subprocess.run(
        argv,
        cwd=ROOT,
        env={**os.environ, "VELLUM_FIGURES": "short"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split("  ")[1:] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [name for name, *_ in rows] == NAMES
    assert rows[2][1] == "0"
