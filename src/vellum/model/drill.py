"""A fault that is made on purpose, and how one sees that it is undone: the same words for a laptop and a cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vellum.kube.objects import Obj


@dataclass(frozen=True, slots=True)
class Drill:
    """One fault. It remembers what was there before, so it is made when the one before it is over."""

    object: str
    """What it is done to, as a receipt calls it."""
    what: str
    """What is done, as a participle."""
    harm: Callable[[], Any] = field(repr=False)
    whole: Callable[[], bool] = field(repr=False)
    """Whether the object is as before."""
    at_rest: Callable[[], bool] = field(repr=False)
    """Whether whoever repairs has nothing to do any more; until then the next fault would tell nothing."""


def is_back(before: Obj, now: Obj | None) -> bool:
    """Tell whether an object that was deleted is there anew, or one that was edited says what it said."""
    if now is None or "deletionTimestamp" in now["metadata"]:
        return False
    return now["metadata"]["uid"] != before["metadata"]["uid"] or _body(now) == _body(before)


def _body(obj: Obj) -> Obj:
    return {name: value for name, value in obj.items() if name not in ("metadata", "status")}
