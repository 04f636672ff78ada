"""``python -m benchmarks`` removes its installation when it is asked to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

MEASURES = """
import sys, time, types
from benchmarks.__main__ import main

def measure():
    try:
        print("begins", flush=True)
        yield time.sleep(60)
    finally:
        time.sleep(0.2)
        print("removed", flush=True)

sys.modules["benchmarks.held"] = types.ModuleType("benchmarks.held")
sys.modules["benchmarks.held"].measure = measure
sys.argv = ["benchmarks", "held"]
main()
"""


@pytest.mark.parametrize("times", [1, 2])
def test_a_benchmark_that_is_ended_removes_what_it_made(times: int) -> None:
    """A second request does not stop the removal."""
    environment = {**os.environ, "VELLUM_FIGURES": "short"}
    argv = [sys.executable, "-c", MEASURES]
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        while running.stdout.readline() != "begins\n":
            assert running.poll() is None
        for _ in range(times):
            running.send_signal(signal.SIGTERM)
        assert running.stdout.read() == "removed\n"
        assert running.wait(10) == 128 + signal.SIGTERM
