"""The calls that read: collections, points, queries, counts, facets."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import qdrant_edge as edge

from vellum.workloads.qdrant.fields import Json
from vellum.workloads.qdrant.groups import query_groups
from vellum.workloads.qdrant.indexes import index_json
from vellum.workloads.qdrant.points import Vector, read_id, read_ids, record_json, scored_json
from vellum.workloads.qdrant.queries import DEFAULT_LIMIT, Reader, read_order, read_with_payload, read_with_vector
from vellum.workloads.qdrant.refused import absent, refused
from vellum.workloads.qdrant.request import Request

if TYPE_CHECKING:
    from qdrant_edge import PointId

_ALL = 2**31
"""More than the number of different values that a facet can have."""


def list_collections(request: Request) -> Json:
    """``GET /collections``."""
    return {"collections": [{"name": name} for name in request.collections.names()]}


def no_aliases(request: Request) -> Json:
    """``GET /aliases`` and ``GET /collections/{name}/aliases``: the list is empty, as none can be created here."""
    if "name" in request.path:
        request.collections.get(request.path["name"])
    return {"aliases": []}


def collection_exists(request: Request) -> Json:
    """``GET /collections/{name}/exists``."""
    return {"exists": request.path["name"] in request.collections}


def collection_info(request: Request) -> Json:
    """``GET /collections/{name}``."""
    schema, info = request.collection.schema, request.collection.shard.info()
    return {
        "status": "green",
        "optimizer_status": "ok",
        "indexed_vectors_count": info.indexed_vectors_count,
        "points_count": info.points_count,
        "segments_count": info.segments_count,
        "config": {
            "params": schema.public(),
            "hnsw_config": schema.hnsw,
            "optimizer_config": schema.optimizers,
            "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
        },
        "payload_schema": {key: index_json(item) for key, item in info.payload_schema.items()},
    }


def retrieve(request: Request) -> list[Json]:
    """``POST /collections/{name}/points``."""
    collection = request.collection
    fields = request.fields("ids", "with_payload", "with_vector")
    records = collection.shard.retrieve(
        read_ids(fields.need("ids"), fields.path("ids")),
        read_with_payload(fields, default=True),
        read_with_vector(fields, collection.schema),
    )
    return [record_json(record) for record in records]


def retrieve_one(request: Request) -> Json:
    """``GET /collections/{name}/points/{id}``."""
    text = request.path["id"]
    point = read_id(int(text) if text.isascii() and text.isdigit() else text, "path")
    records = request.collection.shard.retrieve([point], with_payload=True, with_vector=True)
    if not records:
        raise absent(f"Point with id {point} does not exists!")
    return record_json(records[0])


def query(request: Request) -> Json:
    """``POST /collections/{name}/points/query``."""
    asked = _reader(request).request(request.body)
    return _hits(asked, request.collection.shard.query(asked))


def groups(request: Request) -> Json:
    """``POST /collections/{name}/points/query/groups``."""
    return query_groups(request, _reader(request))


def query_batch(request: Request) -> list[Json]:
    """``POST /collections/{name}/points/query/batch``."""
    collection, fields = request.collection, request.fields("searches")
    searches = fields.need_items("searches")
    asked = [_reader(request).request(item, f"searches[{at}]") for at, item in enumerate(searches)]
    answers = collection.shard.query_batch(edge.QueryBatchRequest(asked)) if asked else []
    return [_hits(item, answer) for item, answer in zip(asked, answers, strict=True)]


def scroll(request: Request) -> Json:
    """``POST /collections/{name}/points/scroll``."""
    collection = request.collection
    fields = request.fields("offset", "limit", "filter", "with_payload", "with_vector", "order_by")
    if "offset" in fields and "order_by" in fields:
        raise refused("Cannot use an `offset` when using `order_by`")
    offset = read_id(fields.raw("offset"), fields.path("offset")) if "offset" in fields else None
    asked = edge.ScrollRequest(
        offset=offset,
        limit=fields.whole("limit", 1) or DEFAULT_LIMIT,
        filter=request.filter(fields),
        with_payload=read_with_payload(fields, default=True),
        with_vector=read_with_vector(fields, collection.schema),
        order_by=read_order(fields.raw("order_by"), fields.path("order_by")),
    )
    records, following = collection.shard.scroll(asked)
    return {"points": [record_json(record) for record in records], "next_page_offset": following}


def count(request: Request) -> Json:
    """``POST /collections/{name}/points/count``."""
    fields = request.fields("filter", "exact")
    fields.flag("exact")
    asked = edge.CountRequest(exact=True, filter=request.filter(fields))
    return {"count": request.collection.shard.count(asked)}


def facet(request: Request) -> Json:
    """``POST /collections/{name}/facet``."""
    fields = request.fields("key", "limit", "filter", "exact")
    fields.flag("exact")
    limit = fields.whole("limit", 1) or DEFAULT_LIMIT
    # The core applies the limit before it sorts, so equal counts come in any order. So all values are requested.
    asked = edge.FacetRequest(key=fields.need_text("key"), limit=_ALL, exact=True, filter=request.filter(fields))
    hits = sorted(request.collection.shard.facet(asked).hits, key=lambda item: (-item.count, item.value))
    return {"hits": [{"value": hit.value, "count": hit.count} for hit in hits[:limit]]}


def _hits(asked: edge.QueryRequest, answer: list[edge.ScoredPoint]) -> Json:
    return {"points": [scored_json(item, wanted=asked.with_vector) for item in answer]}


def _reader(request: Request) -> Reader:
    collection = request.collection

    def lookup(point: PointId, using: str) -> Vector:
        """Return the vector of a stored point; refuse a point or vector that does not exist."""
        records = collection.shard.retrieve([point], with_payload=False, with_vector=[using])
        if not records:
            raise absent(f"No point with id {point} found")
        vector = records[0].vector
        result = vector.get(using) if isinstance(vector, dict) else vector
        if result is None:
            raise absent(f"Point {point} has no vector `{using}`")
        return cast("Vector", result)

    return Reader(collection.schema, lookup, request.filter)
