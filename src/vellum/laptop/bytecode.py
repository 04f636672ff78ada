"""Compile packages before the first start: without bytecode the first import of each costs seconds."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import cache_from_source, find_spec
from pathlib import Path

HEAVY = ("jupyterlab", "kserve", "kfp", "boto3", "pydantic")
"""The packages that the services import; each stands for its own dependencies."""


def missing() -> list[str]:
    """Return the heavy packages that are installed and that this Python never compiled."""
    return [name for name in HEAVY if (origin := _origin(name)) and not Path(cache_from_source(str(origin))).exists()]


def make(packages: list[str]) -> None:
    """Compile everything beside the packages; skip files that cannot be written or compiled."""
    folders = {str(origin.parent.parent) for name in packages if (origin := _origin(name))}
    # Quiet twice: some packages ship templates with .py names that are not Python.
    argv = [sys.executable, "-P", "-m", "compileall", "-qq", "-j", "0", *sorted(folders)]
    subprocess.run(argv, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _origin(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.origin) if spec and spec.origin else None
