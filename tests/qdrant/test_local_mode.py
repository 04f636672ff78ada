"""Whole answers against qdrant-client's local mode: the same random requests by the same client, compared.

``make nightly`` asks a hundred times as many. Known differences are left out, with their source:

- Local mode builds no index, and an index holds only values of its type (``lib/segment/src/index/field_index`` in
  Qdrant): only fields whose values all fit are indexed here.
- A ``DatetimeRange`` without bounds is ``{}`` on the wire, which the engine reads as a ``Range`` of numbers.
- An empty ``should`` inside ``nested`` is true of nothing in the engine (``check_should`` in ``query_checker.rs`` in
  ``lib/segment/src/payload_storage``), and of every object in local mode.
- A merged payload removes a field that is null. After ``clear_payload`` there is nothing to merge with, and the engine
  stores null (``set`` in ``payload_storage_impl.rs``). Local mode removes it here too.
- Scores are sums of 32-bit floats in another order, so equal scores may come in another order.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient
from qdrant_client import models as m
from qdrant_client.http.exceptions import UnexpectedResponse
from tests.qdrant import random_requests as ask

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(7200)]

NAME, ALL = "same", 1000
INDEXES = {"int": "integer", "float": "float", "kind": "keyword", "place": "geo"}
few = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
many = settings(few, max_examples=2500)
stored = st.lists(ask.payloads, min_size=1, max_size=12)
several = st.lists(ask.filters, min_size=10, max_size=10)


class Pair:
    """The same collection twice, here and in local mode; ``tally`` counts what became of each request."""

    def __init__(self, here: QdrantClient) -> None:
        self.here, self.tally = here, Counter[str]()
        self.local = QdrantClient(":memory:")

    def fill(self, config: dict[str, Any], points: list[m.PointStruct], *, indexed: bool = False) -> None:
        self.local = QdrantClient(":memory:")
        self.here.delete_collection(NAME)
        for client in (self.here, self.local):
            client.create_collection(NAME, **config)
            client.upsert(NAME, points)
        for field, kind in INDEXES.items() if indexed else ():
            self.here.create_payload_index(NAME, field, m.PayloadSchemaType(kind), wait=True)

    def both(self, call: Callable[[QdrantClient], Any]) -> tuple[Any, Any] | None:
        """Return both answers, or None where this one is a refusal."""
        try:
            here = call(self.here)
        except UnexpectedResponse as error:
            if error.status_code not in (400, 404, 501):
                raise
            self.tally["refused"] += 1
            return None
        self.tally["answered"] += 1
        return here, call(self.local)


@pytest.fixture
def pair(client: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        item = Pair(client)
        yield item
    print("requests:", dict(item.tally))  # noqa: T201  # shown by `pytest -rP`, for measurements
    assert item.tally["answered"] > item.tally["refused"]


def compare_filters(pair: Pair, loads: list[dict[str, Any]], filters: list[m.Filter], *, indexed: bool) -> None:
    points = [m.PointStruct(id=at, vector=[1.0], payload=load) for at, load in enumerate(loads)]
    config = {"vectors_config": m.VectorParams(size=1, distance=m.Distance.DOT)}
    pair.fill(config, points, indexed=indexed)
    for wanted in filters:
        calls: list[Callable[[QdrantClient], Any]] = [
            lambda item, f=wanted: item.scroll(NAME, scroll_filter=f, limit=5),  # type: ignore[misc]
            lambda item, f=wanted: item.count(NAME, count_filter=f),  # type: ignore[misc]
        ]
        if indexed:
            calls.append(lambda item, f=wanted: item.facet(NAME, "kind", facet_filter=f, limit=3))  # type: ignore[misc]
            calls.append(lambda item, f=wanted: item.facet(NAME, "int", facet_filter=f))  # type: ignore[misc]
        for call in calls:
            if (answers := pair.both(call)) is not None:
                assert answers[0] == answers[1], wanted


def compare_queries(pair: Pair, data: Any, *, times: int) -> None:
    config, points = data.draw(ask.collections())
    pair.fill(config, points)
    for _ in range(times):
        query = data.draw(ask.queries(config, points))
        answers = pair.both(lambda item, q=query: item.query_points(NAME, **q).points)  # type: ignore[misc]
        if answers is None:
            continue
        whole = {**query, "limit": ALL, "offset": None, "with_payload": query["with_payload"]}
        every = {point.id: point for point in pair.local.query_points(NAME, **whole).points}
        compare_hits(*answers, every, query)
        # Discovery gives many points the same score, and which of them leads a group is then open.
        if "prefetch" not in query and isinstance(query["query"], list | m.SparseVector | m.RecommendQuery):
            compare_groups(pair, query, data.draw(st.sampled_from(["int", "kind", "n", "rows", "tags"])))


def compare_groups(pair: Pair, query: dict[str, Any], key: str) -> None:
    asked = {name: item for name, item in query.items() if name != "offset"} | {"group_by": key, "group_size": 2}
    answers = pair.both(lambda item: item.query_points_groups(NAME, **asked).groups)
    if answers is None:
        return
    assert [answer.id for answer in answers[0]] == [answer.id for answer in answers[1]], asked
    for mine, other in zip(*answers, strict=True):
        compare_hits(mine.hits, other.hits, {hit.id: hit for hit in other.hits}, asked)


def compare_writes(pair: Pair, data: Any, *, times: int) -> None:
    config, points = data.draw(ask.collections())
    pair.fill(config, points)
    for _ in range(times):
        kind, given = data.draw(ask.writes(config, points))
        pair.both(lambda item, k=kind, g=given: getattr(item, k)(NAME, **g).status)  # type: ignore[misc]
        here, local = (item.scroll(NAME, limit=ALL, with_vectors=True)[0] for item in (pair.here, pair.local))
        assert [item.id for item in here] == [item.id for item in local], (kind, given)
        for mine, twin in zip(here, local, strict=True):
            assert (mine.payload, mine.vector) == (twin.payload, as_approx(twin.vector)), (kind, given)
        points = here or points


def compare_hits(here: list[Any], local: list[Any], every: dict[Any, Any], query: Any) -> None:
    """Compare place by place: the score, and for the point that stands there, all else that local mode says of it."""
    assert len(here) == len(local), query
    for mine, other in zip(here, local, strict=True):
        assert close(mine.score, other.score), (query, mine, other)
        twin = every[mine.id]
        assert close(mine.score, twin.score), (query, mine, twin)
        assert (mine.payload, mine.vector) == (twin.payload, as_approx(twin.vector)), query


def close(item: float, other: float) -> bool:
    return math.isclose(item, other, rel_tol=1e-4, abs_tol=1e-5)


def as_approx(vector: Any) -> Any:
    if isinstance(vector, dict):
        return {name: as_approx(item) for name, item in vector.items()}
    if isinstance(vector, m.SparseVector):
        pairs = sorted(zip(vector.indices, vector.values, strict=True))
        return m.SparseVector(indices=[at for at, _ in pairs], values=[value for _, value in pairs])
    return vector if vector is None else pytest.approx(vector, abs=1e-5)


@pytest.mark.parametrize("indexed", [False, True], ids=["plain", "indexed"])
def test_random_filters_let_through_what_local_mode_does(pair: Pair, indexed: bool) -> None:
    given(stored, several)(few(lambda loads, filters: compare_filters(pair, loads, filters, indexed=indexed)))()


def test_random_queries_score_as_in_local_mode(pair: Pair) -> None:
    given(st.data())(few(lambda data: compare_queries(pair, data, times=8)))()


def test_random_writes_leave_what_local_mode_has(pair: Pair) -> None:
    given(st.data())(few(lambda data: compare_writes(pair, data, times=8)))()


@pytest.mark.nightly
@pytest.mark.parametrize("indexed", [False, True], ids=["plain", "indexed"])
def test_many_random_filters(pair: Pair, indexed: bool) -> None:
    given(stored, several)(many(lambda loads, filters: compare_filters(pair, loads, filters, indexed=indexed)))()


@pytest.mark.nightly
def test_many_random_queries(pair: Pair) -> None:
    given(st.data())(many(lambda data: compare_queries(pair, data, times=8)))()


@pytest.mark.nightly
def test_many_random_writes(pair: Pair) -> None:
    given(st.data())(many(lambda data: compare_writes(pair, data, times=8)))()
