"""``vellum delete``."""

from __future__ import annotations

import time

import click

from vellum.cli import options
from vellum.errors import LaptopError, UsageError
from vellum.laptop.client import Client
from vellum.laptop.state import State, default_root


@click.command()
@options.team_argument(required=True)
@click.option("--timeout", default=60.0, show_default=True, metavar="SECONDS", help="How long to wait.")
def command(team: str, timeout: float) -> None:
    """Delete.

    Everything composed for the team goes, then the claim. The bucket and the vectors stay when the claim's
    deletionPolicy is Retain, and come back with a claim of the same name.
    """
    namespace, _, name = team.rpartition("/")
    client = Client(State(default_root()))
    if not client.ask("delete", namespace=namespace or "default", name=name):
        known = ", ".join(options.teams()) or "none"
        raise UsageError(
            "VEL704", f"there is no claim {team!r}", where="this installation", fix=f"known: {known}"
        )
    deadline = time.monotonic() + timeout
    while f"{namespace or 'default'}/{name}" in options.teams():
        if time.monotonic() > deadline:
            raise LaptopError(
                "VEL411",
                f"{team} is still being deleted",
                where="this installation",
                fix="see `vellum status`",
            )
        time.sleep(0.1)
    click.echo(f"{team} is gone.", err=True)
