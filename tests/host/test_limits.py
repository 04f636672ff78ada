"""Limits that are too low are named before anything is started."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

CLAIM = "apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlatform\nmetadata: {name: a}\nspec: {}\n"


@pytest.mark.parametrize(
    ("limit", "what", "switch"),
    [
        ("-n 64", "the limit of open files is 64, and Vellum needs 512", "ulimit -n"),
        ("-v 2000000", "the limit of KiB of address space is 2000000, and Vellum needs 4194304", "ulimit -v"),
        ("-f 100", "the limit of KiB in one file is 100, and Vellum needs 262144", "ulimit -f"),
        ("-t 60", "the limit of seconds of processor time is 60, and Vellum needs 86400", "ulimit -t"),
        ("-S -v 2000000", "the limit of KiB of address space is 2000000, and Vellum needs 4194304", "ulimit -v"),
    ],
)
def test_a_limit_that_is_too_low_is_said_before_anything_starts(
    tmp_path: Path, limit: str, what: str, switch: str
) -> None:
    (tmp_path / "claim.yaml").write_text(CLAIM)
    script = f"ulimit {limit} && exec '{sys.executable}' -m vellum.cli up claim.yaml"
    began = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"VELLUM_STATE": str(tmp_path / "state"), "PATH": "/usr/bin:/bin"},
    )
    assert (done.returncode, time.monotonic() - began < 10) == (1, True)
    assert done.stderr.startswith(f"error VEL423: {what}\n  where: this shell: {switch}\n")
    assert ("run `ulimit -S -v " if "-S" in limit else "the hard limit is") in done.stderr
    assert not (tmp_path / "state" / "logs").exists()


def test_a_soft_limit_of_open_files_is_raised(tmp_path: Path) -> None:
    words = "from vellum.host import limits; import resource; limits.check(); print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    script = f"ulimit -S -n 64 && ulimit -H -n 2048 && exec '{sys.executable}' -c '{words}'"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2048", "2048"]
