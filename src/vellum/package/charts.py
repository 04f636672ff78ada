"""Vellum's own charts, for software without a published chart: the folders of ``charts/``, or their copy in a wheel."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

_HERE = Path(__file__).resolve()
_IN_WHEEL, _IN_CHECKOUT = _HERE.parents[1] / "charts", _HERE.parents[3] / "charts"
FOLDER = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
OWN = tuple(sorted(path.parent.name for path in FOLDER.glob("*/Chart.yaml")))
"""The names of the charts."""


_EPOCH = 315532800
"""1980: the first second of an archive's time that every reader accepts."""


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


def archives() -> dict[str, bytes]:
    """Return the files for ``helm push``, by name."""
    return {f"{name}-{version(name)}.tgz": packed(name, own(name)) for name in OWN}


def packed(name: str, inside: Mapping[str, bytes]) -> bytes:
    """Return the archive that ``helm package`` would make of the files; the same files give the same bytes."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, content in sorted(inside.items()):
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size, entry.mtime = len(content), _EPOCH
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(archive.getvalue(), mtime=0)
