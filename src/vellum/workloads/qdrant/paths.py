"""Qdrant's paths into a payload: ``a``, ``a.b``, ``a[0]``, ``a[].b`` and quoted keys."""

from __future__ import annotations

import re
from functools import lru_cache

Step = str | int | None
"""A key, a position in a list, or None for every element of a list."""

_FIRST = re.compile(r'"(?P<quoted>[^"]+)"|(?P<raw>[\w-]+)')
_NEXT = re.compile(r'\.(?:"(?P<quoted>[^"]+)"|(?P<raw>[\w-]+))|\[(?P<at>[0-9]*)\]')


@lru_cache(maxsize=256)
def steps(path: str) -> tuple[Step, ...]:
    """Return the steps of a path; empty if it is not a path, which the core itself refuses."""
    result, end, pattern = [], 0, _FIRST
    while end < len(path):
        match = pattern.match(path, end)
        if match is None:
            return ()
        result.append(_step(match.groupdict()))
        end, pattern = match.end(), _NEXT
    return tuple(result)


def values(payload: object, path: tuple[Step, ...]) -> list[object]:
    """Return every value that a path leads to; a list at its end is one value."""
    results = [payload]
    for step in path:
        results = [item for value in results for item in _into(value, step)]
    return results


def _step(groups: dict[str, str | None]) -> Step:
    key = groups["quoted"] or groups["raw"]
    at = groups.get("at")
    return key if key is not None else int(at) if at else None


def _into(value: object, step: Step) -> list[object]:
    if isinstance(step, str):
        return [value[step]] if isinstance(value, dict) and step in value else []
    if not isinstance(value, list):
        return []
    return value if step is None else value[step : step + 1]
