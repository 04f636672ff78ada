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
    uid = _uid(client, namespace or "default", name)
    if not uid:
        known = ", ".join(options.teams()) or "none"
        raise UsageError(
            "VEL704", f"there is no claim {team!r}", where="this installation", fix=f"known: {known}"
        )
    client.ask("delete", namespace=namespace or "default", name=name)
    deadline = time.monotonic() + timeout
    # The uid, not the name: another claim of that name may be waiting for this one's end.
    while _uid(client, namespace or "default", name) == uid:
        if time.monotonic() > deadline:
            raise LaptopError(
                "VEL411",
                f"{team} is still being deleted",
                where="this installation",
                fix="see `vellum status`",
            )
        time.sleep(0.1)
    click.echo(f"{team} is gone.", err=True)


def _uid(client: Client, namespace: str, name: str) -> str:
    """Return the uid of the claim, empty if there is none."""
    for obj in client.ask("list"):
        meta = obj["metadata"]
        if (meta.get("namespace"), meta["name"]) == (namespace, name):
            return str(meta["uid"])
    return ""
