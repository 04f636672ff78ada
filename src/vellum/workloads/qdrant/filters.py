"""Filters from JSON to qdrant-edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import qdrant_edge as edge

from vellum.workloads.qdrant.fields import Fields, as_list, is_whole
from vellum.workloads.qdrant.points import read_ids
from vellum.workloads.qdrant.refused import refused

if TYPE_CHECKING:
    from qdrant_edge import ConditionType, MatchType, RangeType

MAX_NESTING = 32
"""How deep filters and prefetches may be nested: far more than clients use, far less than the stack allows."""
_BOUNDS = ("lt", "gt", "lte", "gte")
_CLAUSES = ("must", "should", "must_not", "min_should")
_LEAST_RING = 4
_INT64 = range(-(2**63), 2**63)


def read_filter(value: object, where: str, depth: int = 0) -> edge.Filter | None:
    """Return the filter, or None for an absent or empty one.

    Raises:
        RefusedError: a field or condition is unknown, or has a wrong type (400).
    """
    if value is None:
        return None
    if depth > MAX_NESTING:
        raise refused(f"{where} is nested deeper than {MAX_NESTING}")
    fields = Fields(value, where, _CLAUSES)
    if not fields.names():
        return None
    must, should, must_not = (_conditions(fields, name, depth) for name in _CLAUSES[:3])
    return edge.Filter(must, should, must_not, _min_should(fields, depth))


def _min_should(outer: Fields, depth: int) -> edge.MinShould | None:
    if "min_should" not in outer:
        return None
    fields = Fields(outer.raw("min_should"), outer.path("min_should"), ("conditions", "min_count"))
    fields.need_items("conditions")
    return edge.MinShould(_conditions(fields, "conditions", depth) or [], fields.need_whole("min_count"))


def _conditions(fields: Fields, name: str, depth: int) -> list[ConditionType] | None:
    """Read one condition or a list of them: Qdrant takes both."""
    value, where = fields.raw(name), fields.path(name)
    if value is None:
        return None
    if isinstance(value, dict):
        return [_condition(value, where, depth)]
    return [_condition(item, f"{where}[{at}]", depth) for at, item in enumerate(as_list(value, where))]


def _condition(value: object, where: str, depth: int) -> ConditionType:
    if not isinstance(value, dict):
        raise refused(f"{where} must be an object")
    if "key" in value:
        return _field(value, where)
    for kind, read in _CONDITIONS.items():
        if kind in value:
            return read(Fields(value, where, (kind,)), kind, depth)
    if value.keys() & set(_CLAUSES):
        return read_filter(value, where, depth + 1) or edge.Filter()
    raise refused(f"{where}: condition `{next(iter(value), '')}` is unknown or not supported")


def _has_id(fields: Fields, kind: str, _depth: int) -> ConditionType:
    return edge.HasIdCondition(set(read_ids(fields.need(kind), fields.path(kind))))


def _has_vector(fields: Fields, kind: str, _depth: int) -> ConditionType:
    return edge.HasVectorCondition(fields.need_text(kind))


def _is_empty(fields: Fields, kind: str, _depth: int) -> ConditionType:
    return edge.IsEmptyCondition(_inner_key(fields, kind))


def _is_null(fields: Fields, kind: str, _depth: int) -> ConditionType:
    return edge.IsNullCondition(_inner_key(fields, kind))


def _inner_key(fields: Fields, kind: str) -> str:
    inner = Fields(fields.need(kind), fields.path(kind), ("key",))
    return inner.need_text("key")


def _nested(fields: Fields, kind: str, depth: int) -> ConditionType:
    inner = Fields(fields.need(kind), fields.path(kind), ("key", "filter"))
    key = inner.need_text("key")
    return edge.NestedCondition(
        key, read_filter(inner.need("filter"), inner.path("filter"), depth + 1) or edge.Filter()
    )


_CONDITIONS: dict[str, Callable[[Fields, str, int], ConditionType]] = {
    "has_id": _has_id,
    "has_vector": _has_vector,
    "is_empty": _is_empty,
    "is_null": _is_null,
    "nested": _nested,
}


def _field(value: object, where: str) -> edge.FieldCondition:
    """Read the test of one payload field. Qdrant accepts several tests, but does not document how it joins them."""
    fields = Fields(value, where, ("key", *_TESTS, "is_empty", "is_null"))
    key = fields.need_text("key")
    tests = [name for name in fields.names() if name != "key"]
    if len(tests) != 1:
        raise refused(f"{where}: exactly one test is needed for `{key}`, not {', '.join(tests) or 'none'}")
    test = tests[0]
    read = _TESTS.get(test)
    wanted: Any = fields.flag(test) if read is None else read(fields.raw(test), fields.path(test))
    return edge.FieldCondition(key, **{test: wanted})


def _match(value: object, where: str) -> MatchType:
    fields = Fields(value, where, ("value", "any", "except", *_TEXTS))
    if len(fields.names()) != 1:
        raise refused(f"{where} needs exactly one of value, any, except, {', '.join(_TEXTS)}")
    kind = fields.names()[0]
    if kind == "value":
        return edge.MatchValue(_scalar(fields.raw(kind), fields.path(kind)))
    if kind in _TEXTS:
        return _TEXTS[kind](fields.need_text(kind))
    values = _alike(fields, kind)
    return edge.MatchAny(values) if kind == "any" else edge.MatchExcept(values)


_TEXTS: dict[str, Callable[[str], MatchType]] = {
    "text": edge.MatchText,
    "text_any": edge.MatchTextAny,
    "phrase": edge.MatchPhrase,
}


def _scalar(value: object, where: str) -> str | int | bool:
    if isinstance(value, bool):
        # qdrant-edge reads Python's True as the integer 1 (measured), but NumPy's booleans as booleans. NumPy comes
        # with qdrant-client. Its import takes 0.3 s and 17 MB, so the first such filter imports it, not the start.
        from numpy import bool_

        return cast("bool", bool_(value))
    if isinstance(value, str) or (is_whole(value) and value in _INT64):
        return value
    raise refused(f"{where} must be a string, a boolean or a 64-bit integer")


def _alike(fields: Fields, kind: str) -> list[str] | list[int]:
    values = fields.need_items(kind)
    if all(isinstance(value, str) for value in values):
        return cast("list[str]", values)
    if all(is_whole(value) and value in _INT64 for value in values):
        return cast("list[int]", values)
    raise refused(f"{fields.path(kind)} must be all strings or all 64-bit integers")


def _range(value: object, where: str) -> RangeType:
    fields = Fields(value, where, _BOUNDS)
    if any(isinstance(fields.raw(name), str) for name in fields.names()):
        return edge.RangeDateTime(**{name: fields.text(name) for name in fields.names()})
    return edge.RangeFloat(**{name: fields.number(name) for name in fields.names()})


def _values_count(value: object, where: str) -> edge.ValuesCount:
    fields = Fields(value, where, _BOUNDS)
    return edge.ValuesCount(**{name: fields.whole(name) for name in fields.names()})


def _place(value: object, where: str) -> edge.GeoPoint:
    fields = Fields(value, where, ("lon", "lat"))
    return edge.GeoPoint(fields.need_number("lon"), fields.need_number("lat"))


def _geo_radius(value: object, where: str) -> edge.GeoRadius:
    fields = Fields(value, where, ("center", "radius"))
    return edge.GeoRadius(_place(fields.need("center"), fields.path("center")), fields.need_number("radius"))


def _geo_box(value: object, where: str) -> edge.GeoBoundingBox:
    fields = Fields(value, where, ("top_left", "bottom_right"))
    return edge.GeoBoundingBox(*(_place(fields.need(item), fields.path(item)) for item in ("top_left", "bottom_right")))


def _geo_polygon(value: object, where: str) -> edge.GeoPolygon:
    fields = Fields(value, where, ("exterior", "interiors"))
    holes = fields.items("interiors") or []
    return edge.GeoPolygon(
        _ring(fields.need("exterior"), fields.path("exterior")),
        [_ring(item, f"{fields.path('interiors')}[{at}]") for at, item in enumerate(holes)],
    )


def _ring(value: object, where: str) -> list[edge.GeoPoint]:
    fields = Fields(value, where, ("points",))
    points = [_place(item, f"{fields.path('points')}[{at}]") for at, item in enumerate(fields.need_items("points"))]
    ends = [(item.lon, item.lat) for item in (*points[:1], *points[-1:])]
    if len(points) < _LEAST_RING or ends[0] != ends[-1]:
        raise refused(f"{fields.path('points')} must be a ring: {_LEAST_RING} points or more, the last as the first")
    return points


_TESTS: dict[str, Callable[[object, str], object]] = {
    "match": _match,
    "range": _range,
    "values_count": _values_count,
    "geo_radius": _geo_radius,
    "geo_bounding_box": _geo_box,
    "geo_polygon": _geo_polygon,
}
