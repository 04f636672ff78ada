"""Queries by examples: recommend, discover, context. An example is a vector, or the id of a point."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import qdrant_edge as edge

from vellum.workloads.qdrant.fields import Fields, as_list
from vellum.workloads.qdrant.points import Vector
from vellum.workloads.qdrant.refused import refused

if TYPE_CHECKING:
    from qdrant_edge import NamedVector

See = Callable[[object, str], Vector]
"""Returns the vector of an example, given as sent and its path in the request."""
STRATEGIES = ("average_vector", "best_score", "sum_scores")


def read_recommend(query: Fields, kind: str, see: See, using: str) -> edge.Query:
    """Read ``recommend``: near the positive examples, far from the negative ones."""
    fields = Fields(query.raw(kind), query.path(kind), ("positive", "negative", "strategy"))
    positive, negative = _examples(fields, "positive", see), _examples(fields, "negative", see)
    strategy = fields.choice("strategy", STRATEGIES) or STRATEGIES[0]
    if strategy == "average_vector":
        if not positive:
            raise refused(f"{fields.path('positive')} must have an example for the strategy average_vector")
        return edge.Query.Nearest(_average(positive, negative, fields.where), using or None)
    if not positive and not negative:
        raise refused(f"{fields.where}: one of `positive` and `negative` must have an example")
    make = edge.Query.RecommendBestScore if strategy == "best_score" else edge.Query.RecommendSumScores
    return make(edge.RecommendQuery(positive, negative), using or None)


def read_discover(query: Fields, kind: str, see: See, using: str) -> edge.Query:
    """Read ``discover``: near the target, on the positive side of every pair."""
    fields = Fields(query.raw(kind), query.path(kind), ("target", "context"))
    target = see(fields.need("target"), fields.path("target"))
    pairs = _pairs(fields.raw("context"), fields.path("context"), see)
    return edge.Query.Discover(edge.DiscoverQuery(target, pairs), using or None)


def read_context(query: Fields, kind: str, see: See, using: str) -> edge.Query:
    """Read ``context``: on the positive side of every pair."""
    pairs = _pairs(query.raw(kind), query.path(kind), see)
    if not pairs:
        raise refused(f"{query.path(kind)} must have a pair")
    return edge.Query.Context(edge.ContextQuery(pairs), using or None)


READERS: dict[str, Callable[[Fields, str, See, str], edge.Query]] = {
    "recommend": read_recommend,
    "discover": read_discover,
    "context": read_context,
}


def _examples(fields: Fields, name: str, see: See) -> list[NamedVector]:
    return [see(item, f"{fields.path(name)}[{at}]") for at, item in enumerate(fields.items(name) or [])]


def _pairs(value: object, where: str, see: See) -> list[edge.ContextPair]:
    if value is None:
        return []
    results = []
    for at, item in enumerate([value] if isinstance(value, dict) else as_list(value, where)):
        pair = Fields(item, f"{where}[{at}]", ("positive", "negative"))
        both = [see(pair.need(name), pair.path(name)) for name in ("positive", "negative")]
        results.append(edge.ContextPair(*both))
    return results


def _average(positive: list[NamedVector], negative: list[NamedVector], where: str) -> list[float]:
    """Return the mean of the positive examples, moved away from the mean of the negative ones by their difference."""
    good, bad = _mean(positive, where), _mean(negative, where)
    return [2 * item - other for item, other in zip(good, bad, strict=True)] if bad else good


def _mean(vectors: list[NamedVector], where: str) -> list[float]:
    columns: list[list[float]] = []
    for vector in vectors:
        if isinstance(vector, edge.SparseVector):
            raise refused(f"{where}: sparse examples need the strategy best_score or sum_scores")
        columns = columns or [[] for _ in vector]
        for column, number in zip(columns, vector, strict=True):
            column.append(float(number))  # type: ignore[arg-type]  # dense: multivectors are refused
    return [sum(column) / len(column) for column in columns]
