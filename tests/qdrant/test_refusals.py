"""Unsupported requests are refused by name and change nothing."""

from __future__ import annotations

import http.client
from typing import Any

import pytest

pytestmark = pytest.mark.laptop

VECTORS = {"size": 2, "distance": "Dot"}
POINT = {"id": 1, "vector": [1.0, 0.0]}
FILTER = {"must": [{"key": "a", "match": {"value": 1}}]}
BODIES = {
    ("PUT", "/collections/new"): {
        "vectors": VECTORS,
        "sparse_vectors": {"w": {}},
        "hnsw_config": {"m": 8, "on_disk": True},
        "optimizers_config": {"indexing_threshold": 9},
    },
    ("PUT", "/collections/one/index"): {"field_name": "a", "field_schema": {"type": "integer", "lookup": True}},
    ("PUT", "/collections/one/points"): {"points": [{**POINT, "payload": {"a": 1}}], "update_filter": FILTER},
    ("POST", "/collections/one/points"): {"ids": [1], "with_payload": {"include": ["a"]}},
    ("POST", "/collections/one/points/query"): {
        "query": {"fusion": "rrf"},
        "filter": FILTER,
        "params": {"exact": True},
        "with_payload": {"exclude": ["a"]},
        "prefetch": [{"query": {"nearest": [1.0, 0.0]}, "filter": FILTER, "params": {"hnsw_ef": 3}}],
    },
    ("POST", "/collections/one/points/query/groups"): {
        "query": {"recommend": {"positive": [[1.0, 0.0]], "negative": [[0.0, 1.0]]}},
        "group_by": "a",
        "group_size": 2,
        "filter": FILTER,
    },
    ("POST", "/collections/one/points/query/batch"): {"searches": [{"query": [1.0, 0.0], "filter": FILTER}]},
    ("POST", "/collections/one/points/scroll"): {"filter": FILTER, "limit": 3},
    ("POST", "/collections/one/points/count"): {"filter": FILTER, "exact": True},
    ("POST", "/collections/one/points/delete"): {"filter": {"must": [{"key": "a", "match": {"value": 9}}]}},
    ("POST", "/collections/one/points/payload"): {"payload": {"a": 1}, "filter": FILTER},
    ("PUT", "/collections/one/points/payload"): {"payload": {"a": 1}, "filter": FILTER},
    ("POST", "/collections/one/points/payload/delete"): {"keys": ["z"], "filter": FILTER},
    ("POST", "/collections/one/points/payload/clear"): {"filter": {"must": [{"key": "a", "match": {"value": 9}}]}},
    ("PUT", "/collections/one/points/vectors"): {"points": [POINT], "update_filter": FILTER},
    ("POST", "/collections/one/points/vectors/delete"): {"vector": [""], "filter": {"must": [{"has_id": [77]}]}},
    ("POST", "/collections/one/points/batch"): {
        "operations": [
            {"upsert": {"points": [{**POINT, "payload": {"a": 1}}]}},
            {"set_payload": {"payload": {"a": 1}, "points": [1]}},
            {"delete_payload": {"keys": ["z"], "points": [1]}},
            {"update_vectors": {"points": [POINT]}},
            {"delete": {"points": [77]}},
        ]
    },
    ("POST", "/collections/one/facet"): {"key": "a", "filter": FILTER},
}
FREE = "payload"
"""The object whose fields are the user's own."""


