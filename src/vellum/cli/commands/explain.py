"""``vellum explain``."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import click

from vellum.api import schema
from vellum.cli import catalogue, targets, teams
from vellum.errors import UsageError
from vellum.kube.objects import Obj
from vellum.model.team import CLAIM

_TEAM = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(/[a-z0-9]([-a-z0-9]*[a-z0-9])?)?")
"""The form of a team's name. A path has a dot, or is a word of ``_ROOTS``."""
_ROOTS = ("spec", "metadata", "mlopsplatform", "kubeflowplatform", "trainjob", "inferenceservice")
GRAPH = "platform"
"""The word for the platform's state instead of a field."""


@click.command()
@click.argument("path", default="MLOpsPlatform.spec", metavar="PATH|TEAM|CODE", shell_complete=teams.complete_team)
@targets.kubeconfig
@click.option("-o", "--output", type=click.Choice(["text", "json", "svg"]), default="text", help="How data is printed.")
def command(path: str, kubeconfig: Path | None, output: str) -> None:
    """Explain.

    PATH is a field such as size, KubeflowPlatform.spec.gateway or TrainJob.spec.trainer; or the word
    platform: its parts, what each waits for, since when, and who acts next, also as a picture.

    TEAM is NAME or NAMESPACE/NAME of a claim: its parts, its addresses, and what deleting it removes.

    CODE is an error code, such as VEL402: what it means and what to do.
    """
    if catalogue.CODE.fullmatch(path):
        page = catalogue.page(path)
        click.echo(json.dumps(page.as_dict()) if output == "json" else str(page))
        return
    if path == GRAPH:
        click.echo(_platform(kubeconfig, output))
        return
    if path not in _names() and schema.node_at(CLAIM.kind, ("spec", path)):
        path = f"spec.{path}"
    if _TEAM.fullmatch(path) and path not in _ROOTS and output != "svg":
        click.echo(_team(path, kubeconfig, output))
        return
    if output == "svg" or kubeconfig:
        what = "a field is explained in words, and is the same everywhere"
        raise UsageError("VEL711", what, where=path, fix=f"vellum explain {GRAPH} --output svg")
    field = schema.explain(path)
    click.echo(json.dumps(field.as_dict()) if output == "json" else field.text())


def _names() -> list[str]:
    """Return the names of the known teams. They have the same form as a field of a claim's spec, such as size."""
    return [claim.rpartition("/")[2] for claim in teams.known()]


def _team(name: str, config: Path | None, output: str) -> str:
    from vellum.reports import team as report

    target = targets.at(config)
    claim = teams.claim_of(name, target.claims())
    spec: Obj = next((composite.get("spec") or {} for composite in target.composites()), {})
    external = (spec.get("objectStore") or {}).get("backend") == "external"
    result = report.fates(claim, laptop=config is None, external=external)
    if output == "json":
        fates = [item.as_dict() for item in result]
        return json.dumps({"claim": claim, "parts": report.parts(claim), "deletion": fates})
    return report.text(claim, result)


def _platform(config: Path | None, output: str) -> str:
    from vellum.reports import platform as report

    result = targets.platform(targets.at(config))
    parts = report.nodes(result)
    if output == "svg":
        return report.svg(parts)
    broken, stopped = report.breaker(result), targets.stopped(result)
    if output == "json":
        return json.dumps({"parts": [part.as_dict() for part in parts], "stopped": stopped, "breaker": broken})
    news = f"The platform is not composed any more, so the table is stale: {stopped}" if stopped else ""
    return "\n".join(filter(None, [news, report.text(parts, datetime.now(UTC)), broken]))
