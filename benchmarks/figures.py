"""One measured figure, and an installation of the benchmark's own to measure on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SHORT = os.environ.get("VELLUM_FIGURES") == "short"
"""Whether a test runs the benchmarks; they then measure less often and record nothing."""


def times(whole: int, short: int) -> int:
    """Return how often, or how long, something is measured."""
    return short if SHORT else whole


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value and its target, which is a maximum if ``at_most`` is true, and else a minimum."""

    what: str
    value: float
    unit: str
    bound: float | None = None
    at_most: bool = True
    how: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the value meets the target; None without a target."""
        if self.bound is None:
            return None
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def cells(self) -> tuple[str, str, str]:
        """Return the name, the value and the target, as a table shows them."""
        missed = " (**missed**)" if self.met is False else ""
        sign = "≤" if self.at_most else "≥"
        target = "" if self.bound is None else f"{sign} {self.bound:g} {self.unit}".rstrip()
        return self.what, f"{self.value:.4g} {self.unit}".rstrip() + missed, target


@dataclass(frozen=True, slots=True)
class Installation:
    """A state directory and the ``vellum`` of this environment."""

    state: Path

    def vellum(self, *arguments: str, check: bool = True) -> str:
        """Run a command and return its output."""
        environment = {**os.environ, "VELLUM_STATE": str(self.state)}
        argv = [sys.executable, "-m", "vellum.cli", *arguments]
        return subprocess.run(argv, env=environment, check=check, capture_output=True, text=True).stdout

    def json(self, *arguments: str) -> Any:  # noqa: ANN401  # any JSON
        """Run a command and return the JSON that it printed."""
        return json.loads(self.vellum(*arguments, "--output", "json", check=False))

    def processes(self) -> dict[str, Any]:
        """Return the running processes by name."""
        return {process["name"]: process for process in self.json("status")["processes"]}

    def binding(self) -> dict[str, str]:
        """Return the only team's binding."""
        result: dict[str, str] = self.json("connect")
        return result


@contextmanager
def installed(claim: str = "examples/01-team/claim.yaml") -> Iterator[Installation]:
    """Yield a running installation with one team; nothing is left of it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="vellum-bench-"))
    installation = Installation(folder / "state")
    try:
        installation.vellum("up", str(ROOT / claim))
        yield installation
    finally:
        installation.vellum("down", "--delete-data", "--yes", check=False)
        shutil.rmtree(folder, ignore_errors=True)


def resident(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def until(done: Callable[[], object], seconds: float = 60.0, pause: float = 0.01) -> float:
    """Return the seconds until ``done()`` is true."""
    began = time.perf_counter()
    while not done():
        if time.perf_counter() - began > seconds:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(pause)
    return time.perf_counter() - began
