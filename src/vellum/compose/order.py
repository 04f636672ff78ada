"""The order of composition: components sorted by their needs. Pure; the same input gives the same order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from typing import Protocol, TypeVar

from vellum.errors import ComposeError


class Needy(Protocol):
    """Anything with needs."""

    needs: tuple[str, ...]


N = TypeVar("N", bound=Needy)


def in_order(
    parts: Mapping[str, N], needs: Callable[[N], tuple[str, ...]] = lambda part: part.needs
) -> list[tuple[str, N]]:
    """Return the parts so that each comes after its needs; needs that are not wanted are ignored.

    Raises:
        ComposeError: the needs form a cycle; then a component is wrong, not a claim.
    """
    graph = tuple((name, tuple(needs(parts[name]))) for name in sorted(parts))
    return [(name, parts[name]) for name in _sorted(graph)]


@lru_cache(maxsize=64)
def _sorted(graph: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[str, ...]:
    """Return the sorted names; cached, because there are few sets of parts and every pass needs one."""
    known = {name for name, _ in graph}
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name, needs in graph:
        sorter.add(name, *(need for need in sorted(needs) if need in known))
    try:
        return tuple(sorter.static_order())
    except CycleError as cycle:
        raise ComposeError(
            "VEL201", f"components need each other in a circle: {' -> '.join(cycle.args[1])}",
            where="components", fix="remove one of these needs",
        ) from cycle  # fmt: skip
