"""The catalogue: one file per part of the platform, found by name, so a new part needs no list.

A module joins by having an attribute ``component``. Modules here import nothing heavy, because a test loads them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from vellum.model.component import AnyComponent, AnyPlatformComponent, Component, PlatformComponent


@cache
def _modules() -> tuple[object, ...]:
    found = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    return tuple(module.component for module in found if hasattr(module, "component"))


@cache
def team_components() -> Mapping[str, AnyComponent]:
    """Return the parts of a team's corner by name, in name order."""
    parts = {part.name: part for part in _modules() if isinstance(part, Component)}
    return MappingProxyType(dict(sorted(parts.items())))


@cache
def platform_components() -> Mapping[str, AnyPlatformComponent]:
    """Return the parts of the platform by name, in name order."""
    parts = {part.name: part for part in _modules() if isinstance(part, PlatformComponent)}
    return MappingProxyType(dict(sorted(parts.items())))
