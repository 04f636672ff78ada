"""A fault made on purpose, and how to see its repair; a laptop and a cluster use the same class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vellum.kube.objects import Obj, spec_of


@dataclass(frozen=True, slots=True)
class Drill:
    """One fault. It remembers the state before the fault, and it is made once the previous fault is repaired."""

    object: str
    """The object, as a receipt names it."""
    what: str
    """The fault, as a participle."""
    harm: Callable[[], Any] = field(repr=False)
    whole: Callable[[], bool] = field(repr=False)
    """Whether the object is as before."""
    at_rest: Callable[[], bool] = field(repr=False)
    """Whether the repairer has finished; before that, the next fault would prove nothing."""


def is_back(before: Obj, now: Obj | None) -> bool:
    """Tell whether a deleted object exists again, or an edited one has its former content."""
    if now is None or "deletionTimestamp" in now["metadata"]:
        return False
    return now["metadata"]["uid"] != before["metadata"]["uid"] or spec_of(now) == spec_of(before)
