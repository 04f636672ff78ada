"""``vellum explain``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from vellum.api import schema
from vellum.cli import places
from vellum.errors import UsageError

GRAPH = "platform"
"""The word that asks for the platform as it is, and not for a field."""


@click.command()
@click.argument("path", default="MLOpsPlatform.spec")
@places.kubeconfig
@click.option(
    "-o", "--output", type=click.Choice(["text", "json", "svg"]), default="text", help="How data is printed."
)
def command(path: str, kubeconfig: Path | None, output: str) -> None:
    """Explain.

    PATH is a field such as spec.notebooks, MLOpsPlatform.spec.size or KubeflowPlatform.spec.gateway; or the word
    platform: its parts, what each waits for, since when, and who acts next, also as a picture.
    """
    if path == GRAPH:
        click.echo(_platform(kubeconfig, output))
        return
    if output == "svg" or kubeconfig:
        what = "a field is explained in words, and is the same everywhere"
        raise UsageError("VEL711", what, where=path, fix=f"vellum explain {GRAPH} --output svg")
    field = schema.explain(path)
    click.echo(json.dumps(field.as_dict()) if output == "json" else field.text())


def _platform(config: Path | None, output: str) -> str:
    from vellum.reports import platform as report

    found = places.platform(places.at(config))
    parts = report.nodes(found)
    if output == "svg":
        return report.svg(parts)
    broken, stopped = report.breaker(found), places.stopped(found)
    if output == "json":
        return json.dumps(
            {"parts": [part.as_dict() for part in parts], "stopped": stopped, "breaker": broken}
        )
    news = f"Not composed any more, so the table is of before: {stopped}" if stopped else ""
    return "\n".join(filter(None, [news, report.text(parts, datetime.now(UTC)), broken]))
