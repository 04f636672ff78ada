"""Random collections, payloads, filters and queries, as an unmodified qdrant-client sends them."""

from __future__ import annotations

import uuid
from typing import Any

from hypothesis import strategies as st
from qdrant_client import models as m

WORDS = ("ant", "bee", "Elk", "fox", "too")
DAYS = ("2024-01-01", "2024-01-01T12:00:00Z", "2024-06-15 08:30:00", "2025-12-31T23:59:59+02:00", "no day")
PLACES = ((13.4, 52.5), (2.35, 48.86), (-77.0, -12.0), (179.0, 0.5), (-179.5, -0.5))
whole = st.integers(-3, 3)
numbers = whole | st.sampled_from([-1.5, 0.5, 2.25])
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
scalars = st.one_of(st.none(), st.booleans(), numbers, st.sampled_from(WORDS))
places = st.sampled_from(PLACES).map(lambda item: {"lon": item[0], "lat": item[1]})
rows = st.fixed_dictionaries(
    {},
    optional={
        "n": scalars | st.lists(scalars, max_size=3),
        "w": texts,
        "tags": st.lists(scalars, max_size=3),
        "rows": st.lists(st.fixed_dictionaries({}, optional={"n": scalars, "w": texts}), max_size=2),
    },
)
payloads = st.fixed_dictionaries(
    {},
    optional={
        "n": scalars,
        "w": texts | st.lists(texts, max_size=2),
        "tags": scalars | st.lists(scalars, max_size=4),
        "rows": scalars | rows | st.lists(rows | scalars, max_size=3),
        "deep": st.fixed_dictionaries({"x": st.lists(st.lists(scalars, max_size=3), max_size=3)}),
        "place": places | st.lists(places, max_size=2),
        "day": st.sampled_from(DAYS) | st.lists(st.sampled_from(DAYS), max_size=2),
        "int": whole,
        "float": numbers,
        "kind": st.sampled_from(WORDS) | st.lists(st.sampled_from(WORDS), max_size=3),
    },
)
KEYS = (
    "n",
    "w",
    "tags",
    "rows",
    "rows[]",
    "rows[].n",
    "rows[].w",
    "rows[].tags",
    "rows[].tags[]",
    "rows[0].n",
    "rows[].rows[].n",
    "rows.n",
    "deep.x",
    "deep.x[]",
    "deep.x[][]",
    "deep.x[0][]",
    "deep.x[1]",
    "place",
    "place[]",
    "day",
    "int",
    "float",
    "kind",
    "kind[]",
    "absent",
    "absent[].n",
    '"n"',
    "deep",
)
keys = st.sampled_from(KEYS)
UUIDS = tuple(str(uuid.UUID(int=at)) for at in range(3))
ids = st.integers(0, 20) | st.sampled_from(UUIDS)
numeric = [-3.0, -1.5, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0]


def _bounds(values: Any, least: int = 0) -> Any:
    return st.dictionaries(st.sampled_from(["lt", "lte", "gt", "gte"]), values, min_size=least, max_size=2)


def _field(key: Any, **test: Any) -> Any:
    return st.builds(lambda item, **given: m.FieldCondition(key=item, **given), key, **test)


matches = st.one_of(
    st.builds(lambda item: m.MatchValue(value=item), st.booleans() | whole | st.sampled_from(WORDS)),
    st.builds(
        lambda some: m.MatchAny(any=some), st.lists(st.sampled_from(WORDS), max_size=3) | st.lists(whole, max_size=3)
    ),
    st.builds(
        lambda some: m.MatchExcept(**{"except": some}),
        st.lists(st.sampled_from(WORDS), max_size=3) | st.lists(whole, max_size=3),
    ),
    st.builds(lambda item: m.MatchText(text=item), texts),
    st.builds(lambda item: m.MatchTextAny(text_any=item), texts),
    st.builds(lambda item: m.MatchPhrase(phrase=item), texts),
)


def _square(corner: float, side: float) -> m.GeoLineString:
    """Return a ring around a square that begins south-west; it fits in the world."""
    south, far = max(corner, -80), corner + side
    ring = ((corner, south), (far, south), (far, min(far, 80)), (corner, min(far, 80)), (corner, south))
    return m.GeoLineString(points=[m.GeoPoint(lon=lon + 0.25, lat=lat + 0.25) for lon, lat in ring])


