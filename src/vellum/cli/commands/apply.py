"""``vellum apply``."""

from __future__ import annotations

import json

import click

from vellum.cli import claims, options, watching
from vellum.laptop.client import Client
from vellum.laptop.state import State, default_root


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@options.output
def command(files: tuple[str, ...], output: str) -> None:
    """Store.

    All files are checked before the first is stored. `vellum status` shows how far things are.
    """
    manifests = claims.on_a_laptop(files)
    stored = Client(State(default_root())).ask("apply", manifests=manifests)
    if output == "json":
        click.echo(json.dumps(stored))
        return
    for obj in stored:
        click.echo(f"{watching.owner(obj)}: stored (generation {obj['metadata']['generation']})")
