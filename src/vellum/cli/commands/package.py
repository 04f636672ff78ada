"""``vellum package``."""

from __future__ import annotations

from pathlib import Path

import click

from vellum.cli import options


@click.group()
def command() -> None:
    """Package.

    Write the files that a cluster pulls from your registry.
    """


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
