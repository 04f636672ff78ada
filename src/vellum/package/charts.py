"""Vellum's own charts, for what nobody else publishes one of: the folders of ``charts/``, or its copy in a wheel."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

_HERE = Path(__file__).resolve()
_IN_WHEEL, _IN_CHECKOUT = _HERE.parents[1] / "charts", _HERE.parents[3] / "charts"
FOLDER = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
OWN = tuple(sorted(path.parent.name for path in FOLDER.glob("*/Chart.yaml")))
"""Their names."""


@cache
def own(name: str) -> Mapping[str, bytes]:
    """Return the chart's files by their path in it."""
    folder = FOLDER / name
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def version(name: str) -> str:
    """Return the chart's version."""
    said = yaml.safe_load(own(name)["Chart.yaml"])
    return str(said["version"])
