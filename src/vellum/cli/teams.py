"""Name the team of a command: by the argument TEAM, or by ``--team``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from vellum.cli import options
from vellum.kube.objects import Obj
from vellum.model.team import CLAIM_KIND, Team


def either(function: Callable[..., None]) -> Callable[..., None]:
    """Add TEAM and ``--team``, which have the same meaning. Commands with file arguments have only the option."""

    @functools.wraps(function)
    def merged(*args: Any, team: str | None, named: str | None, **more: Any) -> None:  # noqa: ANN401  # click's
        """Call the command with the one team of both forms."""
        if team and named and team != named:
            raise click.UsageError(f"TEAM is {team!r}, but --team is {named!r}.")
        function(*args, team=team or named, **more)

    text = "The same as TEAM."
    option = click.option(
        "--team", "-t", "named", metavar="TEAM", shell_complete=options.complete_team, help=text
    )
    return options.team_argument(required=False)(option(merged))


def claim_of(team: str, found: list[Obj]) -> Obj:
    """Return the claim that has the name.

    Raises:
        UsageError: no claim has this name (VEL704), or several have it (VEL705).
    """
    claims = {
        f"{obj['metadata']['namespace']}/{obj['metadata']['name']}": obj
        for obj in found
        if obj["kind"] == CLAIM_KIND
    }
    return claims[options.one_team(team, list(claims))]


def namespace_of(claim: Obj) -> str:
    """Return the team's own namespace."""
    meta = claim["metadata"]
    return Team(meta["namespace"], meta["name"], "").namespace
