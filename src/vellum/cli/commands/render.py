"""``vellum render``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vellum.cli import claims


@click.command()
@click.argument("files", nargs=-1, type=click.Path(allow_dash=True))
@click.option(
    "--output",
    "-o",
    metavar="DIR|json",
    help="Write files for git to DIR, or print JSON; else YAML is printed.",
)
@click.option(
    "--function", metavar="IMAGE", default="", help="The function's package, with registry and digest."
)
def command(files: tuple[str, ...], output: str | None, function: str) -> None:
    """Render.

    FILES are the platform and claims. What is written is everything that Crossplane needs, in the order in which it is
    applied, without a secret. Rendering again changes only what changed, and removes only what it wrote itself.
    """
    from vellum.package import tree

    found = tree.tree(claims.manifests(files), function)
    if output == "json":
        click.echo(json.dumps(found))
    elif output:
        changed = tree.write(Path(output), found)
        click.echo(f"{len(found)} files in {output}, {len(changed)} changed", err=True)
    else:
        for path, objects in found.items():
            click.echo(f"# {path}\n{tree.text(objects)}", nl=False)
    if not function:
        click.echo("The function itself is left out: name its package by --function.", err=True)
