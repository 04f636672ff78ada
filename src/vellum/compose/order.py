"""The order of composition: components sorted by their needs. Pure; the same input gives the same order."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

from vellum.errors import ComposeError
from vellum.model.component import AnyComponent
from vellum.model.state import Known

C = TypeVar("C", bound=AnyComponent)


def in_order(parts: Mapping[str, C], known: Known | None = None) -> list[tuple[str, C]]:
    """Return the parts so that each comes after those that it names; names that are not wanted are ignored.

    ``known`` keeps the order of earlier passes: sorting takes a twentieth of a pass, and there are few sets of parts.

    Raises:
        ComposeError: the parts depend on each other in a cycle, which is an error in a component, not in a claim.
    """
    names = (known or Known()).get(("order", *parts), lambda: _sorted(parts))
    return [(name, parts[name]) for name in names]


def _sorted(parts: Mapping[str, AnyComponent]) -> tuple[str, ...]:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name in sorted(parts):
        named = sorted((*parts[name].needs, *parts[name].after))
        sorter.add(name, *(need for need in named if need in parts))
    try:
        return tuple(sorter.static_order())
    except CycleError as cycle:
        raise ComposeError(
            "VEL201",
            f"components need each other in a circle: {' -> '.join(cycle.args[1])}",
            where="components",
            fix="remove one of these needs",
        ) from cycle
