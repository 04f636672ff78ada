"""A step of an ingest ends with its launcher, even if the launcher died first."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.ingest.test_faults import children

from vellum.workloads.ingest.events import ALIVE, WORKER

STEP = """
import os, sys, time
from vellum.workloads.ingest.events import end_with_worker
if sys.argv[1] == "orphan":
    while os.path.exists(f"/proc/{os.environ['LAUNCHER']}"):
        time.sleep(0.01)
print("begins", flush=True)
end_with_worker()
time.sleep(60)
"""


@pytest.mark.parametrize("launched", ["orphan", "child"])
def test_a_step_whose_launcher_died_before_it_began_ends(tmp_path: Path, launched: str) -> None:
    """The worker lives, and the kernel has given the step another parent."""
    background = "& exit" if launched == "orphan" else ""
    argv = ["sh", "-c", f'LAUNCHER=$$ "$0" -c "$1" {launched} {background}\n:', sys.executable, STEP]
    own = {ALIVE: str(tmp_path / "alive"), WORKER: str(os.getpid())}
    with (tmp_path / "alive").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with subprocess.Popen(argv, env={**os.environ, **own}, stdout=subprocess.PIPE) as launcher:
            assert launcher.stdout is not None
            if launched == "orphan":
                launcher.wait()
            assert launcher.stdout.readline() == b"begins\n"
            # The step holds the pipe until it ends.
            ended = select.select([launcher.stdout], [], [], 10 if launched == "orphan" else 1)[0]
            assert bool(ended) == (launched == "orphan")
            for pid, _ in children(launcher.pid):
                os.kill(pid, signal.SIGKILL)
