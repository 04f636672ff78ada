"""Server-side apply for plain objects: set our fields, remove those we no longer set, keep the fields of others.

Lists are atomic. The control plane stores what it applied last; that record is the only field ownership.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vellum.kube.objects import Json


def copied(value: Json) -> Json:
    """Return a deep copy of JSON data; three times as fast as copy.deepcopy, which handles any object."""
    if isinstance(value, dict):
        return {key: copied(part) for key, part in value.items()}
    if isinstance(value, list):
        return [copied(part) for part in value]
    return value


def plain(value: Json) -> Json:
    """Return a view of JSON and its children as plain data, which models and desired objects require."""
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


def merged(live: Mapping[str, Any], previous: Mapping[str, Any], desired: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``live`` with ``desired`` applied over what this manager applied earlier (``previous``)."""
    result = dict(live)
    for key, before in previous.items():
        if key not in desired and key in result:
            _drop(result, key, before)
    for key, wanted in desired.items():
        result[key] = _set(result.get(key), previous.get(key), wanted)
    return result


def first_difference(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> str:
    """Return the first path where ``live`` differs from ``wanted``, such as ``.spec.replicas``; empty if none does."""
    for key, value in wanted.items():
        there = live.get(key)
        if isinstance(value, dict) and isinstance(there, dict):
            if deeper := first_difference(value, there):
                return f".{key}{deeper}"
        elif there != value:
            return f".{key}"
    return ""


def _drop(result: dict[str, Any], key: str, before: Json) -> None:
    """Remove what we applied; a mapping stays while it has fields of others."""
    current = result[key]
    if isinstance(before, dict) and isinstance(current, dict):
        rest = merged(current, before, {})
        if rest:
            result[key] = rest
            return
    del result[key]


def _set(current: Json, before: Json, wanted: Json) -> Json:
    if not isinstance(wanted, dict):
        return copied(wanted)
    here = current if isinstance(current, dict) else {}
    return merged(here, before if isinstance(before, dict) else {}, wanted)
