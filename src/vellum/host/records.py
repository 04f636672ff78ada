"""Read a supervisor's records. Damaged entries are left out, so all values have the right types.

The supervisor can derive all records anew, and reports damaged ones when it starts.
Standard library only: ``vellum status`` must not wait for imports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from vellum.host import reaper

FIRST_PORT, LAST_PORT = 1024, 65535


def ports(value: object) -> dict[str, int]:
    """Return name to port, without invalid ports; if two names have one port, the first keeps it."""
    valid: dict[str, int] = {}
    for name, port in entries(value):
        if type(port) is int and FIRST_PORT <= port <= LAST_PORT and port not in valid.values():
            valid[name] = port
    return valid


def supervisor(value: object) -> dict[str, Any]:
    """Return ``pid``, ``started`` and ``runtime`` of a supervisor; nothing unless all three are valid."""
    if not isinstance(value, dict) or not reaper.is_process(value):
        return {}
    runtime = value.get("runtime")
    if not isinstance(runtime, str) or not runtime.startswith("/") or "\0" in runtime:
        return {}
    return {name: value[name] for name in ("pid", "started", "runtime")}


def entries(value: object) -> list[tuple[str, Any]]:
    """Return the entries of a JSON object; none of another value."""
    return list(value.items()) if isinstance(value, dict) else []


Parsers: TypeAlias = Mapping[str, Callable[[object], Any]]
"""The name of each record, and the function that returns its valid entries."""
PARSERS: Parsers = MappingProxyType(
    {"ports.json": ports, "processes.json": reaper.children, "supervisor.json": supervisor}
)


def damaged(root: Path, parsers: Parsers) -> list[str]:
    """Return the names of the damaged records in a state directory."""
    return [
        name
        for name, parse in parsers.items()
        if (root / name).exists() and reaper.parsed(str(root / name)) != parse(reaper.parsed(str(root / name)))
    ]