geo = st.builds(lambda item: m.GeoPoint(**item), places)
leaves = st.one_of(
    _field(keys, match=matches),
    _field(keys, range=_bounds(st.sampled_from(numeric)).map(lambda item: m.Range(**item))),
    _field(
        keys,
        range=_bounds(
            st.sampled_from(["2024-01-01T12:00:00Z", "2024-06-15T08:30:00Z", "2025-12-31T21:59:59Z"]), least=1
        ).map(lambda item: m.DatetimeRange(**item)),
    ),
    _field(keys, values_count=_bounds(st.integers(0, 3)).map(lambda item: m.ValuesCount(**item))),
    _field(keys, is_empty=st.booleans()),
    _field(keys, is_null=st.booleans()),
    _field(
        keys,
        geo_radius=st.builds(
            lambda at, far: m.GeoRadius(center=at, radius=far), geo, st.sampled_from([1.0, 900_000.0, 9e6])
        ),
    ),
    _field(
        keys,
        geo_bounding_box=st.builds(
            lambda left, top, right, bottom: m.GeoBoundingBox(
                top_left=m.GeoPoint(lon=left, lat=top), bottom_right=m.GeoPoint(lon=right, lat=bottom)
            ),
            st.sampled_from([-178.0, 0.0, 170.0]),
            st.sampled_from([60.0, 10.0]),
            st.sampled_from([20.0, -170.0, 179.9]),
            st.sampled_from([0.0, -20.0]),
        ),
    ),
    _field(
        keys,
        geo_polygon=st.builds(
            lambda ring, hole: m.GeoPolygon(exterior=ring, interiors=[hole] if hole else None),
            st.sampled_from([_square(-10, 40), _square(-100, 200)]),
            st.none() | st.just(_square(10, 5)),
        ),
    ),
    st.builds(lambda key: m.IsEmptyCondition(is_empty=m.PayloadField(key=key)), keys),
    st.builds(lambda key: m.IsNullCondition(is_null=m.PayloadField(key=key)), keys),
    st.builds(lambda some: m.HasIdCondition(has_id=some), st.lists(ids, max_size=4)),
    st.builds(lambda name: m.HasVectorCondition(has_vector=name), st.sampled_from(["", "a", "b", "s", "other"])),
)


def _filters(inner: Any, least: int = 1) -> Any:
    """Return filters; ``least`` is the number of conditions that a list in ``should`` must have."""
    several = st.lists(inner, max_size=2) | inner
    return st.builds(
        m.Filter,
        must=st.none() | several,
        should=st.none() | st.lists(inner, min_size=least, max_size=2) | inner,
        must_not=st.none() | several,
        min_should=st.none()
        | st.builds(
            lambda some, least: m.MinShould(conditions=some, min_count=least),
            st.lists(inner, min_size=1, max_size=3),
            st.integers(1, 2),
        ),
    )


def _inner(inner: Any) -> Any:
    nested = st.sampled_from(["rows", "rows[]", "rows[].rows", "tags", "deep.x[]", "absent"])
    return _filters(inner) | st.builds(
        lambda key, wanted: m.NestedCondition(nested=m.Nested(key=key, filter=wanted)), nested, _filters(inner)
    )


filters = _filters(st.recursive(leaves, _inner, max_leaves=6), least=0)
DISTANCES = list(m.Distance)
SIZE = 3
small = st.integers(-4000, 4000).map(lambda item: item / 1024)
vectors = st.lists(small, min_size=SIZE, max_size=SIZE).filter(any)
sparse = st.dictionaries(st.integers(0, 6), small.filter(bool), min_size=1, max_size=4).map(
    lambda given: m.SparseVector(indices=list(given), values=list(given.values()))
)
LAYOUTS: dict[str, dict[str, Any]] = {
    "plain": {"vectors_config": {"": SIZE}},
    "named": {"vectors_config": {"a": SIZE, "b": SIZE}, "sparse": {"s": None}},
    "mixed": {"vectors_config": {"": SIZE}, "sparse": {"s": m.Modifier.IDF}},
    "sparse": {"vectors_config": {}, "sparse": {"s": None}},
}


@st.composite
def collections(draw: Any) -> tuple[dict[str, Any], list[m.PointStruct]]:
    """Return the arguments that create a collection, and its points, some of which skip vectors."""
    layout = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))]
    dense = {
        item: m.VectorParams(size=SIZE, distance=draw(st.sampled_from(DISTANCES))) for item in layout["vectors_config"]
    }
    words = {item: m.SparseVectorParams(modifier=idf) for item, idf in layout.get("sparse", {}).items()}
    each = {**dict.fromkeys(dense, vectors), **dict.fromkeys(words, sparse)}
    given = st.fixed_dictionaries(each) if list(each) == [""] else st.fixed_dictionaries({}, optional=each)
    points = draw(st.dictionaries(ids, st.tuples(given, payloads), min_size=1, max_size=12))
    kept = [m.PointStruct(id=at, vector=vector, payload=load) for at, (vector, load) in points.items()]
    return {"vectors_config": dense, "sparse_vectors_config": words or None}, kept


def nearest(draw: Any, config: dict[str, Any]) -> dict[str, Any]:
    """Return a vector or a sparse one for a vector that the collection has, with its name."""
    names = [*config["vectors_config"], *(config["sparse_vectors_config"] or {})]
    using = draw(st.sampled_from(names))
    return {"query": draw(vectors if using in config["vectors_config"] else sparse), "using": using}


