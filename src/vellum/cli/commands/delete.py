"""``vellum delete``."""

from __future__ import annotations

import time

import click

from vellum.cli import options
from vellum.errors import LaptopError
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
    client = Client(State(default_root()))
    claims = _uids(client)
    claim = options.one_team(team, list(claims))
    namespace, _, name = claim.rpartition("/")
    client.ask("delete", namespace=namespace, name=name)
    deadline = time.monotonic() + timeout
    # The uid, not the name: another claim of that name may be waiting for this one's end.
    while _uids(client).get(claim) == claims[claim]:
        if time.monotonic() > deadline:
            raise LaptopError(
                "VEL411",
                f"{claim} is still being deleted",
                where="this installation",
                fix="see `vellum status`",
            )
        time.sleep(0.1)
    click.echo(f"{claim} is gone.", err=True)


def _uids(client: Client) -> dict[str, str]:
    """Return the uid of every claim, by ``namespace/name``."""
    found = (obj["metadata"] for obj in client.ask("list", kinds=options.CLAIMS))
    return {f"{meta['namespace']}/{meta['name']}": meta["uid"] for meta in found}
