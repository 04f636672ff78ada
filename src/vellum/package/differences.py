"""The differences of two pieces of JSON, field by field, and of two schemas. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vellum.kube.objects import Json, Obj

_WIDEST = 120
"""The most characters of a value in a message."""
NOT_SAID = "not said"


def by_field(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the path of each field that differs, and a line with both values."""
    old, new = dict(_leaves(was)), dict(_leaves(now))
    for path in dict.fromkeys((*old, *new)):
        same = (path in old, old.get(path)) == (path in new, new.get(path))
        if not same and not (_opened(path, old, new) or _opened(path, new, old)):
            yield path, f"{path}: {_shown(old, path)} → {_shown(new, path)}"


def _opened(path: str, here: Mapping[str, Any], there: Mapping[str, Any]) -> bool:
    """Tell whether a field is empty here, and there its own fields show what changed."""
    return here.get(path) in ({}, []) and any(other.startswith((f"{path}.", f"{path}[")) for other in there)


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each field that differs."""
    yield from (line for _, line in by_field(was, now))


def _leaves(value: Json, above: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{above}.{name}" if above else str(name))
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{above}[{place}]")
    else:
        yield above, value


def _shown(values: Mapping[str, Any], path: str) -> str:
    if path not in values:
        return NOT_SAID
    text = " ".join(str(values[path]).split()) or "empty"
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def properties(schema: Obj, above: str = "") -> dict[str, Obj]:
    """Return every field of a schema by its path, each without its children and without descriptions."""
    results: dict[str, Obj] = {}
    for name, inner in (schema.get("properties") or {}).items():
        path = f"{above}.{name}" if above else name
        results[path] = _rules(inner)
        results |= properties(inner, path)
        for below in _BELOW:
            if isinstance(inner.get(below), Mapping):
                results |= properties(inner[below], f"{path}[]")
    return results


_BELOW = ("items", "additionalProperties")
_WORDS = ("properties", "description", "example")


def _rules(field: Mapping[str, Any]) -> Obj:
    return {
        name: _rules(value) if name in _BELOW and isinstance(value, Mapping) else value
        for name, value in field.items()
        if name not in _WORDS
    }
