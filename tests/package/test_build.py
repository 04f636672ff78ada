"""``vellum package build`` and ``list``: the images as a layout, from the hashed lists and a base image."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.oci import bases

ROOT = Path(__file__).parents[2]


def package(*words: object, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    argv = [python, "-m", "vellum.cli", "package", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def built(base: Path, layout: Path, *words: str, python: str = sys.executable) -> list[dict[str, Any]]:
    done = package("build", "--base", base, "--layout", layout, *words, "--output", "json", python=python)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["images"]
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_builds_have_equal_bytes_and_list_names_what_is_in_them(tmp_path: Path) -> None:
    """Slow: pip downloads 18 packages for two platforms the first time."""
    base = bases.write(tmp_path / "base")
    one = built(base, tmp_path / "one", "--image", "function-vellum")
    built(base, tmp_path / "two", "--image", "function-vellum")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert [(found["name"].split(":")[0], found["kind"], found["platforms"]) for found in one] == [
        ("charts/kubeflow-pipelines", "chart", []),
        ("charts/notebook-controller", "chart", []),
        ("function-vellum", "package", ["linux/amd64", "linux/arm64"]),
    ]
    listed = package("list", "--layout", tmp_path / "one", "--output", "json")
    assert json.loads(listed.stdout)["images"] == one
