"""The example library: the committed PDFs match their sources, and the questions name the right pages."""

from __future__ import annotations

import importlib.util
from collections import Counter
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import yaml

LIBRARY = Path(__file__).resolve().parents[2] / "examples" / "library"
PDFS = sorted((LIBRARY / "pdf").glob("*.pdf"))
QUESTIONS: dict[str, Any] = yaml.safe_load((LIBRARY / "questions.yaml").read_text())


def _builder() -> Any:
    spec = importlib.util.spec_from_file_location("library_build", LIBRARY / "build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def _pages(path: Path) -> list[str]:
    """The text of every page, words joined that a line end split, one space between words."""
    with pypdfium2.PdfDocument(path) as document:
        texts = [page.get_textpage().get_text_range() for page in document]
    return [" ".join(text.replace("\ufffe\r\n", "").split()) for text in texts]


def test_a_fresh_build_equals_the_committed_files_byte_for_byte(tmp_path: Path) -> None:
    builder = _builder()
    if version("typst") != builder.BUILT_WITH:
        pytest.skip(f"the PDFs were made by typst {builder.BUILT_WITH}; another one breaks lines elsewhere")
    fresh = {path.name: path.read_bytes() for path in builder.build(tmp_path)}
    assert fresh.keys() == {path.name for path in PDFS}
    assert [path.name for path in PDFS if fresh[path.name] != path.read_bytes()] == []


def test_the_library_has_at_least_fifty_pages_in_small_files() -> None:
    assert sum(len(_pages(path)) for path in PDFS) >= 50
    assert [path.name for path in PDFS if path.stat().st_size >= 300_000] == []


def test_every_page_has_text_to_find() -> None:
    thin = [
        (path.name, number) for path in PDFS for number, text in enumerate(_pages(path), 1) if len(text.split()) < 40
    ]
    assert thin == []


def test_no_sentence_of_the_library_is_said_twice() -> None:
    texts = [source.read_text().replace("\n", " ") for source in (LIBRARY / "source").glob("*.typ")]
    messages = Counter(sentence for text in texts for sentence in text.split(". ") if len(sentence.split()) > 7)
    assert [sentence for sentence, times in messages.items() if times > 1] == []


@pytest.mark.parametrize("entry", QUESTIONS["questions"], ids=lambda entry: entry["question"])
def test_the_answer_stands_on_the_page_that_is_named_and_on_no_other(entry: dict[str, Any]) -> None:
    pages = _pages(LIBRARY / "pdf" / entry["document"])
    results = [number for number, text in enumerate(pages, 1) if all(word in text for word in entry["contains"])]
    assert results == [entry["page"]]


def test_there_are_questions_that_nothing_answers() -> None:
    assert len(QUESTIONS["questions"]) >= 12
    assert len(QUESTIONS["unanswerable"]) == 3
