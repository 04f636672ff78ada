"""``vellum package``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vellum.cli import options

NAMES = ("function-vellum", "workloads", "notebook", "qdrant")
_LAYOUT = "vellum-images"


@click.group()
def command() -> None:
    """Package.

    Build what a cluster pulls, and push it to your registry.
    """


_layout = click.option(
    "--layout",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(_LAYOUT),
    show_default=True,
    help="The folder of the images, an OCI image layout.",
)


@command.command()
@click.option(
    "--base", metavar="IMAGE|FOLDER", default="", help="The base image, or a folder with an OCI layout of it."
)
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    type=click.Choice(["linux/amd64", "linux/arm64"]),
    help="Build only this one; you may repeat it.",
)
@click.option(
    "--image", "images", multiple=True, type=click.Choice(NAMES), help="Build only this one; you may repeat it."
)
@_layout
@options.output
def build(*, base: str, platforms: tuple[str, ...], images: tuple[str, ...], layout: Path, output: str) -> None:
    """Build the images, Crossplane's function and the charts into a folder, without Docker.

    The same version on the same base gives the same bytes.
    """
    from vellum.oci.layout import Layout
    from vellum.package import base as bases
    from vellum.package import build as builder
    from vellum.package.recipes import RECIPES

    source = bases.local(Path(base).expanduser())
    architectures = tuple(one.removeprefix("linux/") for one in platforms) or ("amd64", "arm64")
    recipes = tuple(one for one in RECIPES if not images or one.name in images)
    request = builder.Request(source, architectures, recipes, _cache())
    with options.writing(layout):
        builder.build(Layout.create(layout), request, lambda what: click.echo(f"building {what}", err=True))
    _show(layout, output)


@command.command("list")
@_layout
@options.output
def listed(*, layout: Path, output: str) -> None:
    """List the images and charts in the folder, with digests and sizes."""
    _show(layout, output)


def _show(folder: Path, output: str) -> None:
    from vellum.oci.layout import Layout
    from vellum.package.listing import contents
    from vellum.reports import table

    found = contents(Layout.existing(folder))
    if output == "json":
        click.echo(json.dumps({"images": [one.as_dict() for one in found]}))
        return
    rows = [(one.name, one.kind, ", ".join(one.platforms), one.megabytes, one.digest) for one in found]
    click.echo("\n".join(table.lines(("NAME", "KIND", "PLATFORMS", "MB", "DIGEST"), rows)))


def _cache() -> Path:
    """Return the folder of downloads; removing it costs only time."""
    import os

    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "vellum/package"


@command.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def charts(folder: Path) -> None:
    """Write Vellum's own charts to FOLDER, as `helm push` takes them.

    After the push, name the registry in the platform's spec.charts.own. The same version gives the same bytes.
    """
    from vellum.package.charts import archives

    with options.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, archive in archives().items():
            (folder / name).write_bytes(archive)
            click.echo(folder / name)
    click.echo("Next: helm push FILE oci://REGISTRY/PATH, then spec.charts.own: oci://REGISTRY/PATH", err=True)
