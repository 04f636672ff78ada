"""Queries from JSON to qdrant-edge: nearest, fusion with prefetches, order, sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict, cast

import qdrant_edge as edge

from vellum.workloads.qdrant.examples import READERS
from vellum.workloads.qdrant.fields import Fields, as_list, as_number, as_texts, is_whole
from vellum.workloads.qdrant.filters import MAX_NESTING
from vellum.workloads.qdrant.points import Vector, read_id, read_vector
from vellum.workloads.qdrant.refused import refused
from vellum.workloads.qdrant.schema import UNNAMED, Schema

if TYPE_CHECKING:
    from qdrant_edge import PointId, ScoringQueryType, StartFromType, WithPayloadType

DEFAULT_LIMIT = 10
_MAX_CANDIDATES = 16_384
"""Qdrant's own limit of candidates that are compared with each other."""
_RRF_K = 2
"""Qdrant's own default, not the 60 of the paper."""
SHARED = ("query", "prefetch", "using", "filter", "params", "score_threshold", "limit")
_KINDS = ("nearest", "order_by", "fusion", "rrf", "sample", *READERS)

Lookup = Callable[["PointId", str], Vector]


class _Stage(TypedDict):
    """The fields that a request and a prefetch share, as qdrant-edge names them."""

    limit: int
    query: ScoringQueryType | None
    prefetches: list[edge.Prefetch]
    filter: edge.Filter | None
    score_threshold: float | None
    params: edge.SearchParams | None


@dataclass
class Reader:
    """Reads queries against one collection.

    ``lookup`` returns a stored vector by point id and vector name; ``filter`` reads the filter in a field.
    """

    schema: Schema
    lookup: Lookup
    filter: Callable[[Fields, str], edge.Filter | None]
    mentioned: set[PointId] = field(default_factory=set)

    def request(self, body: object, where: str = "body") -> edge.QueryRequest:
        """Read one query request.

        Raises:
            RefusedError: a field is unknown or wrong (400), or a point that is asked by id is absent (404).
        """
        fields = Fields(body, where, (*SHARED, "offset", "with_vector", "with_payload"))
        stage = self._stage(fields, 0, frozenset())
        offset = fields.whole("offset") or 0
        return edge.QueryRequest(
            **stage,
            # Qdrant ignores an offset into a random order; the core would not.
            offset=0 if stage["query"] == edge.Sample.Random else offset,
            with_vector=read_with_vector(fields, self.schema),
            with_payload=read_with_payload(fields, default=False),
        )

    def _stage(self, fields: Fields, depth: int, above: frozenset[str]) -> _Stage:
        """Read the fields that a request and a prefetch share; the answer leaves out points that the query names.

        ``above`` are the alternatives (``should``, ``min_should``) in the filters around this one.
        """
        inner = Reader(self.schema, self.lookup, self.filter)
        prefetches = inner._prefetches(fields, depth, above | _alternatives(fields, above))
        query = inner._query(fields)
        if prefetches and query is None:
            raise refused(f"{fields.where}: A query is needed to merge the prefetches")
        self.mentioned |= inner.mentioned
        limit = fields.whole("limit", 1)
        return {
            "limit": DEFAULT_LIMIT if limit is None else limit,
            "query": query,
            "prefetches": prefetches,
            "filter": _without(inner.mentioned, self.filter(fields, "filter")),
            "score_threshold": _threshold(fields, query),
            "params": _params(fields),
        }

    def _prefetches(self, fields: Fields, depth: int, above: frozenset[str]) -> list[edge.Prefetch]:
        value, where = fields.raw("prefetch"), fields.path("prefetch")
        if depth > MAX_NESTING:
            raise refused(f"{where} is nested deeper than {MAX_NESTING}")
        if value is None:
            return []
        several = [value] if isinstance(value, dict) else as_list(value, where)
        read = [Fields(item, f"{where}[{at}]", SHARED) for at, item in enumerate(several)]
        return [edge.Prefetch(**self._stage(item, depth + 1, above)) for item in read]

    def _query(self, fields: Fields) -> ScoringQueryType | None:
        value, where = fields.raw("query"), fields.path("query")
        using = fields.text("using") or UNNAMED
        if value is None:
            return None
        if not isinstance(value, dict) or "indices" in value or "values" in value:
            return self._nearest(value, using, where)
        query = Fields(value, where, (*_KINDS, "mmr"))
        if "mmr" in query and "nearest" in query:
            return self._diverse(query, using, fields.whole("limit", 1) or DEFAULT_LIMIT)
        if len(query.names()) != 1 or "mmr" in query:
            raise refused(f"{where} must name exactly one of {', '.join(_KINDS)}")
        kind = query.names()[0]
        if kind == "nearest":
            return self._nearest(query.raw(kind), using, query.path(kind))
        if kind in READERS:
            self.schema.check_name(using)
            return READERS[kind](query, kind, lambda item, place: self._vector(item, using, place), using)
        return _READ[kind](query, kind)

    def _diverse(self, query: Fields, using: str, limit: int) -> edge.Mmr:
        """Read ``nearest`` with ``mmr``: candidates by nearness, chosen also for how much they differ."""
        if using in self.schema.sparse:
            raise refused(f"{query.path('mmr')}: `{using}` is sparse, and only dense vectors are compared so")
        fields = Fields(query.raw("mmr"), query.path("mmr"), ("diversity", "candidates_limit"))
        diversity = fields.number("diversity")
        if diversity is not None and not 0 <= diversity <= 1:
            raise refused(f"{fields.path('diversity')} must be from 0 to 1")
        vector = self._vector(query.raw("nearest"), using, query.path("nearest"))
        similar = 0.5 if diversity is None else 1 - diversity
        candidates = fields.whole("candidates_limit", 1, _MAX_CANDIDATES) or limit
        return edge.Mmr(vector, similar, candidates, using or None)

    def _nearest(self, value: object, using: str, where: str) -> edge.Query:
        return edge.Query.Nearest(self._vector(value, using, where), using or None)

    def _vector(self, value: object, using: str, where: str) -> Vector:
        """Return the given vector, or the vector of the point with the given id."""
        self.schema.check_name(using)
        if isinstance(value, str) or is_whole(value):
            point = read_id(value, where)
            self.mentioned.add(point)
            return self.lookup(point, using)
        return read_vector(value, self.schema, using, where)


