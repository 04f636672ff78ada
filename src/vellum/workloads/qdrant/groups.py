"""``POST /collections/{name}/points/query/groups``: the best points of each value of a field.

The core has no groups. All matching points are ranked once and then grouped, so that no group is missed; Qdrant asks
several times for some points each and can miss one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import qdrant_edge as edge

from vellum.workloads.qdrant.fields import Fields, Json, is_whole
from vellum.workloads.qdrant.paths import steps, values
from vellum.workloads.qdrant.points import record_json
from vellum.workloads.qdrant.queries import SHARED, Reader, read_with_payload, read_with_vector
from vellum.workloads.qdrant.refused import refused

if TYPE_CHECKING:
    from vellum.workloads.qdrant.request import Request

Groups = dict[str | int, list[edge.ScoredPoint]]

_LIMIT, _SIZE = 10, 3
_OWN = ("group_by", "group_size", "with_payload", "with_vector")


def query_groups(request: Request, reader: Reader) -> Json:
    """Return at most ``limit`` groups of at most ``group_size`` points, the best group first.

    Raises:
        RefusedError: a field is unknown or wrong, or the query prefetches (400).
    """
    fields = request.fields(*_OWN, *SHARED)
    if "prefetch" in fields:
        raise refused(
            f"{fields.path('prefetch')} is not supported in groups: how much is prefetched is Qdrant's secret"
        )
    key = fields.need_text("group_by")
    if not steps(key) or None in steps(key):
        raise refused(f"{fields.path('group_by')} must be a payload key without []")
    limit, size = fields.whole("limit", 1) or _LIMIT, fields.whole("group_size", 1) or _SIZE
    key_only = {"include": [key]}
    asked = {name: fields.raw(name) for name in SHARED if name not in ("limit", "prefetch")}
    shard = request.collection.shard
    every = {**asked, "limit": max(shard.info().points_count, 1), "with_payload": key_only}
    groups = _grouped(shard.query(reader.request(every, fields.where)), key, limit, size)
    shown = _shown(request, fields, {item.id for group in groups.values() for item in group})
    return {
        "groups": [
            {
                "id": name,
                "hits": [{**shown[str(item.id)], "version": item.version, "score": item.score} for item in group],
            }
            for name, group in groups.items()
        ]
    }


def _grouped(ranked: list[edge.ScoredPoint], key: str, limit: int, size: int) -> Groups:
    """Group points, best first; a point is in the group of each text and each whole number at its key."""
    groups: Groups = {}
    for item in ranked:
        for name in _names(item.payload, key):
            if name in groups or len(groups) < limit:
                group = groups.setdefault(name, [])
                if len(group) < size:
                    group.append(item)
    return groups


def _names(payload: object, key: str) -> list[str | int]:
    """Return the groups of a point: none if one of its values is neither text nor a whole number, as in Qdrant."""
    result = (
        part for value in values(payload or {}, steps(key)) for part in (value if isinstance(value, list) else [value])
    )
    names: dict[str | int, None] = {}
    for item in result:
        if not (isinstance(item, str) or is_whole(item)):
            return []
        names[item] = None
    return list(names)


def _shown(request: Request, fields: Fields, ids: set[edge.PointId]) -> dict[str, Json]:
    records = request.collection.shard.retrieve(
        list(ids), read_with_payload(fields, default=False), read_with_vector(fields, request.collection.schema)
    )
    return {str(record.id): record_json(record) for record in records}