def places(body: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every object in a body whose fields are Qdrant's."""
    if isinstance(body, list):
        return [place for at, item in enumerate(body) for place in places(item, (*path, at))]
    if not isinstance(body, dict) or (path and path[-1] == FREE):
        return []
    inner = [place for name, item in body.items() for place in places(item, (*path, name))]
    return inner if path and path[-1] == "sparse_vectors" else [path, *inner]


def planted(body: Any, path: tuple[Any, ...], field: str) -> Any:
    """Return the body with one more field in the object at that path."""
    if not path:
        return {**body, field: 1}
    if isinstance(body, list):
        return [planted(item, path[1:], field) if at == path[0] else item for at, item in enumerate(body)]
    return {**body, path[0]: planted(body[path[0]], path[1:], field)}


@pytest.fixture(scope="module")
def one(server: Any) -> Any:
    assert server.send("PUT", "/collections/one", {"vectors": VECTORS})[0] == 200
    assert server.send("PUT", "/collections/one/points", {"points": [{**POINT, "payload": {"a": 1}}]})[0] == 200
    index = {"field_name": "a", "field_schema": "integer"}
    assert server.send("PUT", "/collections/one/index", index)[0] == 200
    return server


def error(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["status"]["error"]


@pytest.mark.parametrize(("method", "path"), BODIES, ids=str)
def test_every_body_is_accepted_before_a_field_is_planted(one: Any, method: str, path: str) -> None:
    assert one.send(method, path, BODIES[method, path])[0] == 200
    one.send("DELETE", "/collections/new")


PLANTS = [(*route, place) for route, body in BODIES.items() for place in places(body)]


@pytest.mark.parametrize(("method", "path", "place"), PLANTS, ids=str)
def test_an_unknown_field_anywhere_is_named(one: Any, method: str, path: str, place: tuple[Any, ...]) -> None:
    status, message = error(one.send(method, path, planted(BODIES[method, path], place, "shard_key")))
    assert (status, "`shard_key`" in message) == (400, True), message


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/collections/one/points"),
        ("PATCH", "/collections/one"),
        ("POST", "/collections/one/points/search"),
        ("POST", "/collections/one/points/recommend"),
        ("POST", "/collections/aliases"),
        ("GET", "/collections/one/snapshots"),
        ("GET", "/telemetry"),
        ("GET", "/metrics"),
        ("GET", "/cluster"),
        ("PUT", "/collections/one/vectors/v"),
        ("POST", "/"),
        ("HEAD", "/collections"),
        ("POST", "/collections/one/points/search/matrix/pairs"),
        ("POST", "/aliases"),
    ],
    ids=str,
)
def test_any_other_route_says_that_it_is_not_served(one: Any, method: str, path: str) -> None:
    status, answer = one.send(method, path)
    assert status == 501
    assert method == "HEAD" or f"{method} {path} is not served" in answer["status"]["error"]


def test_a_trailing_slash_is_the_same_route(one: Any) -> None:
    assert one.send("GET", "/collections/one/")[1]["result"] == one.send("GET", "/collections/one")[1]["result"]


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("fields=x", "fields"),
        ("wait=maybe", "wait"),
        ("timeout=-1", "timeout"),
        ("timeout=" + "9" * 5000, "timeout"),
        ("ordering=odd", "ordering"),
        ("consistency=none", "consistency"),
        ("wait", "wait"),
    ],
)
def test_a_query_parameter_that_could_matter_is_named(one: Any, query: str, word: str) -> None:
    status, message = error(one.send("POST", f"/collections/one/points/count?{query}", {}))
    assert (status, f"`{word}`" in message) == (400, True)


def test_harmless_query_parameters_are_taken(one: Any) -> None:
    harmless = "wait=true&timeout=5&consistency=majority&ordering=strong"
    assert one.send("POST", f"/collections/one/points/count?{harmless}", {})[0] == 200


