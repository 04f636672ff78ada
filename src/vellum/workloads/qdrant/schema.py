"""The schema of a collection: its dense and sparse vectors, read from the body that created it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import qdrant_edge as edge

from vellum.workloads.qdrant.fields import Fields, Json
from vellum.workloads.qdrant.refused import refused

UNNAMED = ""
"""The name of the default vector: Qdrant takes ``{"": params}`` and ``params`` for the same vector."""
DISTANCES = {
    "Cosine": edge.Distance.Cosine,
    "Dot": edge.Distance.Dot,
    "Euclid": edge.Distance.Euclid,
    "Manhattan": edge.Distance.Manhattan,
}
_HNSW = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000}
"""Qdrant's own defaults."""
_HNSW_RECORDED = {"max_indexing_threads": 0, "on_disk": False, "payload_m": None}
OPTIMIZERS = {
    "deleted_threshold": 0.2,
    "vacuum_min_vector_number": 1000,
    "default_segment_number": 0,
    "max_segment_size": None,
    "memmap_threshold": None,
    "indexing_threshold": 10000,
    "flush_interval_sec": 5,
    "max_optimization_threads": 1,
}
"""Qdrant's own defaults. Given values are stored and shown; the core itself decides when it optimizes.

No answer depends on these or on ``_HNSW_RECORDED``: they define when and where a graph is built.
"""
INDEXING_THRESHOLD = 10_000
"""Kilobytes of one dense vector without a graph from which the core builds one; below it only compares."""
_GIVEN = ("vectors", "sparse_vectors", "hnsw_config", "optimizers_config", "on_disk_payload")
_ONLY_ONE = ("shard_number", "replication_factor", "write_consistency_factor")
_MAX_SIZE = 65536


@dataclass(frozen=True)
class Dense:
    """One dense vector: how many numbers, and how they are compared."""

    size: int
    distance: str
    on_disk: bool | None = None

    def edge(self) -> edge.EdgeVectorParams:
        """Return it as qdrant-edge takes it."""
        return edge.EdgeVectorParams(self.size, DISTANCES[self.distance], on_disk=self.on_disk)

    def public(self) -> Json:
        """Return it as Qdrant shows it."""
        shown: Json = {"size": self.size, "distance": self.distance}
        return shown if self.on_disk is None else {**shown, "on_disk": self.on_disk}


@dataclass(frozen=True)
class Sparse:
    """One sparse vector; ``idf`` lets Qdrant weigh each term by its rarity."""

    idf: bool
    on_disk: bool | None = None

    def edge(self) -> edge.EdgeSparseVectorParams:
        """Return it as qdrant-edge takes it."""
        modifier = edge.Modifier.Idf if self.idf else None
        return edge.EdgeSparseVectorParams(on_disk=self.on_disk, modifier=modifier)

    def public(self) -> Json:
        """Return it as Qdrant shows it."""
        index: Json = {} if self.on_disk is None else {"index": {"on_disk": self.on_disk}}
        return {**index, "modifier": "idf"} if self.idf else index


