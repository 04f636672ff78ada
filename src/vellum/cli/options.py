"""Options that several commands share, and completion of names that live on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from vellum.laptop.state import State, default_root

F = TypeVar("F", bound=Callable[..., Any])


def teams() -> list[str]:
    """Return the claims of this installation as ``namespace/name``."""
    try:
        found: dict[str, Any] = json.loads((default_root() / "teams.json").read_text())
    except (OSError, ValueError):
        return []
    return sorted(found)


def _complete_team(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    del ctx, param
    names = [name.removeprefix("default/") for name in teams()]
    return [name for name in names if name.startswith(incomplete)]


def _complete_log(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    del ctx, param
    return [name for name in log_names(State(default_root())) if name.startswith(incomplete)]


def log_names(state: State) -> list[str]:
    """Return the processes that ever wrote a log."""
    return sorted(path.stem for path in (state.root / "logs").glob("*.log"))


def output(function: F) -> F:
    """Add ``--output text|json``."""
    choice = click.Choice(["text", "json"])
    return click.option("-o", "--output", type=choice, default="text", help="How data is printed.")(function)


def team_option(function: F) -> F:
    """Add ``--team``."""
    text = "NAME or NAMESPACE/NAME of the claim; not needed where there is one."
    return click.option("--team", "-t", metavar="TEAM", shell_complete=_complete_team, help=text)(function)


def team_argument(*, required: bool) -> Callable[[F], F]:
    """Add the argument TEAM."""
    return click.argument("team", required=required, shell_complete=_complete_team)


def log_argument(function: F) -> F:
    """Add the argument NAME of a log."""
    return click.argument("name", required=False, shell_complete=_complete_log)(function)


def state() -> State:
    """Return the installation's state, checked.

    Raises:
        LaptopError: the directory is not ours (VEL401).
    """
    return State.open(default_root())
