"""Read damaged PDFs: each gets a verdict, and none stops the others.

A sample goes through ``Extraction``, as ``vellum ingest`` does. The nightly million goes to the reader's two functions
inside one process, which costs a third. It also sees an exception, which ``Extraction`` takes for a lost reader.
"""

from __future__ import annotations

import io
import logging
import multiprocessing
import os
import random
import resource
import shutil
import signal
import traceback
from collections import Counter
from collections.abc import Iterator
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import pytest
from tests.fuzzing import counted
from tests.ingest.papers import every_kind

from vellum.workloads.ingest import reader
from vellum.workloads.ingest.extract import Extraction
from vellum.workloads.ingest.find import find

CASES = Path(__file__).parent / "cases"
VERDICTS = {"ok", "page_errors", "no_text", "encrypted", "damaged"}
EXECUTIONS = int(os.environ.get("VELLUM_FUZZ", "1000000"))
SECONDS = 20
BATCH = 10_000
"""After so many files the process is a new one: PDFium keeps memory."""
_WORDS = [
    b"/OCProperties",
    b"/OC",
    b"/OCGs",
    b"/D",
    b"/OFF",
    b"/VE",
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
    b"[",
    b"]",
    b"R",
]


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Return a PDF with some bytes changed, moved, cut, or replaced by words that PDFs are made of."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(changed) or 1)
        match chance.choice((0, 0, 1, 1, 2, 2, 3, 3, 4)):
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


def seeds(folder: Path) -> list[bytes]:
    every_kind(folder)
    paths = [*CASES.glob("*.pdf"), *folder.rglob("*.[pP][dD][fF]")]
    results = [path.read_bytes() for path in sorted(paths) if 0 < path.stat().st_size < 50_000]
    # Trying a password costs five times as much as the rest.
    return [content for content in results for _ in range(1 if b"/Encrypt" in content else 8)]


def paper(kept: list[bytes], seed: int, number: int) -> bytes:
    """Return the mutated file of this number: the same in every process."""
    chance = random.Random(seed << 32 | number)
    return mutated(chance.choice(kept), chance)


def test_a_file_that_only_qpdf_refuses_is_read(tmp_path: Path) -> None:
    """The fuzzer found it: qpdf raised another exception on a wrong count of pages, which ended the reader."""
    (tmp_path / "papers").mkdir()
    shutil.copy(CASES / "pdf_count_of_pages.pdf", tmp_path / "papers")
    (read,) = Extraction(tmp_path / "pages").run(find(tmp_path / "papers").documents)
    assert (read.verdict, read.pages, read.failed, read.lost) == ("ok", 3, set(), 0)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_damaged_files_get_a_verdict(tmp_path: Path) -> None:
    kept = seeds(tmp_path / "seeds")
    messages = Counter(extracted(tmp_path, [paper(kept, 13, number) for number in range(1_000)]))
    assert set(messages) <= VERDICTS
    assert messages["damaged"] > 10
    assert messages["ok"] > 10


def extracted(folder: Path, contents: list[bytes]) -> Iterator[str]:
    papers = folder / "papers"
    papers.mkdir()
    for number, content in enumerate(contents):
        (papers / f"{number}.pdf").write_bytes(content)
    for item in Extraction(folder / "pages", page_seconds=5).run(find(papers).documents):
        yield item.verdict


def read_some(folder: Path, kept: list[bytes], seed: int, numbers: range, place: Synchronized[int]) -> None:
    """Read files in this process as the reader does, one job after another; write down each answer, and each exception."""
    resource.setrlimit(resource.RLIMIT_AS, (reader._ADDRESS_SPACE, reader._ADDRESS_SPACE))
    # pytest-timeout's handler would turn the end of a hanging file into an exception.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    logging.disable()
    opened, answers = reader._Open(), (folder / "answers.txt").open("ab", buffering=0)
    for number in numbers:
        place.value = number
        # Two names, since the reader keeps the file that it opened last.
        path = folder / f"{number % 2}.pdf"
        path.write_bytes(paper(kept, seed, number))
        try:
            answers.write(f"{read(opened, path)}\n".encode())
        except Exception:  # noqa: BLE001  # all that the reader does not expect
            (folder / f"unexpected-{number}.txt").write_text(traceback.format_exc())
            opened = reader._Open()


def read(opened: reader._Open, path: Path) -> str:
    with reader._mortal(SECONDS):
        answer = reader._pages(opened, str(path))
    if "verdict" in answer:
        return str(answer["verdict"])
    job = {"path": str(path), "document_id": "x", "start": 0, "stop": min(answer["pages"], 20), "output": os.devnull}
    with reader._mortal(SECONDS):
        text = reader._text(opened, {**job, "seconds": SECONDS}, io.BytesIO())
    return "text" if text["characters"] else "no text"


@pytest.mark.nightly
@pytest.mark.timeout(20_000)
def test_a_million_damaged_files_get_a_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``VELLUM_FUZZ`` names another number of executions. A file that ends the process gets its verdict afterwards."""
    kept, place = seeds(tmp_path / "seeds"), multiprocessing.Value("q", 0)
    lost, progress, start = [], counted(EXECUTIONS, capsys), 0
    while start < EXECUTIONS:
        numbers = range(start, min(start + BATCH, EXECUTIONS))
        child = multiprocessing.get_context("fork").Process(target=read_some, args=(tmp_path, kept, 1, numbers, place))
        child.start()
        child.join()
        start = place.value + 1
        if child.exitcode:
            lost.append(place.value)
        for _ in range(numbers.start, start):
            next(progress, None)
        unexpected = sorted(tmp_path.glob("unexpected-*.txt"))
        assert [path.read_text() for path in unexpected[:3]] == []
    count = Counter((tmp_path / "answers.txt").read_text().splitlines())
    with capsys.disabled():
        print(f"\nPDFs: {EXECUTIONS:,} files, {dict(count)}, the process ended at {lost}")  # noqa: T201  # the figures
    assert set(extracted(tmp_path, [paper(kept, 1, number) for number in lost])) <= VERDICTS
