"""Find the passages that answer a question, or say honestly that there are none.

BM25 always ranks something first. A passage counts as an answer only when it has enough of what the question is
about: the rarity (IDF) of the question's terms that the passage contains must be at least ``COVERAGE`` of the rarity
of all of them. A word that no document has counts as much as one that a single passage has, so questions about
absent things find nothing.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from vellum.connect import Binding, connect
from vellum.workloads.search.question import Question
from vellum.workloads.search.snippet import snippet, words_of
from vellum.workloads.vectors import VECTOR, NoCollectionError, Qdrant, bm25, having, sparse

COVERAGE = 0.7
"""How much of the question's rarity a passage must contain.

Tried on the Octave manual alone and with seven R manuals beside it, 45 questions that they answer and 40 about other
things: 44 and 45 were answered; of the others 0 and 1. 0.75 answers 43 and 45, and none of the others.
"""
_CANDIDATES = 30
"""Passages looked at beyond the limit: the best by BM25 are not always the ones that cover most."""
_WEIGHED_TERMS = 32
"""Terms of a very long question whose rarity is asked for; the others do not count."""
NOTHING_INDEXED = "no documents are indexed yet; run vellum ingest DIR"
NOT_READY = "the team's vectors are not ready yet; run vellum status"
_SHOWN = {"include": ["document", "page", "text"]}
_SEEN = having("committed")


@dataclass(frozen=True, slots=True)
class Terms:
    """The question's terms: how rare each is, and the word that stands for it in a message."""

    weights: Mapping[int, float]
    absent: tuple[str, ...]
    """Words that no document has."""

    def coverage(self, text: str) -> float:
        """Return the share of the question's rarity that the text contains, 0 to 1."""
        present = set(bm25().embed_document(text).indices)
        return sum(self.weights[term] for term in present & self.weights.keys()) / sum(self.weights.values())


class Searcher:
    """Answers questions; every thread keeps one connection, and follows the binding when it changes."""

    def __init__(self) -> None:
        self._own = threading.local()

    def answer(self, question: Question) -> dict[str, Any]:
        """Return ``{"question", "answers": [{"document", "page", "snippet", "score"}], "message"}``.

        Raises:
            WorkloadError: Qdrant does not answer (VEL531), or refuses (VEL532, VEL533).
            BindingError: the binding cannot be read (VEL603).
        """
        binding = connect()
        if binding.QDRANT_URL is None:
            return _said(question, [], NOT_READY)
        try:
            return self._ask(self._qdrant(binding), question)
        except NoCollectionError:
            return _said(question, [], NOTHING_INDEXED)

    def _qdrant(self, binding: Binding) -> Qdrant:
        address = (binding.QDRANT_URL, binding.QDRANT_API_KEY)
        if getattr(self._own, "address", None) != address:
            assert binding.QDRANT_URL is not None
            self._own.qdrant, self._own.address = Qdrant(binding.QDRANT_URL, binding.QDRANT_API_KEY), address
        qdrant: Qdrant = self._own.qdrant
        return qdrant

    def _ask(self, qdrant: Qdrant, question: Question) -> dict[str, Any]:
        vector = bm25().embed_query(question.text)
        terms = list(vector.indices)[:_WEIGHED_TERMS]
        if not terms:
            return _said(question, [], "the question has only common words; name what you are looking for")
        searches = [_search(sparse(vector), question.limit + _CANDIDATES)]
        searches += [_search({"indices": [term], "values": [1.0]}, 1) for term in terms]
        found, *singles = qdrant.call("POST", "/points/query/batch", {"searches": searches})
        if not found["points"] and not qdrant.call("POST", "/points/count", {"filter": _SEEN})["count"]:
            return _said(question, [], NOTHING_INDEXED)
        weighed = _weigh(qdrant, question.text, dict(zip(terms, singles, strict=True)))
        relevant = (
            point for point in found["points"] if weighed.coverage(point["payload"]["text"]) >= COVERAGE
        )
        answers = [_cited(point, weighed) for point in islice(relevant, question.limit)]
        return _said(question, answers, "" if answers else _nothing(weighed))


def _cited(point: Mapping[str, Any], terms: Terms) -> dict[str, Any]:
    payload = point["payload"]
    return {
        "document": payload["document"], "page": payload["page"],
        "snippet": snippet(payload["text"], terms.weights), "score": round(point["score"], 4),
    }  # fmt: skip


def _search(query: dict[str, list[Any]], limit: int) -> dict[str, Any]:
    return {"query": query, "using": VECTOR, "filter": _SEEN, "limit": limit, "with_payload": _SHOWN}


def _weigh(qdrant: Qdrant, text: str, singles: Mapping[int, dict[str, Any]]) -> Terms:
    """Learn each term's IDF from the best passage for it alone: its score is the IDF times the passage's own weight."""
    weights: dict[int, float] = {}
    for term, answer in singles.items():
        for point in answer["points"]:
            document = bm25().embed_document(point["payload"]["text"])
            weights[term] = point["score"] / dict(zip(document.indices, document.values, strict=True))[term]
    missing = singles.keys() - weights.keys()
    if missing:
        count = qdrant.call("POST", "/points/count", {"filter": _SEEN, "exact": False})["count"]
        weights |= dict.fromkeys(missing, math.log(1 + max(count - 0.5, 0.5) / 1.5))
    absent = {term: text[start:end] for term, start, end in words_of(text) if term in missing}
    return Terms(weights, tuple(absent.values()))


def _nothing(terms: Terms) -> str:
    if terms.absent:
        return f"nothing relevant was found: no indexed document mentions {', '.join(terms.absent)}"
    return "nothing relevant was found: no passage has enough of the question's words together"


def _said(question: Question, answers: list[dict[str, Any]], message: str) -> dict[str, Any]:
    return {"question": question.text, "answers": answers, "message": message}
