"""The calls that write: each is checked completely before the core sees it, so an error changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import qdrant_edge as edge

from vellum.workloads.qdrant.fields import Fields, Json, as_payload, as_texts
from vellum.workloads.qdrant.indexes import read_index
from vellum.workloads.qdrant.points import read_ids, read_point_vectors, read_points
from vellum.workloads.qdrant.refused import absent, refused
from vellum.workloads.qdrant.request import Request
from vellum.workloads.qdrant.schema import Schema

if TYPE_CHECKING:
    from qdrant_edge import PointId

_MODES = {
    "upsert": edge.UpdateMode.Upsert,
    "insert_only": edge.UpdateMode.InsertOnly,
    "update_only": edge.UpdateMode.UpdateOnly,
}
_SELECTOR = ("points", "filter")
_Update = edge.UpdateOperation


def create_collection(request: Request) -> bool:
    """``PUT /collections/{name}``."""
    request.collections.create(request.path["name"], Schema.read(request.body))
    return True


def delete_collection(request: Request) -> bool:
    """``DELETE /collections/{name}``."""
    return request.collections.delete(request.path["name"])


def create_index(request: Request) -> Json:
    """``PUT /collections/{name}/index``."""
    fields = request.fields("field_name", "field_schema")
    name = fields.need_text("field_name")
    return _apply(request, _Update.create_field_index(name, read_index(fields)))


def delete_index(request: Request) -> Json:
    """``DELETE /collections/{name}/index/{field}``."""
    return _apply(request, _Update.delete_field_index(request.path["field"]))


def upsert(request: Request) -> Json:
    """``PUT /collections/{name}/points``."""
    fields = request.fields("points", "batch", "update_filter", "update_mode")
    points = read_points(fields, request.collection.schema)
    only_if = request.filter(fields, "update_filter")
    mode = _MODES[fields.choice("update_mode", _MODES) or "upsert"]
    return _apply(request, _Update.upsert_points(points, only_if, mode))


def delete_points(request: Request) -> Json:
    """``POST /collections/{name}/points/delete``; absent points do not cause an error."""
    fields = request.fields(*_SELECTOR)
    chosen = _chosen(request, fields)
    if isinstance(chosen, list):
        return _apply(request, _Update.delete_points(chosen))
    return _apply(request, _Update.delete_points_by_filter(chosen))


def set_payload(request: Request) -> Json:
    """``POST /collections/{name}/points/payload``: merge."""
    return _payload(request, _Update.set_payload, _Update.set_payload_by_filter)


def overwrite_payload(request: Request) -> Json:
    """``PUT /collections/{name}/points/payload``: replace, ``key`` refused: the core ignores it here."""
    if isinstance(request.body, dict) and request.body.get("key") is not None:
        raise refused(f"{request.where}: field `key` is not supported when a payload is replaced")
    return _payload(request, _Update.overwrite_payload, _Update.overwrite_payload_by_filter)


def delete_payload(request: Request) -> Json:
    """``POST /collections/{name}/points/payload/delete``."""
    fields = request.fields("keys", *_SELECTOR)
    keys = as_texts(fields.need("keys"), fields.path("keys"))
    chosen = _present(request, _chosen(request, fields))
    if isinstance(chosen, list):
        return _apply(request, _Update.delete_payload(chosen, keys))
    return _apply(request, _Update.delete_payload_by_filter(chosen, keys))


def clear_payload(request: Request) -> Json:
    """``POST /collections/{name}/points/payload/clear``."""
    chosen = _present(request, _chosen(request, request.fields(*_SELECTOR)))
    if isinstance(chosen, list):
        return _apply(request, _Update.clear_payload(chosen))
    return _apply(request, _Update.clear_payload_by_filter(chosen))


def update_vectors(request: Request) -> Json:
    """``PUT /collections/{name}/points/vectors``: vectors that are not named stay."""
    fields = request.fields("points", "update_filter")
    points = read_point_vectors(fields, request.collection.schema)
    only_if = request.filter(fields, "update_filter")
    if only_if is None:
        _present(request, [point.id for point in points])
    return _apply(request, _Update.update_vectors(points, only_if))


def delete_vectors(request: Request) -> Json:
    """``POST /collections/{name}/points/vectors/delete``."""
    fields = request.fields("vector", *_SELECTOR)
    names = as_texts(fields.need("vector"), fields.path("vector"))
    if not names:
        raise refused(f"{fields.path('vector')} must name a vector")
    for name in names:
        request.collection.schema.check_name(name)
    chosen = _present(request, _chosen(request, fields))
    if isinstance(chosen, list):
        return _apply(request, _Update.delete_vectors(chosen, names))
    return _apply(request, _Update.delete_vectors_by_filter(chosen, names))


def batch(request: Request) -> list[Json]:
    """``POST /collections/{name}/points/batch``: all operations are checked before the first one runs.

    An absent point ends the batch with 404, and the operations before it stay, as in Qdrant.
    """
    fields = request.fields("operations")
    turns = []
    for at, item in enumerate(fields.need_items("operations")):
        where = f"{fields.path('operations')}[{at}]"
        operation = Fields(item, where, _OPERATIONS)
        if len(operation.names()) != 1:
            raise refused(f"{where} must name exactly one of {', '.join(_OPERATIONS)}")
        name = operation.names()[0]
        body, place = operation.raw(name), operation.path(name)
        turns.append((_OPERATIONS[name], replace(request, body=body, where=place)))
    for call, turn in turns:
        call(replace(turn, checks=True))
    return [call(turn) for call, turn in turns]


_OPERATIONS: dict[str, Callable[[Request], Json]] = {
    "upsert": upsert,
    "delete": delete_points,
    "set_payload": set_payload,
    "overwrite_payload": overwrite_payload,
    "delete_payload": delete_payload,
    "clear_payload": clear_payload,
    "update_vectors": update_vectors,
    "delete_vectors": delete_vectors,
}


def _payload(request: Request, by_ids: Callable[..., _Update], by_filter: Callable[..., _Update]) -> Json:
    fields = request.fields("payload", "key", *_SELECTOR)
    key = fields.text("key")
    depth = 0 if key is None else key.count(".") + key.count("[") + 1
    payload = as_payload(fields.need("payload"), fields.path("payload"), depth)
    chosen = _present(request, _chosen(request, fields))
    return _apply(request, (by_ids if isinstance(chosen, list) else by_filter)(chosen, payload, key))


def _chosen(request: Request, fields: Fields) -> list[PointId] | edge.Filter:
    """Return the points that a write is about: ids, or a filter (an empty one means all)."""
    if ("points" in fields) == ("filter" in fields):
        raise refused(f"{fields.where}: exactly one of `points` and `filter` is needed")
    if "points" in fields:
        return read_ids(fields.raw("points"), fields.path("points"))
    return request.filter(fields) or edge.Filter()


def _present(request: Request, chosen: list[PointId] | edge.Filter) -> list[PointId] | edge.Filter:
    """Refuse absent points before the write: the core would change the others and then fail."""
    if isinstance(chosen, list) and not request.checks:
        shard = request.collection.shard
        # The core returns a UUID as an object of its own kind; the request has it as text.
        known = {str(item.id) for item in shard.retrieve(chosen, with_payload=False, with_vector=False)}
        for point in chosen:
            if str(point) not in known:
                raise absent(f"No point with id {point} found")
    return chosen


def _apply(request: Request, operation: edge.UpdateOperation) -> Json:
    if request.checks:
        return {}
    number = request.collection.update(operation)
    return {"operation_id": number, "status": "completed" if request.wait else "acknowledged"}