UPSERT, QUERY, COUNT = ("/collections/one/points", "/collections/one/points/query", "/collections/one/points/count")
WRONG: list[tuple[str, str, Any, str]] = [
    ("PUT", UPSERT, {"points": [{"id": 2, "vector": [1.0]}]}, "expected dim: 2, got 1"),
    ("PUT", UPSERT, {"points": [{"id": 2, "vector": {"other": [1.0, 0.0]}}]}, "vector name error: other"),
    ("PUT", UPSERT, {"points": [{"id": 2, "vector": ["a", "b"]}]}, "points[0].vector must be a list of numbers"),
    ("PUT", UPSERT, {"points": [{"id": 2, "vector": [True, False]}]}, "must be a list of numbers"),
    ("PUT", UPSERT, {"points": [{"id": 2, "vector": [1e39, 0.0]}]}, "too large for 32 bits"),
    ("PUT", UPSERT, {"points": [{"id": 2, "vector": {"indices": [1], "values": [1.0]}}]}, "vector name error: indices"),
    ("PUT", UPSERT, {"points": [{"id": 2}]}, "missing field `vector`"),
    ("PUT", UPSERT, {"points": [{"id": -1, "vector": [1.0, 0.0]}]}, "not a valid point ID"),
    ("PUT", UPSERT, {"points": [{"id": "abc", "vector": [1.0, 0.0]}]}, "not a valid point ID"),
    ("PUT", UPSERT, {"points": [{"id": True, "vector": [1.0, 0.0]}]}, "not a valid point ID"),
    ("PUT", UPSERT, {"points": [{"id": 2**64, "vector": [1.0, 0.0]}]}, "not a valid point ID"),
    ("PUT", UPSERT, {"points": []}, "Empty update request"),
    ("PUT", UPSERT, {}, "exactly one of `points` and `batch`"),
    ("PUT", UPSERT, [], "body must be an object"),
    ("PUT", UPSERT, {"batch": {"ids": [1, 2], "vectors": [[1.0, 0.0]]}}, "2 ids but 1 in `vectors`"),
    ("PUT", UPSERT, {"points": [{**POINT, "payload": [1]}]}, "points[0].payload must be an object"),
    ("POST", QUERY, {"query": [1.0]}, "expected dim: 2, got 1"),
    ("POST", QUERY, {"query": [1.0, 0.0], "using": "other"}, "vector name error: other"),
    ("POST", QUERY, {"query": [[1.0, 0.0]]}, "must be a list of numbers"),
    ("POST", QUERY, {"query": {"formula": {"sum": []}}}, "`formula`"),
    ("POST", QUERY, {"query": {"recommend": {"negative": [1]}}}, "positive must have an example"),
    ("POST", QUERY, {"query": {"recommend": {"positive": [1], "strategy": "best"}}}, "must be one of average_vector"),
    ("POST", QUERY, {"query": {"recommend": {"strategy": "best_score"}}}, "one of `positive` and `negative`"),
    ("POST", QUERY, {"query": {"discover": {"context": []}}}, "missing field `target`"),
    ("POST", QUERY, {"query": {"context": [{"positive": 1}]}}, "context[0]: missing field `negative`"),
    ("POST", QUERY + "/groups", {"query": [1.0, 0.0], "group_by": "a[]"}, "a payload key without []"),
    ("POST", QUERY + "/groups", {"query": [1.0, 0.0]}, "missing field `group_by`"),
    ("POST", QUERY + "/groups", {"query": [1.0, 0.0], "group_by": "a", "prefetch": []}, "prefetch is not supported in groups"),
    ("POST", COUNT, {"filter": {"must": [{"key": "g", "geo_polygon": {"exterior": {"points": [{"lon": 0, "lat": 0}]}}}]}}, "must be a ring"),
    ("POST", QUERY, {"query": {"nearest": [1.0, 0.0], "mmr": {"diversity": 2}}}, "must be from 0 to 1"),
    ("POST", QUERY, {"query": {"mmr": {"diversity": 0}}}, "must name exactly one of"),
    ("POST", UPSERT + "/batch", {"operations": [{"delete": {"points": [1]}}, {"upsert": {"points": []}}]}, "Empty update request"),
    ("POST", UPSERT + "/batch", {"operations": [{"delete": {"points": [1]}, "upsert": {}}]}, "operations[0] must name exactly one"),
    ("POST", UPSERT + "/batch", {"operations": [{"delete": {"points": [1]}}, {"clear_payload": {"points": ["x"]}}]}, "operations[1].clear_payload.points[0]"),
    ("PUT", UPSERT + "/vectors", {"points": []}, "must name a point"),
    ("PUT", UPSERT + "/vectors", {"points": [{"id": 1, "vector": {}}]}, "must have a vector"),
    ("PUT", UPSERT + "/vectors", {"points": [{"id": 1, "vector": [1.0]}]}, "expected dim: 2, got 1"),
    ("POST", UPSERT + "/vectors/delete", {"points": [1], "vector": []}, "must name a vector"),
    ("POST", UPSERT + "/vectors/delete", {"points": [1], "vector": ["w"]}, "vector name error: w"),
    ("POST", QUERY, {"query": {"fusion": "rrf"}}, "cannot apply Fusion without prefetches"),
    ("POST", QUERY, {"query": {"fusion": "max"}, "prefetch": {}}, "must be one of rrf, dbsf"),
    ("POST", QUERY, {"prefetch": {"query": [1.0, 0.0]}}, "A query is needed to merge the prefetches"),
    ("POST", QUERY, {"query": {"order_by": "b"}}, "No range index for `order_by` key: `b`"),
    ("POST", QUERY, {"query": {"order_by": "a"}, "score_threshold": 1}, "needs a query that gives scores"),
    ("POST", QUERY, {"query": [1.0, 0.0], "limit": 0}, "body.limit must be an integer from 1"),
    ("POST", QUERY, {"query": [1.0, 0.0], "limit": "3"}, "body.limit must be an integer"),
    ("POST", QUERY, {"query": [1.0, 0.0], "with_vector": ["other"]}, "vector name error: other"),
    ("POST", COUNT, {"filter": {"must": [{"key": "a", "match": {"value": 1.5}}]}}, "must be a string, a boolean"),
    ("POST", COUNT, {"filter": {"must": [{"key": "a", "match": {"any": ["x", 1]}}]}}, "must be all strings"),
    ("POST", COUNT, {"filter": {"must": [{"key": "a", "match": {"prefix": "x"}}]}}, "`prefix`"),
    ("POST", COUNT, {"filter": {"must": [{"key": "a"}]}}, "exactly one test is needed for `a`"),
    ("POST", COUNT, {"filter": {"must": [{"key": "a", "match": {"value": 1}, "range": {"gt": 0}}]}}, "exactly one test"),
    ("POST", COUNT, {"filter": {"must": [{"key": "a[", "match": {"value": 1}}]}}, "invalid JSON path"),
    ("POST", COUNT, {"filter": {"must": [{"key": "a", "range": {"gt": "noon"}}]}}, "failed to parse date-time"),
    ("POST", COUNT, {"filter": {"must": [{"slice": {"total": 2}}]}}, "condition `slice`"),
    ("POST", COUNT, {"filter": {"must": [{}]}}, "unknown or not supported"),
    ("POST", "/collections/one/points/scroll", {"offset": 1, "order_by": "a"}, "Cannot use an `offset`"),
    ("POST", "/collections/one/facet", {"key": "b"}, "No appropriate index for faceting"),
    ("POST", "/collections/one/points/delete", {}, "exactly one of `points` and `filter`"),
    ("PUT", "/collections/one/points/payload", {"payload": {}, "points": [1], "key": "a"}, "field `key`"),
    ("PUT", "/collections/new", {}, "must name a vector"),
    ("PUT", "/collections/new", {"vectors": {"size": 0, "distance": "Dot"}}, "integer from 1 to 65536"),
    ("PUT", "/collections/new", {"vectors": {"size": 2, "distance": "Hamming"}}, "must be one of Cosine"),
    ("PUT", "/collections/new", {"vectors": {**VECTORS, "multivector_config": {}}}, "`multivector_config`"),
    ("PUT", "/collections/new", {"vectors": VECTORS, "shard_number": 2}, "body.shard_number"),
    ("PUT", "/collections/new", {"vectors": VECTORS, "optimizers_config": {"deleted_threshold": 2}}, "must be from 0 to 1"),
    ("PUT", "/collections/.new", {"vectors": VECTORS}, "cannot start with `.`"),
    ("PUT", "/collections/a%2Fb", {"vectors": VECTORS}, "cannot contain '/'"),
    ("PUT", "/collections/a%00b", {"vectors": VECTORS}, "cannot contain '\\x00'"),
    ("PUT", f"/collections/{'a' * 256}", {"vectors": VECTORS}, "1 to 255 characters"),
    ("PUT", "/collections/%ff", {"vectors": VECTORS}, "not UTF-8"),
    ("GET", "/collections/one/points/abc", None, "not a valid point ID"),
    ("DELETE", "/collections/one", {"a": 1}, "takes no body"),
    ("POST", COUNT, b"{", "Format error in JSON body"),
    ("POST", COUNT, b"", "Format error in JSON body"),
    ("POST", COUNT, b'{"limit": NaN}', "Format error in JSON body"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "words"), WRONG, ids=[str(at) for at in range(len(WRONG))])
