"""SIGKILL at every write of a claim's life: a restart always reaches what an undisturbed run reaches."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def lives(folder: Path, *numbers: int) -> list[dict[str, Any]]:
    """Run a life for each number, killed at that call of the fault hook, 0 for never."""
    folder.mkdir()
    argv = [sys.executable, "-m", "tests.controlplane.one_life", str(folder), *map(str, numbers)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def every(step: int, folder: Path) -> None:
    (undisturbed,) = lives(folder / "undisturbed", 0)
    assert set(undisturbed["rests"]) == {"rest-1", "rest-2", "rest-3"}
    assert "receipts" not in json.dumps(undisturbed["rests"]), "nothing was put back, as nothing was taken away"
    calls = range(1, undisturbed["calls"] + 1, step)
    parts = (calls[::2], calls[1::2])
    with ThreadPoolExecutor(len(parts)) as pool:
        results = list(pool.map(lambda part: lives(folder / f"from-{part[0]}", *part), parts))
    for number, life in zip(chain(*parts), chain(*results), strict=True):
        assert life["ends"] == [-9, 0], number
        # A crash after the last settled state has nothing left to do; every state that was reached is the same.
        assert life["rests"] == undisturbed["rests"], number


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_claim_survives_sigkill_at_every_write_of_its_life(tmp_path: Path) -> None:
    every(1, tmp_path)