def by_example(draw: Any, kind: str, having: list[Any], dense: bool) -> Any:
    """Return a query by examples: vectors, and points that have one."""
    item = (vectors if dense else sparse) | (st.sampled_from(having) if having else st.nothing())
    pair = st.builds(lambda good, bad: m.ContextPair(positive=good, negative=bad), item, item)
    if kind == "discover":
        return m.DiscoverQuery(
            discover=m.DiscoverInput(target=draw(item), context=draw(pair | st.lists(pair, max_size=2)))
        )
    if kind == "context":
        return m.ContextQuery(context=draw(pair | st.lists(pair, min_size=1, max_size=2)))
    strategy = draw(st.none() | st.sampled_from(list(m.RecommendStrategy)))
    good, bad = draw(st.lists(item, min_size=1, max_size=3)), draw(st.lists(item, max_size=2))
    return m.RecommendQuery(recommend=m.RecommendInput(positive=good, negative=bad, strategy=strategy))


@st.composite
def queries(draw: Any, config: dict[str, Any], points: list[m.PointStruct]) -> dict[str, Any]:
    """Return the arguments of one query: nearest by vector or id, or fusion of two."""
    wanted: dict[str, Any] = {"limit": draw(st.integers(1, 8)), "query_filter": draw(st.none() | filters)}
    wanted["with_payload"] = draw(
        st.booleans() | st.lists(st.sampled_from(["n", "rows", "rows[].n", "deep.x"]), max_size=2)
    )
    wanted["with_vectors"] = draw(st.booleans())
    kind = draw(
        st.sampled_from(["vector", "vector", "id", "rrf", "dbsf", "rescore", "mmr", "recommend", "discover", "context"])
    )
    first = nearest(draw, config)
    if kind in ("vector", "id"):
        wanted |= first
        wanted["offset"] = draw(st.none() | st.integers(0, 3))
        wanted["score_threshold"] = draw(st.none() | small)
        having = [point.id for point in points if first["using"] in point.vector]
        if kind == "id" and having:
            wanted["query"] = draw(st.sampled_from(having))
        return wanted
    having = [point.id for point in points if first["using"] in point.vector]
    if kind in ("recommend", "discover", "context"):
        return {
            **wanted,
            "using": first["using"],
            "query": by_example(draw, kind, having, first["using"] in config["vectors_config"]),
        }
    if kind == "mmr":
        mmr = m.Mmr(
            diversity=draw(st.sampled_from([None, 0.0, 0.3, 1.0])), candidates_limit=draw(st.none() | st.integers(1, 9))
        )
        return {**wanted, **first, "query": m.NearestQuery(nearest=first["query"], mmr=mmr)}
    both = [m.Prefetch(**nearest(draw, config), filter=draw(st.none() | filters), limit=20) for _ in range(2)]
    if kind == "rescore":
        return {**wanted, **first, "prefetch": both}
    return {**wanted, "prefetch": both, "query": m.FusionQuery(fusion=m.Fusion(kind))}


@st.composite
def writes(draw: Any, config: dict[str, Any], points: list[m.PointStruct]) -> tuple[str, dict[str, Any]]:
    """Return one write's method and arguments, about points that are there or about a filter."""
    known = [item.id for item in points]
    some = st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True)
    chosen = draw(some | st.builds(m.FilterSelector, filter=filters))
    path = draw(st.none() | st.sampled_from(["deep", "deep.y", "rows[0]", "rows[]", "n", "deep.x[0]", "absent.z"]))
    names = [*config["vectors_config"], *(config["sparse_vectors_config"] or {})]
    kind = draw(
        st.sampled_from(
            [
                "set_payload",
                "overwrite_payload",
                "delete_payload",
                "clear_payload",
                "update_vectors",
                "delete_vectors",
                "delete",
                "upsert",
            ]
        )
    )
    if kind == "set_payload":
        merged = {name: value for name, value in draw(payloads).items() if value is not None or path}
        return kind, {"payload": merged, "points": chosen, "key": path}
    if kind == "overwrite_payload":
        return kind, {"payload": draw(payloads), "points": chosen}
    if kind == "delete_payload":
        return kind, {
            "keys": draw(st.lists(st.sampled_from([*KEYS, "rows[1]"]), min_size=1, max_size=2)),
            "points": chosen,
        }
    if kind in ("clear_payload", "delete"):
        return kind, {"points_selector": chosen}
    if kind == "delete_vectors":
        return kind, {
            "vectors": draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)),
            "points": chosen,
        }
    name = draw(st.sampled_from(names))
    vector = draw(vectors if name in config["vectors_config"] else sparse)
    if kind == "update_vectors":
        return kind, {
            "points": [m.PointVectors(id=draw(st.sampled_from(known)), vector={name: vector})],
            "update_filter": draw(st.none() | filters),
        }
    point = m.PointStruct(id=draw(ids), vector={name: vector}, payload=draw(payloads))
    mode = draw(st.none() | st.sampled_from(list(m.UpdateMode)))
    return kind, {"points": [point], "update_filter": draw(st.none() | filters), "update_mode": mode}
