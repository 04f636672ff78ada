"""Payload indexes between JSON and qdrant-edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import qdrant_edge as edge

from vellum.workloads.qdrant.fields import Fields, Json

if TYPE_CHECKING:
    from qdrant_edge import PayloadSchemaParams, PayloadSchemaType

_COMMON = ("on_disk", "enable_hnsw")
_TENANT = ("is_tenant", *_COMMON)
_PRINCIPAL = ("is_principal", *_COMMON)
_LENGTHS = ("min_token_len", "max_token_len")
_TOKENIZERS = {
    "prefix": edge.TokenizerType.Prefix,
    "whitespace": edge.TokenizerType.Whitespace,
    "word": edge.TokenizerType.Word,
    "multilingual": edge.TokenizerType.Multilingual,
}
_FLAGS: dict[str, tuple[str, ...]] = {
    "keyword": _TENANT,
    "uuid": _TENANT,
    "integer": ("lookup", "range", *_PRINCIPAL),
    "float": _PRINCIPAL,
    "datetime": _PRINCIPAL,
    "geo": _COMMON,
    "bool": _COMMON,
    "text": ("lowercase", "ascii_folding", "phrase_matching", *_COMMON),
}
_TYPES: dict[str, PayloadSchemaType] = {kind: getattr(edge.PayloadSchemaType, kind.capitalize()) for kind in _FLAGS}
_PARAMS: dict[str, Callable[..., PayloadSchemaParams]] = {
    "keyword": edge.KeywordIndexParams,
    "uuid": edge.UuidIndexParams,
    "integer": edge.IntegerIndexParams,
    "float": edge.FloatIndexParams,
    "datetime": edge.DatetimeIndexParams,
    "geo": edge.GeoIndexParams,
    "bool": edge.BoolIndexParams,
    "text": edge.TextIndexParams,
}


def read_index(fields: Fields) -> PayloadSchemaType | PayloadSchemaParams:
    """Return the index that ``field_schema`` asks for: a type's name, or an object with ``type`` and options."""
    value, where = fields.need("field_schema"), fields.path("field_schema")
    if not isinstance(value, dict):
        return _TYPES[fields.need_choice("field_schema", _FLAGS)]
    every = {"type", "tokenizer", *_LENGTHS, *(flag for flags in _FLAGS.values() for flag in flags)}
    outer = Fields(value, where, every)
    kind = outer.need_choice("type", _FLAGS)
    text = ("tokenizer", *_LENGTHS) if kind == "text" else ()
    options = Fields(value, where, ("type", *text, *_FLAGS[kind]))
    chosen: Json = {flag: options.flag(flag) for flag in _FLAGS[kind]}
    if text:
        tokenizer = options.choice("tokenizer", _TOKENIZERS)
        chosen |= {name: options.whole(name, 1) for name in _LENGTHS}
        chosen["tokenizer"] = None if tokenizer is None else _TOKENIZERS[tokenizer]
    return _PARAMS[kind](**{name: item for name, item in chosen.items() if item is not None})


def index_json(info: edge.PayloadIndexInfo) -> Json:
    """Return a payload index as Qdrant shows it."""
    kind = str(info.data_type).rpartition(".")[2].lower()
    shown: Json = {"data_type": kind, "points": info.points}
    if info.params is not None:
        options = {name: getattr(info.params, name) for name in _FLAGS[kind]}
        text = _text_json(info.params) if isinstance(info.params, edge.TextIndexParams) else {}
        chosen = {name: item for name, item in options.items() if item is not None}
        shown["params"] = {"type": kind, **chosen, **text}
    return shown


def _text_json(params: edge.TextIndexParams) -> Json:
    names = {str(item): name for name, item in _TOKENIZERS.items()}
    lengths = {name: getattr(params, name) for name in _LENGTHS}
    shown: Json = {name: item for name, item in lengths.items() if item is not None}
    tokenizer = names.get(str(params.tokenizer))
    return shown if tokenizer is None else {**shown, "tokenizer": tokenizer}
