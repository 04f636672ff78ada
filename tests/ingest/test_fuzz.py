"""Extract damaged PDFs: each gets a verdict, and none stops the others."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest
from tests.ingest.papers import every_kind

from vellum.workloads.ingest.extract import Extraction
from vellum.workloads.ingest.find import find

CASES = Path(__file__).parent / "cases"
VERDICTS = {"ok", "page_errors", "no_text", "encrypted", "damaged"}
BATCH = 400
_WORDS = [
    b"/OCProperties",
    b"/OC",
    b"/Contents",
    b"/Annots",
    b"obj",
    b"endstream",
    b"/Length",
    b"/Kids",
    b"/Type",
    b"-1",
    b"999999999",
    b"<<",
    b">>",
    b"R",
]


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Return a PDF with some bytes changed, moved, cut, or replaced by words that PDFs are made of."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(changed) or 1)
        match chance.randrange(5):
            case 0:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del changed[at : at + chance.randint(1, 200)]
            case 2:
                changed[at:at] = changed[at : at + chance.randint(1, 200)]
            case 3:
                changed[at : at + 4] = chance.choice(_WORDS)
            case _:
                del changed[max(at, 40) :]
    return bytes(changed)


def attempts(folder: Path, executions: int, seed: int) -> Counter[str]:
    """Extract mutated PDFs and return how often each verdict was given."""
    chance, said = random.Random(seed), Counter[str]()
    every_kind(folder / "seeds")
    seeds = [
        path.read_bytes()
        for path in [*CASES.glob("*.pdf"), *(folder / "seeds").rglob("*.pdf")]
        if path.stat().st_size < 50_000
    ]
    papers = folder / "papers"
    papers.mkdir()
    for batch in range(-(-executions // BATCH)):
        for number in range(min(BATCH, executions - batch * BATCH)):
            (papers / f"{number}.pdf").write_bytes(mutated(chance.choice(seeds), chance))
        said.update(
            one.verdict for one in Extraction(folder / "pages", page_seconds=5).run(find(papers).documents)
        )
        for path in [*papers.iterdir(), *(folder / "pages").iterdir()]:
            path.unlink()
    return said


@pytest.mark.slow
def test_damaged_files_get_a_verdict(tmp_path: Path) -> None:
    said = attempts(tmp_path, 1_000, seed=13)
    assert set(said) <= VERDICTS
    assert said["damaged"] > 10
    assert said["ok"] > 10


@pytest.mark.nightly
@pytest.mark.timeout(20_000)
def test_a_million_damaged_files_get_a_verdict(tmp_path: Path) -> None:
    """``VELLUM_FUZZ`` names another number of executions."""
    said = attempts(tmp_path, int(os.environ.get("VELLUM_FUZZ", "1000000")), seed=1)
    print(f"\nPDFs: {said.total()} files, {dict(said)}")  # noqa: T201  # the figures
    assert set(said) <= VERDICTS
