"""Documents and questions have one normal form, so search never reports a visible word as absent."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as some

from vellum.workloads import words
from vellum.workloads.words import LINE_END

_LETTERS = some.characters(categories=["L", "N", "M"])
_TEXTS = some.lists(some.text(_LETTERS, min_size=1, max_size=12), min_size=1, max_size=8).map(" ".join)


def forms(text: str, *, document: bool) -> list[str]:
    return [form for form, _, _ in words.cut(text, document=document)]


@given(_TEXTS)
def test_every_word_of_a_text_is_found_by_itself(text: str) -> None:
    there = set(forms(text, document=True))
    for word in text.split():
        assert set(forms(word, document=False)) <= there


@given(_TEXTS)
def test_composed_and_decomposed_letters_are_one(text: str) -> None:
    composed, apart = (set(forms(unicodedata.normalize(form, text), document=False)) for form in ("NFC", "NFD"))
    assert composed == apart


@given(_TEXTS)
def test_places_point_into_the_text_in_order(text: str) -> None:
    places = [(start, end) for _, start, end in words.cut(text, document=True)]
    assert all(0 <= start < end <= len(text) for start, end in places)


@given(_TEXTS)
def test_every_form_is_one_word_to_the_engine(text: str) -> None:
    assert all(form.isalnum() for form in forms(text, document=True))


@pytest.mark.parametrize(
    ("page", "question"),
    [
        ("permit-" + LINE_END + "ted", "permitted"),
        ("long-" + LINE_END + "term", "long-term"),
        ("long-" + LINE_END + "term", "longterm"),
        ("the e\ufb03cient \ufb01lter", "efficient filter"),
        ("so\u00adlar", "solar"),
        ("STRASSE", "Straße"),
        ("\uff26\uff55\uff4c\uff4c \uff57\uff49\uff44\uff54\uff48", "full width"),
        ("ﾚﾝｽﾞ", "レンズ"),
        ("Zürich", "zurich"),
        ("कम्पनी", "कम्पनी"),
        ("ความปลอดภัย", "ปลอดภัย"),
        ("系统漏洞", "漏洞"),
        ("毒がある", "毒"),
        ("ﻣﺮﺣﺒﺎ", "مرحبا"),
    ],
)
def test_a_question_has_the_forms_of_the_page(page: str, question: str) -> None:
    asked = set(forms(question, document=False))
    assert asked
    assert asked <= set(forms(page, document=True))
