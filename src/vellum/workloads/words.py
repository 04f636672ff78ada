"""Cut text into words in the normal form in which search compares documents and questions.

Both sides must agree. Otherwise search reports wrongly that no document mentions a word.
The form is Unicode's NFKC with case folded and invisible characters left out: a letter with a combining accent is one
letter, a ligature is its letters, a full-width letter is the plain one. Four things go beyond that:

- A word that a line end divided (``LINE_END`` behind its hyphen) counts as both parts and as the whole word.
- Chinese, Japanese, Thai and other scripts without spaces are cut into overlapping pairs of characters, as Lucene's
  CJK analyser does. A document has the single characters too.
- A word of a document with accents is also found without them.
- A word with marks that are not letters, as in Hindi, becomes one word of letters and digits: qdrant-edge's tokenizer
  would cut it.

ASCII text without a divided word is left as it is: qdrant-edge's tokenizer cuts it in the same way.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Iterator

LINE_END = "\u200b"
"""The reader writes it after a hyphen that ends a line."""
_WORD = re.compile(r"[^\W_]+")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f"  # Myanmar
    "\u1780-\u17ff"  # Khmer
    "\u2e80-\u2fdf\u3005-\u3007"  # radicals and marks of Han
    "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Han
)
_PAIRED = re.compile(f"[{_UNSPACED}]")


def cut(text: str, *, document: bool) -> Iterator[tuple[str, int, int]]:
    """Yield (form, start, end) of every word: the form that is compared, and its position in the text.

    Args:
        text: A passage or a question.
        document: Yield also what only a document has: whole words that a line end divided, and words without accents.
    """
    if text.isascii() and LINE_END not in text:
        yield from ((match[0].lower(), match.start(), match.end()) for match in _WORD.finditer(text))
        return
    for match in _unit().finditer(text):
        if _PAIRED.match(match[0]):
            yield from _pairs(match, document=document)
        else:
            yield from ((form, match.start(), match.end()) for form in _forms(match[0], document))


def searchable(text: str, *, document: bool) -> str:
    """Return text for BM25 whose words are the forms of ``cut``."""
    if text.isascii() and LINE_END not in text:
        return text
    return " ".join(form for form, _, _ in cut(text, document=document))


def shown(text: str) -> str:
    """Return text for display, without the marks of this module."""
    return text.replace(LINE_END, "")


@functools.cache
def _unit() -> re.Pattern[str]:
    """Return a pattern for a run of a script without spaces, or a word with its marks and its part after a line end."""
    marks = "".join(_ranges(code for code in range(0x300, sys.maxunicode) if unicodedata.category(chr(code))[0] == "M"))
    letters = f"(?:(?![{_UNSPACED}])[^\\W_])(?:(?![{_UNSPACED}])[^\\W_]|[{marks}\u00ad\u200c\u200d\u2060])*"
    return re.compile(f"[{_UNSPACED}]+|{letters}(?:-{LINE_END}{letters})*")


def _ranges(codes: Iterator[int]) -> Iterator[str]:
    """Yield code points as parts of a character class, runs as one part."""
    first = last = -1
    for code in codes:
        if code == last + 1:
            last = code
            continue
        if first >= 0:
            yield f"{chr(first)}-{chr(last)}"
        first = last = code
    if first >= 0:
        yield f"{chr(first)}-{chr(last)}"


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", unicodedata.normalize("NFKC", text).casefold()))


def _pairs(run: re.Match[str], *, document: bool) -> Iterator[tuple[str, int, int]]:
    text, start = unicodedata.normalize("NFKC", run[0]), run.start()
    # Half-width Katakana turn into fewer letters: then every form stands for the whole run.
    places = range(len(text) + 1) if len(text) == len(run[0]) else None
    sizes = (1, 2) if document or len(text) == 1 else (2,)
    for size in sizes:
        for at in range(len(text) - size + 1):
            first, last = (places[at], places[at + size]) if places else (0, len(run[0]))
            yield from ((form, start + first, start + last) for form in _one_word(_normal(text[at : at + size])))


@functools.lru_cache(maxsize=100_000)
def _forms(unit: str, document: bool) -> tuple[str, ...]:  # noqa: FBT001  # cached by position
    parts = unit.split(f"-{LINE_END}")
    if len(parts) > 1 and document:
        parts.insert(0, "".join(parts))
    forms = [form for part in parts for form in _one_word(_normal(part))]
    if document:
        plain = (_without_accents(form) for form in list(forms))
        forms += [form for form in plain if form not in forms]
    return tuple(forms)


def _without_accents(form: str) -> str:
    apart = unicodedata.normalize("NFKD", form)
    return unicodedata.normalize("NFKC", "".join(item for item in apart if not unicodedata.combining(item)))


def _one_word(normal: str) -> Iterator[str]:
    """Yield the words of a normal form; it can have several: one half becomes 1 and 2."""
    if normal.isalnum():
        yield normal
    elif any(unicodedata.category(item)[0] == "M" for item in normal):
        # The final digit prevents stemming.
        yield f"u{normal.encode('utf-16-be').hex()}0"
    else:
        yield from _WORD.findall(normal)