@dataclass(frozen=True)
class Schema:
    """The vectors of one collection by name, and how its graph is built."""

    dense: dict[str, Dense]
    sparse: dict[str, Sparse]
    hnsw: Json
    optimizers: Json
    on_disk_payload: bool
    by_name: bool = True
    """Whether ``vectors`` was given as an object of names: Qdrant shows it as given."""

    @classmethod
    def read(cls, body: object) -> Schema:
        """Read the body of ``PUT /collections/{name}``.

        Raises:
            RefusedError: a field is unknown, wrong or asks for what is not served (400).
        """
        fields = Fields(body, "body", (*_GIVEN, *_ONLY_ONE))
        for name in _ONLY_ONE:
            fields.whole(name, 1, 1)
        dense, sparse = _dense(fields), _sparse(fields)
        if both := dense.keys() & sparse.keys():
            raise refused(f"vector `{min(both)}` is both dense and sparse")
        if not dense and not sparse:
            raise refused("body: one of `vectors` and `sparse_vectors` must name a vector")
        on_disk = fields.flag("on_disk_payload")
        by_name = not _is_one_vector(fields.raw("vectors"))
        hnsw, optimizers = _hnsw(fields.raw("hnsw_config")), _optimizers(fields.raw("optimizers_config"))
        return cls(dense, sparse, hnsw, optimizers, on_disk_payload=on_disk is not False, by_name=by_name)

    def edge(self) -> edge.EdgeConfig:
        """Return it as qdrant-edge takes it."""
        m, ef_construct, full_scan_threshold = (cast("int", self.hnsw[name]) for name in _HNSW)
        return edge.EdgeConfig(
            vectors={name: item.edge() for name, item in self.dense.items()} or None,
            sparse_vectors={name: item.edge() for name, item in self.sparse.items()} or None,
            on_disk_payload=self.on_disk_payload,
            optimizers=edge.EdgeOptimizersConfig(indexing_threshold=INDEXING_THRESHOLD),
            hnsw_config=edge.HnswIndexConfig(m, ef_construct, full_scan_threshold),
        )

    def public(self) -> Json:
        """Return it as Qdrant shows it under ``config.params``."""
        dense = {name: item.public() for name, item in self.dense.items()}
        vectors = dense if self.by_name else dense[UNNAMED]
        shown: Json = {"vectors": vectors, "on_disk_payload": self.on_disk_payload}
        if self.sparse:
            shown["sparse_vectors"] = {name: item.public() for name, item in self.sparse.items()}
        return {**shown, **dict.fromkeys(_ONLY_ONE, 1)}

    def record(self) -> Json:
        """Return the whole schema in a form that ``read`` accepts."""
        return {**self.public(), "hnsw_config": self.hnsw, "optimizers_config": self.optimizers}

    def check_name(self, name: str) -> None:
        """Refuse a vector name that the collection does not have."""
        if name not in self.dense and name not in self.sparse:
            raise refused(f"Not existing vector name error: {name}")


def _dense(fields: Fields) -> dict[str, Dense]:
    value = fields.raw("vectors")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refused("body.vectors must be an object")
    if _is_one_vector(value):
        return {UNNAMED: _one_dense(value, "body.vectors")}
    return {name: _one_dense(item, f"body.vectors.{name}") for name, item in value.items()}


def _is_one_vector(value: object) -> bool:
    """Return whether the value has the parameters of the default vector, not names, of which one may be ``size``."""
    return isinstance(value, dict) and not isinstance(value.get("size", {}), dict)


def _one_dense(value: object, where: str) -> Dense:
    fields = Fields(value, where, ("size", "distance", "on_disk", "datatype"))
    fields.choice("datatype", ("float32",))
    size, distance = fields.need_whole("size", 1, _MAX_SIZE), fields.need_choice("distance", DISTANCES)
    return Dense(size, distance, fields.flag("on_disk"))


def _sparse(fields: Fields) -> dict[str, Sparse]:
    value = fields.raw("sparse_vectors")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refused("body.sparse_vectors must be an object")
    return {_named(name): _one_sparse(item or {}, f"body.sparse_vectors.{name}") for name, item in value.items()}


def _one_sparse(value: object, where: str) -> Sparse:
    fields = Fields(value, where, ("index", "modifier"))
    index = Fields(fields.raw("index") or {}, fields.path("index"), ("on_disk",))
    return Sparse(fields.choice("modifier", ("none", "idf")) == "idf", index.flag("on_disk"))


def _hnsw(value: object) -> Json:
    fields = Fields(value or {}, "body.hnsw_config", (*_HNSW, *_HNSW_RECORDED))
    given: Json = {name: _or(fields.whole(name), default) for name, default in _HNSW.items()}
    recorded = {name: fields.whole(name) for name in ("max_indexing_threads", "payload_m")}
    recorded["on_disk"] = fields.flag("on_disk")
    return given | _HNSW_RECORDED | {name: item for name, item in recorded.items() if item is not None}


def _optimizers(value: object) -> Json:
    fields = Fields(value or {}, "body.optimizers_config", OPTIMIZERS)
    given: Json = {name: fields.whole(name) for name in OPTIMIZERS if name != "deleted_threshold"}
    given["deleted_threshold"] = threshold = fields.number("deleted_threshold")
    if threshold is not None and not 0 <= threshold <= 1:
        raise refused(f"{fields.path('deleted_threshold')} must be from 0 to 1")
    return OPTIMIZERS | {name: item for name, item in given.items() if item is not None}


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _named(name: str) -> str:
    if not name:
        raise refused("body.sparse_vectors: a sparse vector without a name is not supported; give it one")
    return name
