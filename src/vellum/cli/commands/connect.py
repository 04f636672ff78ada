"""``vellum connect``."""

from __future__ import annotations

import json
import shlex

import click

from vellum.cli import options, teams
from vellum.connect.binding import PUBLIC
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
        from vellum.components import team_components

        parts = team_components().values()
        shown = {*PUBLIC, *(bound.name for part in parts for bound in part.binds if bound.public)}
        for name, value in values.items():
            click.echo(f"{name:22} {value if name in shown else '(hidden, see --export)'}")
