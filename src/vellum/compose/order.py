"""Who is composed before whom: components sorted by what they need. Pure; the same input gives the same order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Protocol, TypeVar

from vellum.errors import ComposeError


class Needy(Protocol):
    """Anything that names what it needs."""

    needs: tuple[str, ...]


N = TypeVar("N", bound=Needy)


def in_order(
    parts: Mapping[str, N], needs: Callable[[N], tuple[str, ...]] = lambda part: part.needs
) -> list[tuple[str, N]]:
    """Return the parts so that each comes after what it needs; needs that are not wanted are left out.

    Raises:
        ComposeError: the needs form a cycle; a component is wrong, not a claim.
    """
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name in sorted(parts):
        sorter.add(name, *(need for need in sorted(needs(parts[name])) if need in parts))
    try:
        return [(name, parts[name]) for name in sorter.static_order()]
    except CycleError as cycle:
        raise ComposeError(
            "VEL201", f"components need each other in a circle: {' -> '.join(cycle.args[1])}",
            where="components", fix="remove one of these needs",
        ) from cycle  # fmt: skip
