"""Every served call through the unmodified qdrant-client."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from qdrant_client import QdrantClient
from qdrant_client import models as m
from qdrant_client.http.exceptions import UnexpectedResponse

pytestmark = pytest.mark.laptop

UUID = "550e8400-e29b-41d4-a716-446655440000"
BERLIN, PARIS, LIMA = {"lon": 13.4, "lat": 52.5}, {"lon": 2.35, "lat": 48.86}, {"lon": -77.0, "lat": -12.0}
PEOPLE: list[tuple[Any, list[float], dict[str, Any]]] = [
    (
        1,
        [1.0, 0.0],
        {"name": "ada", "age": 36, "born": "1815-12-10T00:00:00Z", "home": BERLIN, "tags": ["math", "poet"]},
    ),
    (2, [0.8, 0.6], {"name": "alan", "age": 41, "born": "1912-06-23T00:00:00Z", "home": PARIS, "tags": []}),
    (
        3,
        [0.0, 1.0],
        {
            "name": "grace",
            "age": 85,
            "born": "1906-12-09T00:00:00Z",
            "home": LIMA,
            "pets": [{"kind": "cat", "age": 3}, {"kind": "dog", "age": 9}],
        },
    ),
    (UUID, [-1.0, 0.0], {"name": "kurt", "age": 71, "tags": None, "text": "incompleteness of formal systems"}),
]


@pytest.fixture
def people(client: Any) -> Any:
    client.create_collection("people", vectors_config=m.VectorParams(size=2, distance=m.Distance.DOT))
    client.upsert(
        "people", [m.PointStruct(id=item, vector=vector, payload=payload) for item, vector, payload in PEOPLE]
    )
    return client


def found(client: Any, condition: Any) -> set[Any]:
    """Return the ids that a filter lets through, asked by scroll and confirmed by count."""
    wanted = condition if isinstance(condition, m.Filter) else m.Filter(must=[condition])
    ids = {item.id for item in client.scroll("people", scroll_filter=wanted, limit=100)[0]}
    assert client.count("people", count_filter=wanted).count == len(ids)
    return ids


def test_a_collection_is_made_shown_listed_and_deleted(client: Any) -> None:
    assert not client.collection_exists("one")
    assert client.create_collection("one", vectors_config=m.VectorParams(size=3, distance=m.Distance.COSINE))
    assert client.collection_exists("one")
    assert [collection.name for collection in client.get_collections().collections] == ["one"]
    info = client.get_collection("one")
    assert (info.config.params.vectors, info.points_count, info.payload_schema) == (
        m.VectorParams(size=3, distance=m.Distance.COSINE),
        0,
        {},
    )
    assert client.delete_collection("one")
    assert not client.delete_collection("one")
    assert client.get_collections().collections == []


@pytest.mark.parametrize("sparse", [None, {"words": m.SparseVectorParams()}], ids=["alone", "with words"])
def test_the_empty_name_is_the_default_vector(client: Any, sparse: Any) -> None:
    """``{"": params}`` and ``params`` name the same vector, as in Qdrant; it is shown as it was given."""
    given = {"": m.VectorParams(size=2, distance=m.Distance.COSINE)}
    client.create_collection("e", vectors_config=given, sparse_vectors_config=sparse)
    assert client.get_collection("e").config.params.vectors == given
    points = [m.PointStruct(id=1, vector={"": [1.0, 0.0]}), m.PointStruct(id=2, vector=[0.0, 1.0])]
    client.upsert("e", points)
    asked = {"query": [0.0, 1.0], "limit": 1, "with_vectors": True}
    for using in ("", None):
        hit = client.query_points("e", using=using, **asked).points[0]
        assert (hit.id, hit.score, hit.vector) == (2, 1.0, [0.0, 1.0])
    assert client.retrieve("e", [1], with_vectors=[""])[0].vector == [1.0, 0.0]


def test_a_collection_that_exists_is_refused_and_stays(people: Any) -> None:
    with pytest.raises(UnexpectedResponse, match="Collection `people` already exists"):
        people.create_collection("people", vectors_config=m.VectorParams(size=9, distance=m.Distance.COSINE))
    assert people.count("people").count == len(PEOPLE)


@pytest.mark.parametrize("name", ["Zürich 図書館", "a" * 255, "con.", "%2e%2e", "x" + "é" * 254])
def test_any_name_is_safe_on_disk(client: Any, name: str) -> None:
    client.create_collection(name, vectors_config=m.VectorParams(size=1, distance=m.Distance.DOT))
    client.upsert(name, [m.PointStruct(id=1, vector=[1.0])])
    assert client.count(name).count == 1
    assert client.delete_collection(name)


def test_a_record_comes_back_as_it_was_written(people: Any) -> None:
    records = people.retrieve("people", [3, UUID], with_vectors=True)
    assert {record.id: (record.vector, record.payload) for record in records} == {
        item: (vector, payload) for item, vector, payload in PEOPLE if item in (3, UUID)
    }
    assert people.retrieve("people", [99]) == []


def test_one_point_has_its_own_address(people: Any) -> None:
    api = people.http.search_api if hasattr(people.http, "search_api") else people.http.points_api
    answer = (people.http.points_api or api).get_point("people", id=UUID)
    assert (answer.result.id, answer.result.payload["name"]) == (UUID, "kurt")


def test_a_batch_is_an_upsert_by_columns(client: Any) -> None:
    client.create_collection("batch", vectors_config=m.VectorParams(size=2, distance=m.Distance.DOT))
    batch = m.Batch(ids=[1, 2], vectors=[[1.0, 0.0], [0.0, 1.0]], payloads=[{"a": 1}, {"a": 2}])
    client.upsert("batch", batch)
    assert [(item.id, item.payload) for item in client.scroll("batch")[0]] == [(1, {"a": 1}), (2, {"a": 2})]


def test_the_clients_own_uploader_works(client: Any) -> None:
    client.create_collection("many", vectors_config=m.VectorParams(size=2, distance=m.Distance.DOT))
    client.upload_collection("many", vectors=[[float(at), 1.0] for at in range(500)], batch_size=64, wait=True)
    assert client.count("many").count == 500


def test_the_nearest_come_first_with_their_scores(people: Any) -> None:
    hits = people.query_points("people", query=[1.0, 0.0], limit=3, with_payload=["name"]).points
    assert [(hit.id, round(hit.score, 5), hit.payload) for hit in hits] == [
        (1, 1.0, {"name": "ada"}),
        (2, 0.8, {"name": "alan"}),
        (3, 0.0, {"name": "grace"}),
    ]


def test_a_point_asks_for_its_neighbours_and_is_not_one_of_them(people: Any) -> None:
    assert [point.id for point in people.query_points("people", query=1, limit=2).points] == [2, 3]
    assert [point.id for point in people.query_points("people", query=UUID, limit=1).points] == [3]
    with pytest.raises(UnexpectedResponse, match="No point with id 99 found"):
        people.query_points("people", query=99)


def test_offset_threshold_and_exactness_are_honoured(people: Any) -> None:
    asked = {"query": [1.0, 0.0], "search_params": m.SearchParams(exact=True, hnsw_ef=10)}
    assert [point.id for point in people.query_points("people", **asked, offset=1, limit=2).points] == [2, 3]
    assert [point.id for point in people.query_points("people", **asked, score_threshold=0.5).points] == [1, 2]


def test_payload_can_be_included_or_excluded(people: Any) -> None:
    included = people.query_points("people", query=1, limit=1, with_payload=m.PayloadSelectorInclude(include=["age"]))
    excluded = people.query_points(
        "people", query=1, limit=1, with_payload=m.PayloadSelectorExclude(exclude=["home", "tags", "born"])
    )
    assert included.points[0].payload == {"age": 41}
    assert excluded.points[0].payload == {"name": "alan", "age": 41}


def test_several_queries_go_in_one_call(people: Any) -> None:
    asked = [m.QueryRequest(query=[1.0, 0.0], limit=1), m.QueryRequest(query=[0.0, 1.0], limit=1, with_payload=True)]
    first, second = people.query_batch_points("people", requests=asked)
    assert [(point.id, point.payload) for point in first.points] == [(1, None)]
    assert [(point.id, point.payload["name"]) for point in second.points] == [(3, "grace")]


MATCHES = [
    (m.FieldCondition(key="name", match=m.MatchValue(value="ada")), {1}),
    (m.FieldCondition(key="age", match=m.MatchValue(value=41)), {2}),
    (m.FieldCondition(key="name", match=m.MatchAny(any=["ada", "kurt"])), {1, UUID}),
    (m.FieldCondition(key="age", match=m.MatchExcept(**{"except": [36, 41]})), {3, UUID}),
    (m.FieldCondition(key="text", match=m.MatchText(text="formal systems")), {UUID}),
    (m.FieldCondition(key="age", range=m.Range(gt=36, lte=71)), {2, UUID}),
    (m.FieldCondition(key="born", range=m.DatetimeRange(gte=datetime(1900, 1, 1, tzinfo=UTC))), {2, 3}),
    (m.FieldCondition(key="home", geo_radius=m.GeoRadius(center=m.GeoPoint(**BERLIN), radius=1_000_000)), {1, 2}),
    (
        m.FieldCondition(
            key="home",
            geo_polygon=m.GeoPolygon(
                exterior=m.GeoLineString(
                    points=[
                        m.GeoPoint(lon=lon, lat=lat) for lon, lat in ((0, 45), (20, 45), (20, 55), (0, 55), (0, 45))
                    ]
                )
            ),
        ),
        {1, 2},
    ),
    (m.FieldCondition(key="tags", values_count=m.ValuesCount(gte=2)), {1}),
    (m.HasIdCondition(has_id=[2, UUID]), {2, UUID}),
    (m.IsEmptyCondition(is_empty=m.PayloadField(key="tags")), {2, 3, UUID}),
    (m.IsNullCondition(is_null=m.PayloadField(key="tags")), {UUID}),
    (m.Filter(should=[m.HasIdCondition(has_id=[1]), m.HasIdCondition(has_id=[3])]), {1, 3}),
    (m.Filter(must_not=[m.HasIdCondition(has_id=[1])]), {2, 3, UUID}),
    (m.Filter(must=m.Filter(must_not=m.HasIdCondition(has_id=[2]))), {1, 3, UUID}),
]


@pytest.mark.parametrize(("condition", "expected"), MATCHES, ids=range(len(MATCHES)))
def test_a_filter_lets_through_what_it_says(people: Any, condition: Any, expected: set[Any]) -> None:
    assert found(people, condition) == expected


def test_a_nested_filter_looks_at_one_element_at_a_time(people: Any) -> None:
    def pet(kind: str, age: int) -> m.NestedCondition:
        both: list[Any] = [
            m.FieldCondition(key="kind", match=m.MatchValue(value=kind)),
            m.FieldCondition(key="age", range=m.Range(gte=age)),
        ]
        return m.NestedCondition(nested=m.Nested(key="pets", filter=m.Filter(must=both)))

    assert (found(people, pet("dog", 5)), found(people, pet("cat", 5))) == ({3}, set())


def test_min_should_counts_the_conditions_that_hold(people: Any) -> None:
    old, poet = (
        m.FieldCondition(key="age", range=m.Range(gte=40)),
        m.FieldCondition(key="name", match=m.MatchAny(any=["ada", "alan"])),
    )
    assert found(people, m.Filter(min_should=m.MinShould(conditions=[old, poet], min_count=2))) == {2}


def test_scrolling_page_by_page_meets_every_point_once(people: Any) -> None:
    first, following = people.scroll("people", limit=3)
    last, end = people.scroll("people", limit=3, offset=following)
    assert [item.id for item in (*first, *last)] == [1, 2, 3, UUID]
    assert end is None


def test_points_can_be_ordered_by_an_indexed_field(people: Any) -> None:
    people.create_payload_index("people", "age", m.PayloadSchemaType.INTEGER, wait=True)
    order = m.OrderBy(key="age", direction=m.Direction.DESC, start_from=80)
    assert [item.id for item in people.scroll("people", order_by=order)[0]] == [UUID, 2, 1]
    hits = people.query_points("people", query=m.OrderByQuery(order_by="age"), limit=2).points
    assert [hit.id for hit in hits] == [1, 2]


def test_payload_is_merged_replaced_nested_and_removed(people: Any) -> None:
    people.set_payload("people", {"age": 37, "new": True}, points=[1])
    people.set_payload("people", {"cats": 2}, points=[1], key="house.pets")
    people.overwrite_payload("people", {"only": 1}, points=[2])
    people.delete_payload("people", ["home", "born"], points=m.Filter(must=[m.HasIdCondition(has_id=[1])]))
    ada, alan = (item.payload for item in people.retrieve("people", [1, 2]))
    assert ada == {"name": "ada", "age": 37, "tags": ["math", "poet"], "new": True, "house": {"pets": {"cats": 2}}}
    assert alan == {"only": 1}


def test_null_in_a_merged_payload_removes_the_field(client: Any) -> None:
    """As Qdrant 1.19 does (``merge_map`` in ``lib/segment/src/common/utils.rs``), and qdrant-client's local mode.

    Only the fields of the request count: null below them stays. So does null in a payload that replaces another. After
    ``clear_payload`` nothing is merged, and Qdrant stores null (``set`` in ``payload_storage_impl.rs``).
    """
    for item in (client, QdrantClient(":memory:")):
        item.create_collection("nulls", m.VectorParams(size=1, distance=m.Distance.DOT))
        item.upsert("nulls", [m.PointStruct(id=1, vector=[1.0], payload={"a": 1, "b": None, "o": {"x": 1, "y": 2}})])
        steps: list[tuple[dict[str, Any], dict[str, Any]]] = [
            ({"payload": {"a": None, "absent": None}}, {"b": None, "o": {"x": 1, "y": 2}}),
            ({"payload": {"x": None}, "key": "o"}, {"b": None, "o": {"y": 2}}),
            ({"payload": {"x": None}, "key": "new.deep"}, {"b": None, "o": {"y": 2}, "new": {"deep": {}}}),
            ({"payload": {"o": {"z": None}, "new": [None]}}, {"b": None, "o": {"z": None}, "new": [None]}),
        ]
        for change, expected in steps:
            item.set_payload("nulls", points=[1], **change)
            assert item.retrieve("nulls", [1])[0].payload == expected
        item.overwrite_payload("nulls", {"a": None}, points=[1])
        assert item.retrieve("nulls", [1])[0].payload == {"a": None}
    client.clear_payload("nulls", [1])
    client.set_payload("nulls", {"a": None}, points=[1])
    assert client.retrieve("nulls", [1])[0].payload == {"a": None}


def test_payload_of_points_with_uuids_can_be_changed(people: Any) -> None:
    """Frameworks name their points by UUIDs, in any spelling that Qdrant takes."""
    name = "7d0f6b8a-1111-4222-8333-9c0d1e2f3a4b"
    people.upsert("people", [m.PointStruct(id=name, vector=[1.0, 0.0], payload={"age": 1, "tags": ["x"]})])
    people.set_payload("people", {"new": True}, points=[name.upper()])
    people.delete_payload("people", ["tags"], points=[name])
    assert people.retrieve("people", [name])[0].payload == {"age": 1, "new": True}
    people.overwrite_payload("people", {"only": 1}, points=[name])
    assert people.retrieve("people", [name])[0].payload == {"only": 1}
    people.clear_payload("people", [name])
    assert people.retrieve("people", [name])[0].payload == {}


def test_a_payload_for_an_absent_point_changes_no_other(people: Any) -> None:
    with pytest.raises(UnexpectedResponse, match="No point with id 99 found"):
        people.set_payload("people", {"age": 1}, points=[1, 99])
    assert people.retrieve("people", [1])[0].payload["age"] == 36


def test_points_are_deleted_by_id_and_by_filter(people: Any) -> None:
    people.delete("people", [1, 99])
    people.delete("people", m.Filter(must=[m.FieldCondition(key="age", range=m.Range(gt=80))]))
    assert [item.id for item in people.scroll("people")[0]] == [2, UUID]


def test_an_update_filter_and_a_mode_guard_an_upsert(people: Any) -> None:
    new = [m.PointStruct(id=item, vector=[0.0, 0.0], payload={"age": 0}) for item in (1, 2)]
    people.upsert(
        "people", new, update_filter=m.Filter(must=[m.FieldCondition(key="age", match=m.MatchValue(value=41))])
    )
    people.upsert("people", [m.PointStruct(id=3, vector=[9.0, 9.0])], update_mode=m.UpdateMode.INSERT_ONLY)
    ages = {item.id: item.payload["age"] for item in people.retrieve("people", [1, 2, 3])}
    assert ages == {1: 36, 2: 0, 3: 85}


def test_a_batch_of_writes_is_done_in_its_order(people: Any) -> None:
    done = people.batch_update_points(
        "people",
        [
            m.UpsertOperation(
                upsert=m.PointsList(points=[m.PointStruct(id=9, vector=[0.0, 2.0], payload={"a": 1, "b": 2})])
            ),
            m.SetPayloadOperation(set_payload=m.SetPayload(payload={"c": 3}, points=[9])),
            m.DeletePayloadOperation(delete_payload=m.DeletePayload(keys=["a"], points=[9])),
            m.UpdateVectorsOperation(update_vectors=m.UpdateVectors(points=[m.PointVectors(id=9, vector=[3.0, 0.0])])),
            m.ClearPayloadOperation(clear_payload=m.PointIdsList(points=[1])),
            m.DeleteOperation(delete=m.PointIdsList(points=[2])),
        ],
    )
    assert [item.status for item in done] == [m.UpdateStatus.COMPLETED] * 6
    first, ninth = people.retrieve("people", [1, 9], with_vectors=True)
    assert (first.payload, ninth.payload, ninth.vector) == ({}, {"b": 2, "c": 3}, [3.0, 0.0])
    assert people.retrieve("people", [2]) == []


def test_a_diverse_query_prefers_what_differs(people: Any) -> None:
    people.upsert("people", [m.PointStruct(id=5, vector=[0.99, 0.01]), m.PointStruct(id=6, vector=[0.98, 0.02])])

    def found(diversity: float) -> list[Any]:
        query = m.NearestQuery(nearest=[1.0, 0.0], mmr=m.Mmr(diversity=diversity, candidates_limit=10))
        hits = people.query_points("people", query=query, limit=2).points
        assert all(hit.vector is None for hit in hits)
        return [hit.id for hit in hits]

    assert (found(0.0), found(1.0)[1] == 5) == ([1, 5], False)


def test_examples_recommend_and_are_left_out(people: Any) -> None:
    query = m.RecommendQuery(recommend=m.RecommendInput(positive=[1], negative=[[0.0, 1.0]]))
    hits = people.query_points("people", query=query).points
    assert [(hit.id, round(hit.score, 5)) for hit in hits] == [(2, 1.0), (3, -1.0), (UUID, -2.0)]


def test_groups_hold_the_best_points_of_each_value(people: Any) -> None:
    people.set_payload("people", {"team": ["a", "b"]}, points=[1, 3])
    people.set_payload("people", {"team": "b"}, points=[2])
    groups = people.query_points_groups("people", group_by="team", query=[1.0, 0.0], group_size=2).groups
    assert [(group.id, [hit.id for hit in group.hits]) for group in groups] == [("a", [1, 3]), ("b", [1, 2])]


def test_there_are_no_aliases(people: Any) -> None:
    assert people.get_aliases().aliases == people.get_collection_aliases("people").aliases == []
    with pytest.raises(UnexpectedResponse, match="Collection `none`"):
        people.get_collection_aliases("none")


SCHEMAS = {
    "name": m.KeywordIndexParams(type=m.KeywordIndexType.KEYWORD, is_tenant=True),
    "age": m.IntegerIndexParams(type=m.IntegerIndexType.INTEGER, lookup=True, range=True),
    "text": m.TextIndexParams(
        type=m.TextIndexType.TEXT, tokenizer=m.TokenizerType.WORD, min_token_len=2, lowercase=True
    ),
    "born": m.DatetimeIndexParams(type=m.DatetimeIndexType.DATETIME),
}


def test_payload_indexes_are_made_shown_used_and_dropped(people: Any) -> None:
    for field, schema in SCHEMAS.items():
        people.create_payload_index("people", field, schema, wait=True)
    people.create_payload_index("people", "home", m.PayloadSchemaType.GEO, wait=True)
    shown = people.get_collection("people").payload_schema
    assert {field: shown[field].params for field in SCHEMAS} == SCHEMAS
    assert (shown["home"].data_type, shown["home"].points) == (m.PayloadSchemaType.GEO, 3)
    assert found(people, m.FieldCondition(key="text", match=m.MatchText(text="FORMAL"))) == {UUID}
    people.delete_payload_index("people", "name", wait=True)
    assert set(people.get_collection("people").payload_schema) == {"age", "text", "born", "home"}


def test_a_facet_counts_values(people: Any) -> None:
    people.create_payload_index("people", "tags", m.PayloadSchemaType.KEYWORD, wait=True)
    people.set_payload("people", {"tags": ["math"]}, points=[2, 3])
    hits = people.facet("people", "tags", exact=True).hits
    assert [(hit.value, hit.count) for hit in hits] == [("math", 3), ("poet", 1)]


@pytest.fixture
def mixed(client: Any) -> Any:
    """Two points that a dense and a sparse vector order differently."""
    client.create_collection(
        "mixed",
        vectors_config={"dense": m.VectorParams(size=2, distance=m.Distance.DOT)},
        sparse_vectors_config={"words": m.SparseVectorParams()},
    )
    client.upsert(
        "mixed",
        [
            m.PointStruct(
                id=1,
                vector={"dense": [1.0, 0.0], "words": m.SparseVector(indices=[7], values=[1.0])},
                payload={"in": True},
            ),
            m.PointStruct(
                id=2,
                vector={"dense": [0.5, 0.0], "words": m.SparseVector(indices=[7, 9], values=[2.0, 1.0])},
                payload={"in": True},
            ),
            m.PointStruct(id=3, vector={"dense": [0.1, 0.0]}, payload={"in": False}),
        ],
    )
    return client


def test_named_and_sparse_vectors_answer_apart(mixed: Any) -> None:
    dense = mixed.query_points("mixed", query=[1.0, 0.0], using="dense").points
    sparse = mixed.query_points("mixed", query=m.SparseVector(indices=[7], values=[1.0]), using="words").points
    assert ([item.id for item in dense], [item.id for item in sparse]) == ([1, 2, 3], [2, 1])
    assert mixed.retrieve("mixed", [3], with_vectors=["dense"])[0].vector == {"dense": pytest.approx([0.1, 0.0])}


BOTH = [
    m.Prefetch(query=[1.0, 0.0], using="dense"),
    m.Prefetch(query=m.SparseVector(indices=[7], values=[1.0]), using="words"),
]
FUSIONS = [
    (m.FusionQuery(fusion=m.Fusion.RRF), {1: 1 / 2 + 1 / 3, 2: 1 / 3 + 1 / 2, 3: 1 / 4}),
    (m.RrfQuery(rrf=m.Rrf(k=60)), {1: 1 / 60 + 1 / 61, 2: 1 / 61 + 1 / 60, 3: 1 / 62}),
]


@pytest.mark.parametrize(("fusion", "expected"), FUSIONS, ids=["rrf", "rrf k=60"])
def test_fusion_by_rank_adds_what_each_prefetch_says(mixed: Any, fusion: Any, expected: dict[int, float]) -> None:
    points = mixed.query_points("mixed", prefetch=BOTH, query=fusion).points
    assert {point.id: point.score for point in points} == pytest.approx(expected, abs=1e-6)


def test_fusion_by_distribution_and_a_filter_over_both(mixed: Any) -> None:
    wanted = m.Filter(must=[m.FieldCondition(key="in", match=m.MatchValue(value=True))])
    points = mixed.query_points(
        "mixed", prefetch=BOTH, query=m.FusionQuery(fusion=m.Fusion.DBSF), query_filter=wanted
    ).points
    assert {point.id for point in points} == {1, 2}


def test_a_prefetch_is_scored_again_by_the_outer_query(mixed: Any) -> None:
    points = mixed.query_points("mixed", prefetch=BOTH[1], query=[1.0, 0.0], using="dense").points
    assert [point.id for point in points] == [1, 2]


def test_a_random_sample_comes_from_the_collection(people: Any) -> None:
    points = people.query_points("people", query=m.SampleQuery(sample=m.Sample.RANDOM), limit=10).points
    assert {point.id for point in points} == {item for item, *_ in PEOPLE}


def test_a_sparse_vector_with_idf_weighs_rare_words_more(client: Any) -> None:
    client.create_collection("idf", sparse_vectors_config={"w": m.SparseVectorParams(modifier=m.Modifier.IDF)})
    vectors = {1: [7], 2: [7], 3: [7, 9], 4: [9]}
    client.upsert(
        "idf",
        [
            m.PointStruct(id=item, vector={"w": m.SparseVector(indices=words, values=[1.0] * len(words))})
            for item, words in vectors.items()
        ],
    )
    hits = client.query_points("idf", query=m.SparseVector(indices=[7, 9], values=[1.0, 1.0]), using="w").points
    assert [hit.id for hit in hits][:2] == [3, 4]


def test_not_waiting_is_acknowledged_and_done(people: Any) -> None:
    answer = people.upsert("people", [m.PointStruct(id=8, vector=[1.0, 1.0])], wait=False)
    assert answer.status == m.UpdateStatus.ACKNOWLEDGED
    assert people.count("people").count == len(PEOPLE) + 1
