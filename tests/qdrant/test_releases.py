"""A filter that Qdrant 1.16 to 1.20 answer differently for the stored points is refused; others are answered."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.laptop

POINTS = "/collections/zoo/points"
PAYLOADS: dict[int, dict[str, Any]] = {
    1: {"text": "an elephant", "tags": ["a", None], "rows": [{"text": "an elephant", "n": None}]},
    2: {"text": "the ant", "tags": [], "n": 1, "rows": [{"text": "one ant", "n": [1]}, {"n": None}]},
    3: {"text": "The Ant, too", "tags": None, "n": 2, "rows": []},
}


def key(name: str, **test: Any) -> dict[str, Any]:
    return {"key": name, **test}


def nested(inner: Any) -> dict[str, Any]:
    return {"nested": {"key": "rows", "filter": {"must_not": [inner]}}}


DIFFERENT = [
    (key("text", match={"text": "ant"}), "create a text index on `text`"),
    (key("text", match={"text": "The"}), "create a text index on `text`"),
    (key("text", match={"text": ""}), "create a text index on `text`"),
    (key("text", match={"text_any": "bee ant"}), "create a text index on `text`"),
    (key("text", match={"phrase": "n elephant"}), "create a text index on `text`"),
    (key("rows[].text", match={"text": "ant"}), "create a text index on `rows[].text`"),
    (nested(key("text", match={"text": "ant"})), "create a text index on `rows[].text`"),
    (key("n", values_count={"lt": 1}), "point 1 shows it"),
    (key("n", values_count={}), "`values_count` with `gte: 1`"),
    (nested(key("other", values_count={"lte": 3})), "before 1.19"),
    (key("rows[].n", is_null=False), '`must_not` {"key": "rows[].n", "is_null": true}'),
    (key("rows[].n", is_empty=True), 'write {"is_empty": {"key": "rows[].n"}}'),
    ({"is_null": {"key": "tags"}}, '{"key": "tags", "is_null": true}'),
]
ALIKE = [
    (key("text", match={"text": "elephant"}), {1}),
    (key("text", match={"phrase": "an elephant"}), {1}),
    (key("text", match={"text": "giraffe"}), set()),
    (key("n", values_count={"gte": 1}), {2, 3}),
    (key("tags", values_count={"lt": 1}), {2, 3}),
    (key("tags", is_null=True), {1, 3}),
    (key("rows", values_count={"gt": 0}), {1, 2}),
    ({"is_null": {"key": "n"}}, set()),
    ({"is_null": {"key": "rows[].n"}}, {1, 2}),
    (key("n", is_null=False), {1, 2, 3}),
    (key("tags", is_empty=True), {2, 3}),
    ({"should": [{"is_empty": {"key": "n"}}, key("n", values_count={"gte": 1, "lt": 2})]}, {1, 2, 3}),
]


@pytest.fixture
def zoo(server: Any) -> Any:
    server.send("DELETE", "/collections/zoo")
    server.send("PUT", "/collections/zoo", {"vectors": {"size": 1, "distance": "Dot"}})
    rows = [{"id": item, "vector": [float(item)], "payload": payload} for item, payload in PAYLOADS.items()]
    assert server.send("PUT", POINTS, {"points": rows})[0] == 200
    return server


def asked(zoo: Any, condition: Any) -> tuple[int, Any]:
    status, answer = zoo.send("POST", f"{POINTS}/scroll", {"filter": {"must": [condition]}})
    return status, answer["result"] if status == 200 else answer["status"]["error"]


@pytest.mark.parametrize(("condition", "way"), DIFFERENT, ids=range(len(DIFFERENT)))
def test_releases_that_differ_are_named_with_a_way_out(zoo: Any, condition: Any, way: str) -> None:
    for clause in ("must", "should", "must_not", "min_should"):
        given = {"conditions": [condition], "min_count": 1} if clause == "min_should" else condition
        for path, body in (
            ("count", {"filter": {clause: given}}),
            ("scroll", {"filter": {"must": [{clause: given}]}}),
            ("query", {"query": [1.0], "filter": {clause: given}}),
            ("query", {"query": {"fusion": "rrf"}, "prefetch": {"query": [1.0], "filter": {clause: given}}}),
            ("delete", {"filter": {clause: given}}),
            ("payload", {"filter": {clause: given}, "payload": {"x": 1}}),
        ):
            status, answer = zoo.send("POST", f"{POINTS}/{path}", body)
            assert (status, way in answer["status"]["error"]) == (400, True), answer
    assert zoo.send("POST", f"{POINTS}/count", {})[1]["result"]["count"] == len(PAYLOADS)


@pytest.mark.parametrize(("condition", "expected"), ALIKE, ids=range(len(ALIKE)))
def test_releases_that_agree_on_what_is_stored_are_followed(zoo: Any, condition: Any, expected: set[int]) -> None:
    status, result = asked(zoo, condition)
    assert (status, {point["id"] for point in result["points"]}) == (200, expected)


def test_the_way_out_of_a_text_match_is_an_index(zoo: Any) -> None:
    for field in ("text", "rows[].text"):
        index = {"field_name": field, "field_schema": {"type": "text", "tokenizer": "word", "lowercase": True}}
        assert zoo.send("PUT", "/collections/zoo/index?wait=true", index)[0] == 200
        status, result = asked(zoo, key(field, match={"text": "ant"}))
        expected = {2, 3} if field == "text" else {2}
        assert (status, {point["id"] for point in result["points"]}) == (200, expected)


def test_alternatives_of_a_query_and_its_prefetch_stay_apart(zoo: Any) -> None:
    """Qdrant would make one list of both; inside ``must`` they are two."""

    def body(given: Any) -> Any:
        both = {"query": [1.0], "filter": given({"should": [{"has_id": [1]}]})}
        return {**both, "prefetch": [{"query": [1.0], "filter": given({"should": [{"has_id": [2]}]})}]}

    status, answer = zoo.send("POST", f"{POINTS}/query", body(lambda item: item))
    assert (status, 'write {"must": [{"should": …}]}' in answer["status"]["error"]) == (400, True)
    apart = zoo.send("POST", f"{POINTS}/query", body(lambda item: {"must": [item]}))
    assert apart[1]["result"]["points"] == []


def test_a_write_that_makes_releases_differ_is_seen(zoo: Any) -> None:
    condition = key("text", match={"text": "elephant"})
    assert asked(zoo, condition)[0] == 200
    zoo.send("PUT", POINTS, {"points": [{"id": 9, "vector": [1.0], "payload": {"text": "elephantine"}}]})
    status, message = asked(zoo, condition)
    assert (status, "point 9 shows it" in message) == (400, True)


def test_equal_counts_of_a_facet_come_in_the_order_of_their_values(zoo: Any) -> None:
    zoo.send("PUT", "/collections/zoo/index", {"field_name": "t", "field_schema": "keyword"})
    rows = [{"id": 100 + at, "vector": [1.0], "payload": {"t": [f"v{at:03}", "all"]}} for at in range(200)]
    zoo.send("PUT", POINTS, {"points": rows})
    hits = zoo.send("POST", "/collections/zoo/facet", {"key": "t", "limit": 4})[1]["result"]["hits"]
    assert [(hit["value"], hit["count"]) for hit in hits] == [("all", 200), ("v000", 1), ("v001", 1), ("v002", 1)]


def test_an_offset_into_a_random_order_takes_nothing_away(zoo: Any) -> None:
    body = {"query": {"sample": "random"}, "limit": 3, "offset": 2}
    points = zoo.send("POST", f"{POINTS}/query", body)[1]["result"]["points"]
    assert {point["id"] for point in points} == set(PAYLOADS)