def test_a_wrong_request_is_answered_in_words(one: Any, method: str, path: str, body: Any, words: str) -> None:
    before = one.send("POST", "/collections/one/points/scroll", {"with_vector": True})[1]["result"]
    status, message = error(one.send(method, path, body))
    assert (status, words in message) == (400, True), message
    assert one.send("POST", "/collections/one/points/scroll", {"with_vector": True})[1]["result"] == before


def test_a_batch_with_one_wrong_point_leaves_no_point_behind(one: Any) -> None:
    points = [{"id": 50, "vector": [1.0, 0.0]}, {"id": 51, "vector": [1.0]}, {"id": 52, "vector": [1.0, 0.0]}]
    assert one.send("PUT", UPSERT, {"points": points})[0] == 400
    assert one.send("POST", UPSERT, {"ids": [50, 51, 52]})[1]["result"] == []


def test_a_wrong_request_is_named_exactly(one: Any) -> None:
    body = {"query": [1.0, 0.0], "filter": {"must": [{"key": "a", "match": {"velue": 1}}]}}
    message = "Wrong input: body.filter.must[0].match: field `velue` is unknown or not supported"
    assert one.send("POST", QUERY, body) == (400, {"status": {"error": message}, "time": 0.0})


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def test_what_is_nested_too_deep_is_refused_and_less_is_kept(one: Any) -> None:
    deep = {"points": [{**POINT, "id": 60, "payload": nested(64)}]}
    assert error(one.send("PUT", UPSERT, deep)) == (400, "Wrong input: points[0].payload is nested deeper than 64")
    assert one.send("PUT", UPSERT, b'{"points":' + b"[" * 2000 + b"]" * 2000 + b"}")[0] == 400
    wanted: Any = FILTER
    for _ in range(40):
        wanted = {"must": [wanted]}
    assert "nested deeper than 32" in error(one.send("POST", COUNT, {"filter": wanted}))[1]
    payload = nested(63)
    assert one.send("PUT", UPSERT, {"points": [{**POINT, "id": 60, "payload": payload}]})[0] == 200
    assert one.send("GET", f"{UPSERT}/60")[1]["result"]["payload"] == payload
    by_key = {"payload": payload, "points": [60], "key": "b"}
    assert "deeper than 64" in error(one.send("POST", f"{UPSERT}/payload", by_key))[1]
    one.send("POST", f"{UPSERT}/delete", {"points": [60]})


