"""Find the passages that answer a question, or report that there are none and which come nearest.

``ranking`` judges a passage; this module queries Qdrant and builds the prediction.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from vellum.connect import Binding, connect
from vellum.workloads.search.question import Question
from vellum.workloads.search.ranking import ANSWERS, NEAR, Terms, terms_of, words_of
from vellum.workloads.search.snippet import snippet
from vellum.workloads.vectors import (
    FORM,
    VECTOR,
    NoCollectionError,
    Qdrant,
    document_vector,
    having,
    question_vector,
    sparse,
)

_CANDIDATES = 15
"""Passages judged beyond the limit, because the best by BM25 alone are not always the best. With 5 more, MRR@10 is
0.74 as well; judging one costs 0.1 ms."""
_WEIGHED_TERMS = 32
"""How many terms of a very long question are weighed; the others do not count."""
NOTHING_INDEXED = "no documents are indexed yet; run vellum ingest DIR"
NOT_READY = "the team's vectors are not ready yet; run vellum status"
_SHOWN = {"include": ["document", "page", "text"]}
_SEEN = having("committed")
_OLDER = {"must_not": [{"is_empty": {"key": "first"}}, {"key": "entry.form", "match": {"value": FORM}}]}
"""The filter for first passages of documents that were indexed in another form of words."""


class Searcher:
    """Answers questions; each thread keeps one connection, and opens a new one when the binding changes."""

    def __init__(self) -> None:
        self._own = threading.local()

    def answer(self, question: Question) -> dict[str, Any]:
        """Return ``{"question", "answers": [{"document", "page", "snippet", "score"}], "near": [...], "message"}``.

        ``answers`` is empty unless a passage covers enough of the question. If it is empty, ``near`` holds, in the same
        form, the passages that cover a part of it, and ``message`` says so.

        Raises:
            WorkloadError: Qdrant does not answer (VEL531), or refuses (VEL532, VEL533).
            BindingError: the binding cannot be read (VEL603).
        """
        binding = connect()
        if binding.QDRANT_URL is None:
            return _summary(question, [], NOT_READY)
        try:
            return self._ask(self._qdrant(binding), question)
        except NoCollectionError:
            return _summary(question, [], NOTHING_INDEXED)

    def _qdrant(self, binding: Binding) -> Qdrant:
        address = (binding.QDRANT_URL, binding.QDRANT_API_KEY)
        if getattr(self._own, "address", None) != address:
            assert binding.QDRANT_URL is not None
            self._own.qdrant, self._own.address = Qdrant(binding.QDRANT_URL, binding.QDRANT_API_KEY), address
        qdrant: Qdrant = self._own.qdrant
        return qdrant

    def _ask(self, qdrant: Qdrant, question: Question) -> dict[str, Any]:
        vector = question_vector(question.text)
        terms = list(vector.indices)[:_WEIGHED_TERMS]
        if not terms:
            return _summary(question, [], "the question has only common words; name what you are looking for")
        searches = [_search(sparse(vector), question.limit + _CANDIDATES)]
        searches += [_search({"indices": [term], "values": [1.0]}, 1) for term in terms]
        result, *singles = qdrant.call("POST", "/points/query/batch", {"searches": searches})
        if not result["points"] and not qdrant.call("POST", "/points/count", {"filter": _SEEN})["count"]:
            return _summary(question, [], NOTHING_INDEXED)
        weighed = _weigh(qdrant, question.text, dict(zip(terms, singles, strict=True)))
        prediction = _prediction(question, weighed, result["points"])
        if prediction["message"] and (old := qdrant.call("POST", "/points/count", {"filter": _OLDER})["count"]):
            prediction["message"] += (
                f"; an older version of Vellum indexed {old} document{'s' * (old > 1)}, "
                "whose words may be missed: ingest them again"
            )
        return prediction


def _prediction(question: Question, weighed: Terms, points: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the ranked passages that cover enough; if one of them answers, all of them count as answers."""
    judged = [(weighed.judge(point["payload"]["text"], point["score"]), point) for point in points]
    ranked = sorted((pair for pair in judged if pair[0].coverage >= NEAR), key=lambda pair: -pair[0].rank)
    shown = [_cited(point, weighed, judgement.rank) for judgement, point in ranked[: question.limit]]
    if any(judgement.coverage >= ANSWERS for judgement, _ in ranked):
        return _summary(question, shown, "")
    return _summary(question, [], _nothing(weighed), near=shown)


def _cited(point: Mapping[str, Any], terms: Terms, rank: float) -> dict[str, Any]:
    payload = point["payload"]
    return {
        "document": payload["document"],
        "page": payload["page"],
        "snippet": snippet(payload["text"], terms.weights),
        "score": round(rank, 4),
    }


def _search(query: dict[str, list[Any]], limit: int) -> dict[str, Any]:
    return {"query": query, "using": VECTOR, "filter": _SEEN, "limit": limit, "with_payload": _SHOWN}


def _weigh(qdrant: Qdrant, text: str, singles: Mapping[int, dict[str, Any]]) -> Terms:
    """Return each term's IDF, from the best passage for it alone: the score is the IDF times the passage's weight."""
    weights: dict[int, float] = {}
    for term, answer in singles.items():
        for point in answer["points"]:
            document = document_vector(point["payload"]["text"])
            weights[term] = point["score"] / dict(zip(document.indices, document.values, strict=True))[term]
    missing = singles.keys() - weights.keys()
    if missing:
        count = qdrant.call("POST", "/points/count", {"filter": _SEEN, "exact": False})["count"]
        weights |= dict.fromkeys(missing, math.log(1 + max(count - 0.5, 0.5) / 1.5))
    absent = {term: text[start:end] for term, start, end in words_of(text, document=False) if term in missing}
    return Terms(tuple(terms_of(text, document=False)), weights, tuple(absent.values()))


def _nothing(terms: Terms) -> str:
    if terms.absent:
        return f"nothing relevant was found: no indexed document mentions {', '.join(terms.absent)}"
    return "nothing relevant was found: no passage has enough of the question's words together"


def _summary(
    question: Question, answers: list[dict[str, Any]], message: str, *, near: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    return {"question": question.text, "answers": answers, "near": list(near), "message": message}
