"""What the records in the state directory may hold. Whatever was made of them, what is returned has the right types.

All of them can be derived anew, so what does not fit is left out, and the supervisor says so when it starts.
Standard library only: ``vellum status`` must not wait for imports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vellum.laptop import reaper

FIRST_PORT, LAST_PORT = 1024, 65535


def ports(value: object) -> dict[str, int]:
    """Return name to port, without what is no port; of two names with one port the first keeps it."""
    found: dict[str, int] = {}
    for name, port in _entries(value):
        if type(port) is int and FIRST_PORT <= port <= LAST_PORT and port not in found.values():
            found[name] = port
    return found


def teams(value: object) -> dict[str, dict[str, str]]:
    """Return claim, as ``namespace/name``, to ``{"namespace": the team's}``."""
    return {
        claim: {"namespace": entry["namespace"]}
        for claim, entry in _entries(value)
        if isinstance(entry, dict) and isinstance(entry.get("namespace"), str)
    }


def supervisor(value: object) -> dict[str, Any]:
    """Return ``pid``, ``started`` and ``runtime`` of a supervisor; nothing unless all three can be."""
    if not isinstance(value, dict) or not reaper.is_process(value):
        return {}
    runtime = value.get("runtime")
    if not isinstance(runtime, str) or not runtime.startswith("/") or "\0" in runtime:
        return {}
    return {name: value[name] for name in ("pid", "started", "runtime")}


def _entries(value: object) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


PARSERS: Mapping[str, Callable[[object], Any]] = MappingProxyType({
    "ports.json": ports, "processes.json": reaper.children, "supervisor.json": supervisor, "teams.json": teams,
})  # fmt: skip


def damaged(root: Path) -> list[str]:
    """Return the names of the records in a state directory that hold something else than we write."""
    return [
        name for name, parse in PARSERS.items()
        if (root / name).exists() and reaper.parsed(str(root / name)) != parse(reaper.parsed(str(root / name)))
    ]  # fmt: skip