def _alternatives(fields: Fields, above: frozenset[str]) -> frozenset[str]:
    """Return the alternatives in a filter; refuse two of one kind that are nested.

    Qdrant puts a query's filter into its prefetches and joins both lists of alternatives, so a point passes that
    satisfies only one of the two filters.
    """
    given = fields.raw("filter")
    result = frozenset(("should", "min_should")) & set(given) if isinstance(given, dict) else frozenset()
    for name in sorted(result & above):
        raise refused(
            f"{fields.path('filter')}.{name}: the query around it has one too, and Qdrant would take the two for one; "
            f'write {{"must": [{{"{name}": …}}]}}'
        )
    return result


def read_order(value: object, where: str) -> edge.OrderBy | None:
    """Read ``order_by``: a payload key, or an object with direction and start."""
    return None if value is None else _one_order(value, where)


def _one_order(value: object, where: str) -> edge.OrderBy:
    if isinstance(value, str):
        return edge.OrderBy(value)
    fields = Fields(value, where, ("key", "direction", "start_from"))
    direction = fields.choice("direction", ("asc", "desc")) or "asc"
    return edge.OrderBy(
        fields.need_text("key"),
        edge.Direction.Asc if direction == "asc" else edge.Direction.Desc,
        _start(fields, "start_from"),
    )


def _start(fields: Fields, name: str) -> StartFromType | None:
    value = fields.raw(name)
    return value if value is None or isinstance(value, str) or is_whole(value) else fields.number(name)


def read_with_payload(fields: Fields, *, default: bool) -> WithPayloadType:
    """Read which payload fields come back: all, none, a list, or ``include`` or ``exclude``."""
    value, where = fields.raw("with_payload"), fields.path("with_payload")
    if value is None or isinstance(value, bool):
        return default if value is None else value
    if isinstance(value, list):
        return as_texts(value, where)
    choice = Fields(value, where, ("include", "exclude"))
    included, excluded = choice.texts("include"), choice.texts("exclude")
    if included is not None and excluded is None:
        return edge.PayloadSelector.Include(included)
    if excluded is not None and included is None:
        return edge.PayloadSelector.Exclude(excluded)
    raise refused(f"{where} must name exactly one of include, exclude")


def read_with_vector(fields: Fields, schema: Schema) -> bool | list[str]:
    """Read which vectors come back: all, none, or those named."""
    value = fields.raw("with_vector")
    if value is None or isinstance(value, bool):
        return bool(value)
    names = as_texts(value, fields.path("with_vector"))
    for name in names:
        schema.check_name(name)
    return names


def _order(query: Fields, kind: str) -> ScoringQueryType:
    return _one_order(query.raw(kind), query.path(kind))


def _fusion(query: Fields, kind: str) -> ScoringQueryType:
    fusion = edge.Fusion.Rrf(_RRF_K) if query.choice(kind, ("rrf", "dbsf")) == "rrf" else edge.Fusion.Dbsf()
    return cast("edge.Fusion", fusion)


def _rrf(query: Fields, kind: str) -> ScoringQueryType:
    fields = Fields(query.raw(kind), query.path(kind), ("k", "weights"))
    given, where = fields.items("weights"), fields.path("weights")
    weights = None if given is None else [as_number(item, f"{where}[{at}]") for at, item in enumerate(given)]
    return cast("edge.Fusion", edge.Fusion.Rrf(fields.whole("k", 1) or _RRF_K, weights))


def _sample(query: Fields, kind: str) -> ScoringQueryType:
    query.choice(kind, ("random",))
    return edge.Sample.Random


_READ: dict[str, Callable[[Fields, str], ScoringQueryType]] = {
    "order_by": _order,
    "fusion": _fusion,
    "rrf": _rrf,
    "sample": _sample,
}


def _threshold(fields: Fields, query: object) -> float | None:
    threshold = fields.number("score_threshold")
    if threshold is not None and (query is None or isinstance(query, edge.OrderBy | edge.Sample)):
        raise refused(f"{fields.path('score_threshold')} needs a query that gives scores")
    return threshold


def _params(fields: Fields) -> edge.SearchParams | None:
    if "params" not in fields:
        return None
    params = Fields(fields.raw("params"), fields.path("params"), ("hnsw_ef", "exact", "indexed_only"))
    return edge.SearchParams(
        hnsw_ef=params.whole("hnsw_ef"),
        exact=bool(params.flag("exact")),
        indexed_only=bool(params.flag("indexed_only")),
    )


def _without(mentioned: set[PointId], wanted: edge.Filter | None) -> edge.Filter | None:
    if not mentioned:
        return wanted
    return edge.Filter(must=[wanted] if wanted else None, must_not=[edge.HasIdCondition(mentioned)])
