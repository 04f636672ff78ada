"""The catalogue: one file per part of the platform, found by name, so a new part needs no list.

A module joins by having an attribute ``component``. Modules here import nothing heavy, because a test loads them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from vellum.model.component import (
    AnyComponent,
    AnyPlatformComponent,
    AnyTeamComponent,
    PlatformComponent,
    TeamComponent,
)


@cache
def all_components() -> Mapping[str, AnyComponent]:
    """Return the parts of the platform and then those of a team, by name."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    result = (module.component for module in modules if hasattr(module, "component"))
    parts = sorted(result, key=lambda part: (part.scope, part.name))
    return MappingProxyType({part.name: part for part in parts})


@cache
def team_components() -> Mapping[str, AnyTeamComponent]:
    """Return the parts of a team's corner by name, in name order."""
    parts = {name: part for name, part in all_components().items() if isinstance(part, TeamComponent)}
    return MappingProxyType(parts)


@cache
def platform_components() -> Mapping[str, AnyPlatformComponent]:
    """Return the parts of the platform by name, in name order."""
    parts = {name: part for name, part in all_components().items() if isinstance(part, PlatformComponent)}
    return MappingProxyType(parts)
