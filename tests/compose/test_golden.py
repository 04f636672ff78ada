"""The golden files: ``make golden`` writes them; read the diff."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.compose import render

from vellum.components import platform_components, team_components

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden"


@pytest.fixture(scope="module")
def composed() -> dict[str, str]:
    """Return what every golden file has to contain."""
    return render.goldens(render.worlds())


@pytest.mark.parametrize("name", [name for name, _, _ in render.CASES])
def test_a_case_composes_what_its_golden_file_contains(composed: dict[str, str], name: str) -> None:
    """The test compares all objects, conditions and the status, byte for byte."""
    text, path = composed[render.golden(name)], GOLDEN / render.golden(name)
    if os.environ.get("VELLUM_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), "run make golden and read the diff"


def test_every_golden_file_belongs_to_a_case(composed: dict[str, str]) -> None:
    assert {path.name for path in GOLDEN.glob("[cp]*")} == composed.keys()


def test_every_component_is_whole_in_a_golden_file(composed: dict[str, str]) -> None:
    """A component that is only in differences has whole objects there."""
    whole = "".join(composed.values())
    parts = {**team_components(), **platform_components()}
    assert [name for name in parts if f"app.kubernetes.io/component: {name}\n" not in whole] == []


def test_other_hash_seeds_give_the_same_bytes_without_io(composed: dict[str, str]) -> None:
    expected = "".join(f"=== {name}\n{text}" for name, text in composed.items())
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.compose.render"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        for hash_seed in ("1", "4294967295")
    ]
    answers = [process.communicate()[0] for process in processes]
    assert answers == [expected, expected]
