"""``vellum explain``."""

from __future__ import annotations

import json

import click

from vellum.api import schema
from vellum.cli import options


@click.command()
@click.argument("path", default="MLOpsPlatform.spec")
@options.output
def command(path: str, output: str) -> None:
    """Explain.

    PATH is a field such as spec.notebooks, MLOpsPlatform.spec.size or KubeflowPlatform.spec.gateway.
    """
    field = schema.explain(path)
    if output == "json":
        click.echo(json.dumps(field.as_dict()))
        return
    click.echo(field.text())
