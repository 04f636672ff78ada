"""``vellum render``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vellum.cli import claims, options


@click.command()
@click.argument("files", nargs=-1, type=click.Path(allow_dash=True))
@click.option(
    "--output",
    "-o",
    metavar="DIR|json",
    help="Write files for git to DIR, or print JSON; else YAML is printed.",
)
@click.option("--prune", is_flag=True, help="Remove files of an earlier time that nothing renders now.")
@options.function_package
@click.option(
    "--gitops",
    type=click.Choice(["argocd", "flux"]),
    help="Add what this tool needs to apply the tree in its order.",
)
@click.option(
    "--repository", metavar="URL", default="", help="With --gitops: where the tree will lie in git."
)
@click.option("--branch", metavar="NAME", default="", help="With --gitops: the branch.")
@click.option("--path", metavar="FOLDER", default="", help="With --gitops: DIR from the repository's root.")
@click.option("--secret", metavar="NAME", default="", help="With --gitops flux: the Secret that opens it.")
def command(
    files: tuple[str, ...], *, output: str | None, function: str, gitops: str | None, prune: bool, **git: str
) -> None:
    """Render.

    FILES are the platform and claims. What is written is everything that Crossplane needs, in the order in which it is
    applied, without a secret. Rendering again changes only what changed. --prune removes what it wrote for FILES
    that are not named any more: where git prunes too, such a team goes, and with the platform's file go all of them.
    With --gitops nothing of a cluster goes because a file does.
    """
    from vellum.package import gitops as tools
    from vellum.package import tree

    where = tools.source(**git) if gitops else None
    found = tree.tree(claims.on_a_cluster(files), function)
    if gitops and where:
        found = tools.told(gitops, found, where)
    if output == "json":
        click.echo(json.dumps(found))
    elif output:
        with options.writing(Path(output)):
            written = tree.write(Path(output), found, prune=prune)
        click.echo(f"{len(found)} files in {output}, {len(written.changed)} changed", err=True)
        for kept in written.kept:
            click.echo(f"kept: {kept}, which nothing renders now; --prune removes it", err=True)
    else:
        for name, objects in found.items():
            click.echo(f"# {name}\n{tree.text(objects)}", nl=False)
    if not function:
        click.echo("The function itself is left out: name its package by --function.", err=True)
