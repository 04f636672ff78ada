"""Nearest points and filters against a plain reference: every point is looked at, nothing is indexed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vellum.workloads.qdrant.routes import ROUTES

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(120)]

COLOURS, SIZE = ("red", "green", "blue"), 3
numbers = st.integers(-20, 20).map(lambda item: item / 4)
payloads = st.fixed_dictionaries(
    {},
    optional={
        "colour": st.sampled_from(COLOURS) | st.lists(st.sampled_from(COLOURS), max_size=3),
        "count": st.integers(-5, 5),
        "ok": st.booleans(),
        "weight": numbers,
        "nothing": st.none(),
    },
)
points = st.lists(
    st.tuples(st.lists(numbers, min_size=SIZE, max_size=SIZE).filter(any), payloads), min_size=1, max_size=25
)
leaves = st.one_of(
    st.builds(lambda value: {"key": "colour", "match": {"value": value}}, st.sampled_from(COLOURS)),
    st.builds(lambda value: {"key": "ok", "match": {"value": value}}, st.booleans()),
    st.builds(lambda value: {"key": "count", "match": {"value": value}}, st.integers(-5, 5)),
    st.builds(lambda some: {"key": "colour", "match": {"any": some}}, st.lists(st.sampled_from(COLOURS), max_size=2)),
    st.builds(
        lambda some: {"key": "count", "match": {"except": some}}, st.lists(st.integers(-5, 5), min_size=1, max_size=3)
    ),
    st.builds(
        lambda key, kind, bound: {"key": key, "range": {kind: bound}},
        st.sampled_from(["count", "weight"]),
        st.sampled_from(["lt", "lte", "gt", "gte"]),
        numbers,
    ),
    st.builds(lambda key: {"is_empty": {"key": key}}, st.sampled_from(["colour", "count", "nothing"])),
    st.builds(lambda key: {"is_null": {"key": key}}, st.sampled_from(["colour", "nothing"])),
    st.builds(lambda some: {"has_id": some}, st.lists(st.integers(0, 24), max_size=4)),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.fixed_dictionaries(
        {"must": st.lists(inner, max_size=2)},
        optional={"should": st.lists(inner, max_size=2), "must_not": st.lists(inner, max_size=2)},
    ),
    max_leaves=6,
)
_ORDER = {"lt": lambda a, b: a < b, "lte": lambda a, b: a <= b, "gt": lambda a, b: a > b, "gte": lambda a, b: a >= b}


def values(payload: dict[str, Any], key: str) -> list[Any]:
    value = payload.get(key, [])
    return value if isinstance(value, list) else [value]


def same(item: Any, other: Any) -> bool:
    return type(item) is type(other) and bool(item == other)


def matches(payload: dict[str, Any], condition: dict[str, Any]) -> bool:
    result, match = values(payload, condition["key"]), condition["match"]
    if "value" in match:
        return any(same(item, match["value"]) for item in result)
    if "any" in match:
        return any(item in match["any"] for item in result)
    return any(item not in match["except"] for item in result)


def holds(number: int, payload: dict[str, Any], condition: dict[str, Any]) -> bool:
    """Return whether a payload meets a condition, as the manual defines it."""
    if "match" in condition:
        return matches(payload, condition)
    if "range" in condition:
        ((kind, bound),) = condition["range"].items()
        return any(_ORDER[kind](value, bound) for value in values(payload, condition["key"]))
    if "is_empty" in condition:
        return all(value is None for value in values(payload, condition["is_empty"]["key"]))
    if "is_null" in condition:
        key = condition["is_null"]["key"]
        return key in payload and payload[key] is None
    if "has_id" in condition:
        return number in condition["has_id"]
    should = condition.get("should", [])
    return (
        all(holds(number, payload, item) for item in condition.get("must", []))
        and (not should or any(holds(number, payload, item) for item in should))
        and not any(holds(number, payload, item) for item in condition.get("must_not", []))
    )


def score(distance: str, item: list[float], other: list[float]) -> float:
    if distance == "Euclid":
        return math.dist(item, other)
    if distance == "Manhattan":
        return sum(abs(a - b) for a, b in zip(item, other, strict=True))
    dot = sum(a * b for a, b in zip(item, other, strict=True))
    return dot if distance == "Dot" else dot / math.hypot(*item) / math.hypot(*other)


def filled(server: Any, distance: str, stored: list[tuple[list[float], dict[str, Any]]]) -> str:
    server.send("DELETE", "/collections/ref")
    assert server.send("PUT", "/collections/ref", {"vectors": {"size": SIZE, "distance": distance}})[0] == 200
    rows = [{"id": at, "vector": vector, "payload": payload} for at, (vector, payload) in enumerate(stored)]
    assert server.send("PUT", "/collections/ref/points", {"points": rows})[0] == 200
    return "/collections/ref/points"


def test_the_reference_lists_every_served_call() -> None:
    page = Path("docs/reference/qdrant.md").read_text()
    for route in ROUTES:
        path = route.template.replace("{name}", "{n}")
        assert f"`{route.method} {path}`" in page, path


calm = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("distance", ["Dot", "Cosine", "Euclid", "Manhattan"])
@calm
@given(stored=points, asked=st.lists(numbers, min_size=SIZE, max_size=SIZE).filter(any), limit=st.integers(1, 30))
def test_the_nearest_points_are_those_that_a_full_comparison_finds(
    server: Any, distance: str, stored: list[Any], asked: list[float], limit: int
) -> None:
    path = filled(server, distance, stored)
    hits = server.send("POST", f"{path}/query", {"query": asked, "limit": limit})[1]["result"]["points"]
    expected = sorted((score(distance, asked, vector) for vector, _ in stored), reverse=distance in ("Dot", "Cosine"))
    assert [hit["score"] for hit in hits] == pytest.approx(expected[:limit], abs=1e-5)
    for hit in hits:
        assert hit["score"] == pytest.approx(score(distance, asked, stored[hit["id"]][0]), abs=1e-5)


@calm
@given(stored=points, condition=conditions)
def test_a_filter_lets_through_what_its_words_say(server: Any, stored: list[Any], condition: dict[str, Any]) -> None:
    path = filled(server, "Dot", stored)
    expected = {at for at, (_, payload) in enumerate(stored) if holds(at, payload, condition)}
    body = {"filter": {"must": [condition]}, "limit": 100}
    result = server.send("POST", f"{path}/scroll", body)
    assert {point["id"] for point in result[1]["result"]["points"]} == expected
    nearest = server.send("POST", f"{path}/query", {**body, "query": [1.0] * SIZE})
    assert {point["id"] for point in nearest[1]["result"]["points"]} == expected
    for key, kind in (("colour", "keyword"), ("count", "integer"), ("ok", "bool"), ("weight", "float")):
        index = {"field_name": key, "field_schema": kind}
        assert server.send("PUT", "/collections/ref/index", index)[0] == 200
    again = server.send("POST", f"{path}/scroll", body)
    assert {point["id"] for point in again[1]["result"]["points"]} == expected
