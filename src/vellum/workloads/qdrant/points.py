"""Points between JSON and qdrant-edge: ids, vectors and payloads in, records and scores out.

Everything is checked before the core sees it: the core applies a batch point by point, so an error in the middle
leaves the first points in, and after a crash the write-ahead log brings another half (both measured).
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, cast

import qdrant_edge as edge

from vellum.workloads.qdrant.fields import Fields, Json, as_list, as_payload, is_whole
from vellum.workloads.qdrant.refused import refused
from vellum.workloads.qdrant.schema import UNNAMED, Schema

if TYPE_CHECKING:
    from qdrant_edge import NamedVector, PointId

Vector = list[float] | edge.SparseVector

_UUID = re.compile(r"(urn:uuid:)?[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
_LARGEST = 3.4028234663852886e38
"""The largest 32-bit float: a larger number would be stored as infinity."""
_MAX_ID = 2**64 - 1
_MAX_INDEX = 2**32 - 1


def read_id(value: object, where: str) -> PointId:
    """Return a point id: an unsigned 64-bit integer, or a UUID in its usual spelling."""
    if is_whole(value) and 0 <= value <= _MAX_ID:
        return value
    if isinstance(value, str) and _UUID.fullmatch(value):
        return str(uuid.UUID(value))
    raise refused(
        f"{where}: value {value!r} is not a valid point ID, valid values are either an unsigned integer or a UUID"
    )


def read_ids(value: object, where: str) -> list[PointId]:
    """Return a list of point ids."""
    return [read_id(item, f"{where}[{index}]") for index, item in enumerate(as_list(value, where))]


def read_points(body: Fields, schema: Schema) -> list[edge.Point]:
    """Return the points of an upsert, from ``points`` or from the columns of ``batch``."""
    if ("points" in body) == ("batch" in body):
        raise refused(f"{body.where}: exactly one of `points` and `batch` is needed")
    rows = body.items("points")
    if rows is None:
        rows = _rows(Fields(body.raw("batch"), body.path("batch"), ("ids", "vectors", "payloads")))
    if not rows:
        raise refused("Empty update request")
    return [_point(row, schema, f"points[{index}]") for index, row in enumerate(rows)]


def read_point_vectors(body: Fields, schema: Schema) -> list[edge.PointVectors]:
    """Return new vectors of points; each must name one at least."""
    rows = body.need_items("points")
    if not rows:
        raise refused(f"{body.path('points')} must name a point")
    results = []
    for at, row in enumerate(rows):
        fields = Fields(row, f"{body.path('points')}[{at}]", ("id", "vector"))
        vector = _vectors(fields.need("vector"), schema, fields.path("vector"))
        if not vector:
            raise refused(f"{fields.path('vector')} must have a vector")
        results.append(edge.PointVectors(read_id(fields.need("id"), fields.path("id")), vector))
    return results


def read_vector(value: object, schema: Schema, name: str, where: str) -> Vector:
    """Return one vector, dense or sparse as the collection says for that name."""
    schema.check_name(name)
    return _sparse(value, where) if name in schema.sparse else _dense(value, schema.dense[name].size, where)


def record_json(record: edge.Record) -> Json:
    """Return a record as Qdrant writes it."""
    return _shown(record, {"id": record.id})


def scored_json(point: edge.ScoredPoint, *, wanted: bool | list[str]) -> Json:
    """Return a hit as Qdrant writes it, with the wanted vectors: the core adds those that a diverse query compared."""
    shown = _shown(point, {"id": point.id, "version": point.version, "score": point.score})
    vector = shown.get("vector")
    if wanted is True or vector is None:
        return shown
    names = wanted or []
    if isinstance(vector, dict) and "indices" not in vector:
        kept: object = {name: item for name, item in vector.items() if name in names}
    else:
        kept = vector if UNNAMED in names else {}
    shown["vector"] = kept
    if not names:
        del shown["vector"]
    return shown


def _shown(point: edge.Record | edge.ScoredPoint, shown: Json) -> Json:
    if point.payload is not None:
        shown["payload"] = point.payload
    if point.vector is not None:
        shown["vector"] = _vector_json(point.vector)
    if point.order_value is not None:
        shown["order_value"] = point.order_value
    return shown


def _vector_json(vector: object) -> object:
    if isinstance(vector, dict):
        return {name: _vector_json(item) for name, item in vector.items()}
    if isinstance(vector, edge.SparseVector):
        return {"indices": vector.indices, "values": vector.values}
    return vector


def _rows(batch: Fields) -> list[object]:
    """Turn the columns of a batch into rows; every column must be as long as the ids."""
    ids = batch.need_items("ids")
    vectors = batch.need("vectors")
    payloads = batch.items("payloads") or [None] * len(ids)
    columns = {"payloads": payloads}
    if isinstance(vectors, dict):
        columns |= {name: as_list(item, f"{batch.where}.vectors.{name}") for name, item in vectors.items()}
        rows: list[object] = [{name: item[at] for name, item in vectors.items()} for at in _every(ids, columns)]
    else:
        rows = as_list(vectors, batch.path("vectors"))
        _every(ids, {**columns, "vectors": rows})
    return [
        {"id": item, "vector": vector, "payload": payload}
        for item, vector, payload in zip(ids, rows, payloads, strict=True)
    ]


def _every(ids: list[object], columns: dict[str, list[object]]) -> range:
    for name, column in columns.items():
        if len(column) != len(ids):
            raise refused(f"body.batch: {len(ids)} ids but {len(column)} in `{name}`")
    return range(len(ids))


def _point(value: object, schema: Schema, where: str) -> edge.Point:
    fields = Fields(value, where, ("id", "vector", "payload"))
    payload = fields.raw("payload")
    return edge.Point(
        read_id(fields.need("id"), fields.path("id")),
        _vectors(fields.need("vector"), schema, fields.path("vector")),
        None if payload is None else as_payload(payload, fields.path("payload")),
    )


def _vectors(value: object, schema: Schema, where: str) -> list[float] | dict[str, NamedVector]:
    if isinstance(value, dict):
        return {name: read_vector(item, schema, name, f"{where}.{name}") for name, item in value.items()}
    schema.check_name(UNNAMED)
    return _dense(value, schema.dense[UNNAMED].size, where)


def _dense(value: object, size: int, where: str) -> list[float]:
    numbers = _floats(value, where)
    if len(numbers) != size:
        raise refused(f"{where}: Vector dimension error: expected dim: {size}, got {len(numbers)}")
    return numbers


def _floats(value: object, where: str) -> list[float]:
    """Return a list of numbers, checked without a loop in Python, which would cost more than the core does."""
    numbers = as_list(value, where)
    if not set(map(type, numbers)) <= {float, int}:
        raise refused(f"{where} must be a list of numbers")
    floats = cast("list[float]", numbers)
    if floats and (max(floats) > _LARGEST or min(floats) < -_LARGEST):
        raise refused(f"{where} has a number that is too large for 32 bits")
    return floats


def _sparse(value: object, where: str) -> edge.SparseVector:
    fields = Fields(value, where, ("indices", "values"))
    indices = fields.need_items("indices")
    values = _floats(fields.need("values"), fields.path("values"))
    if not all(is_whole(index) and 0 <= index <= _MAX_INDEX for index in indices):
        raise refused(f"{fields.path('indices')} must be unsigned 32-bit integers")
    if len(indices) != len(values):
        raise refused(f"{where}: {len(indices)} indices but {len(values)} values")
    if len(set(indices)) != len(indices):
        raise refused(f"{fields.path('indices')} must be unique")
    return edge.SparseVector(cast("list[int]", indices), values)
