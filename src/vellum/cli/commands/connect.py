"""``vellum connect``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable

import click

from vellum.cli import options, teams
from vellum.connect.binding import KEYS, PUBLIC
from vellum.connect.sources import connect


@click.command()
@teams.team_argument(required=False)
@click.option("--export", is_flag=True, help='Print shell lines with the keys: eval "$(vellum connect --export)".')
@options.output
def command(team: str | None, output: str, *, export: bool) -> None:
    """Show.

    A key is shown only once its service answers. Secrets are hidden unless --export or --output json is given.
    """
    values = connect(team).as_env()
    if export:
        for name, value in values.items():
            click.echo(f"export {name}={shlex.quote(value)}")
    elif output == "json":
        click.echo(json.dumps(values))
    else:
        public = _public(values)
        for name, value in values.items():
            click.echo(f"{name:22} {value if name in public else '(hidden, see --export)'}")


def _public(names: Iterable[str]) -> set[str]:
    """Return the keys whose values people may see."""
    if set(names) <= set(KEYS):
        return set(PUBLIC)
    # Only the parts' own files know other keys; importing them takes as long as the rest of the command.
    from vellum.components import team_components

    return {bound.name for part in team_components().values() for bound in part.binds if bound.public}
