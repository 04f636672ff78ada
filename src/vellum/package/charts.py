"""Vellum's own charts, for software without a published chart: the folders of ``charts/``, or their copy in a wheel."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from vellum.oci import archive

_HERE = Path(__file__).resolve()
_IN_WHEEL, _IN_CHECKOUT = _HERE.parents[1] / "charts", _HERE.parents[3] / "charts"
FOLDER = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
OWN = tuple(sorted(path.parent.name for path in FOLDER.glob("*/Chart.yaml")))
"""The names of the charts."""


@cache
def own(name: str) -> Mapping[str, bytes]:
    """Return the chart's files by their path in it."""
    folder = FOLDER / name
    results = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in results}


def version(name: str) -> str:
    """Return the chart's version."""
    return str(metadata(name)["version"])


def metadata(name: str) -> dict[str, Any]:
    """Return the chart's ``Chart.yaml``."""
    chart: dict[str, Any] = yaml.safe_load(own(name)["Chart.yaml"])
    return chart


def archives() -> dict[str, bytes]:
    """Return the archive of each chart, by file name."""
    return {f"{name}-{version(name)}.tgz": packed(name, own(name)) for name in OWN}


def packed(name: str, inside: Mapping[str, bytes]) -> bytes:
    """Return an archive of the files as Helm reads it; the same files give the same bytes."""
    out = io.BytesIO()
    archive.write(out, {f"{name}/{path}": archive.plain(content) for path, content in inside.items()}, folders=False)
    return out.getvalue()
