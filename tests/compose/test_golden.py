"""The whole output of compose, byte for byte; ``make golden`` rewrites it; review the diff."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.compose import render

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden"


@pytest.mark.parametrize("name", [name for name, _, _ in render.CASES])
def test_the_objects_are_what_the_golden_file_says(name: str) -> None:
    text = render.rendered(render.worlds()[name].settle())
    golden = GOLDEN / f"{name}.yaml"
    if os.environ.get("VELLUM_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), "make golden writes it anew; read the diff"


def test_every_golden_file_belongs_to_a_case() -> None:
    assert {file.stem for file in GOLDEN.glob("[cp]*.yaml")} == {name for name, _, _ in render.CASES}


def test_other_hash_seeds_give_the_same_bytes_without_io() -> None:
    expected = "".join(
        f"=== {name}\n{(GOLDEN / f'{name}.yaml').read_text(encoding='utf-8')}" for name, _, _ in render.CASES
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.compose.render"], cwd=ROOT, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        for hash_seed in ("1", "4294967295")
    ]  # fmt: skip
    answers = [process.communicate()[0] for process in processes]
    assert answers == [expected, expected]
