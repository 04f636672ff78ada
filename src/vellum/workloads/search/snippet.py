"""Show the part of a passage that matches the question."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vellum.workloads import words
from vellum.workloads.search.ranking import words_of

WIDTH = 240
"""About how many characters a snippet has."""


def snippet(text: str, weights: Mapping[int, float]) -> str:
    """Return the window of about 240 characters whose distinct matched words weigh most, on one line.

    Args:
        text: The passage.
        weights: The weight of each of the question's terms.
    """
    hits = [word for word in words_of(text, document=True) if word[0] in weights]
    best, begin, end = -1.0, 0, 0
    for first in range(len(hits)):
        inside = [hit for hit in hits[first:] if hit[2] - hits[first][1] <= WIDTH]
        weight = sum(weights[term] for term in {hit[0] for hit in inside})
        if inside and weight > best:
            best, begin, end = weight, hits[first][1], inside[-1][2]
    return _around(text, begin, end)


def _around(text: str, begin: int, end: int) -> str:
    """Widen (begin, end) to the snippet's width, cut at white space, and mark what was left out."""
    spare = max(WIDTH - (end - begin), 0)
    start = max(begin - spare // 2, 0)
    stop = min(max(start + WIDTH, end), len(text))
    start = max(min(start, stop - WIDTH), 0)
    if start:
        start = next((match.end() for match in re.compile(r"\s+").finditer(text, start, begin)), start)
    if stop < len(text):
        stop = max((match.start() for match in re.compile(r"\s+").finditer(text, end, stop)), default=stop)
    shown = words.shown(" ".join(text[start:stop].split()))
    return f"{'… ' if start else ''}{shown}{' …' if stop < len(text) else ''}"
