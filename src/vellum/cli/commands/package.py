"""``vellum package``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vellum.cli import options

if TYPE_CHECKING:
    from vellum.package.base import Source

NAMES = ("function-vellum", "workloads", "notebook", "qdrant-stand-in")
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
    from vellum.package import build as builder
    from vellum.package.recipes import ARCHITECTURES, RECIPES

    architectures = tuple(platform.removeprefix("linux/") for platform in platforms) or ARCHITECTURES
    source = _base(base, architectures)
    recipes = tuple(recipe for recipe in RECIPES if not images or recipe.name in images)
    request = builder.Request(source, architectures, recipes, _cache())
    with options.writing(layout):
        builder.build(Layout.create(layout), request, lambda what: click.echo(f"building {what}", err=True))
    _show(layout, output)


@command.command("list")
@_layout
@options.output
def listed(*, layout: Path, output: str) -> None:
    """List the images and charts in the folder, with digests and sizes; without a folder, what a build creates."""
    _show(layout, output)


def _base(text: str, architectures: tuple[str, ...]) -> Source:
    """Return the base image that an option, the lock or the default names."""
    from vellum.oci.reference import parsed
    from vellum.package import base as bases
    from vellum.package import pushed

    if text.startswith(("/", ".", "~")) or (Path(text or "/").is_dir() and text):
        return bases.local(Path(text).expanduser())
    lock = Path(pushed.LOCK)
    locked = pushed.read(lock).base if not text and lock.exists() else ""
    # A base from a folder has only a digest, and a registry may not have it.
    name = text or ("" if locked.startswith("sha256:") else locked) or bases.DEFAULT
    return bases.pulled(parsed(name), architectures, _cache())


@command.command()
@click.argument("registry")
@_layout
@click.option("--plain-http", is_flag=True, help="Use HTTP. Vellum refuses it for public addresses.")
@options.output
def push(*, registry: str, layout: Path, plain_http: bool, output: str) -> None:
    """Push everything in the folder to REGISTRY, which is HOST or HOST/PATH, and write vellum-images.lock.

    The command uses the login of `docker login`. An interrupted push continues where it stopped.
    """
    from vellum.oci.credentials import of_docker
    from vellum.oci.layout import Layout
    from vellum.oci.reference import is_loopback, place
    from vellum.oci.registry import Registry
    from vellum.package import pushed

    host, path = place(registry)
    to = Registry(host, of_docker(host), plain=plain_http or is_loopback(host))
    lock = pushed.push(Layout.existing(layout), to, path, lambda what: click.echo(what, err=True))
    with options.writing(Path.cwd()):
        Path(pushed.LOCK).write_text(lock.text(), encoding="utf-8")
    if output == "json":
        click.echo(json.dumps(lock.model_dump()))
        return
    for name, reference in sorted({**lock.images, **lock.packages}.items()):
        click.echo(f"{name}: {reference}")
    for name, version in sorted(lock.charts.items()):
        click.echo(f"{name}: oci://{lock.registry}/charts/{name} {version}")


def _show(folder: Path, output: str) -> None:
    from vellum.oci.layout import Layout
    from vellum.package.listing import contents, planned
    from vellum.reports import table

    listed = contents(Layout.existing(folder)) if folder.exists() else planned()
    if output == "json":
        click.echo(json.dumps({"images": [item.as_dict() for item in listed]}))
        return
    rows = [(item.name, item.kind, ", ".join(item.platforms), item.megabytes, item.digest) for item in listed]
    click.echo("\n".join(table.lines(("NAME", "KIND", "PLATFORMS", "MB", "DIGEST"), rows)))


def _cache() -> Path:
    """Return the folder of downloads; removing it costs only time."""
    import os

    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "vellum/package"