def test_a_body_over_32_mib_is_refused_before_it_is_sent(one: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=10)
    connection.putrequest("PUT", UPSERT)
    for name, value in (("api-key", "the-writing-key"), ("content-length", str(32 * 1024 * 1024 + 1))):
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_that_hides_its_length_is_stopped_at_the_limit(one: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=10)
    chunk = b"x" * 1024 * 1024
    chunks = (chunk for _ in range(33))
    connection.request("PUT", UPSERT, chunks, {"api-key": "the-writing-key"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize("path", ["/collections/none", "/collections/none/points/1"])
def test_an_absent_collection_is_not_found(one: Any, path: str) -> None:
    assert error(one.send("GET", path)) == (404, "Not found: Collection `none` doesn't exist!")


def test_without_a_key_only_health_and_version_are_answered(one: Any) -> None:
    assert [one.send("GET", path, headers={})[0] for path in ("/", "/readyz", "/healthz", "/livez")] == [200] * 4
    assert one.send("GET", "/collections", headers={})[0] == 401
    assert one.send("GET", "/secrets", headers={})[0] == 401


@pytest.mark.parametrize("key", ["", "wrong", "the-writing-ke", "the-writing-keyy", "thé"])
def test_a_wrong_key_is_refused(one: Any, key: str) -> None:
    for headers in ({"api-key": key}, {"authorization": f"Bearer {key}"}):
        assert one.send("GET", "/collections", headers=headers)[0] == 401


def test_the_key_may_come_as_a_bearer_token(one: Any) -> None:
    assert one.send("POST", COUNT, {}, headers={"authorization": "Bearer the-writing-key"})[0] == 200


@pytest.mark.parametrize(("method", "path"), BODIES, ids=str)
def test_the_reading_key_reads_and_only_reads(one: Any, method: str, path: str) -> None:
    reads = method == "POST" and path.endswith(
        ("/points", "query", "query/batch", "groups", "scroll", "count", "facet")
    )
    status = one.send(method, path, BODIES[method, path], headers={"api-key": "the-reading-key"})[0]
    assert status == (200 if reads else 403)


@pytest.mark.parametrize("path", ["/collections/one", "/collections/one/index/a"])
def test_the_reading_key_deletes_nothing(one: Any, path: str) -> None:
    assert one.send("DELETE", path, headers={"api-key": "the-reading-key"})[0] == 403
    assert set(one.send("GET", "/collections/one")[1]["result"]["payload_schema"]) == {"a"}
