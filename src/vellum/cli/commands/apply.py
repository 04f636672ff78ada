"""``vellum apply``."""

from __future__ import annotations

import json

import click

from vellum.cli import claims, options, teams, watching
from vellum.connect.installation import state_root
from vellum.host.client import Client
from vellum.host.inside import refuse
from vellum.host.state import State
from vellum.kube.objects import Obj
from vellum.model.platform import PLATFORM
from vellum.model.team import CLAIM

_OUTSIDE = (PLATFORM.kind, CLAIM.kind)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@teams.team_option
@options.output
def command(files: tuple[str, ...], team: str | None, output: str) -> None:
    """Store.

    FILES are claims and the platform, or what a team makes itself: TrainJobs, and InferenceServices of its models.
    The workloads go into their metadata.namespace, or into that of --team if they do not have one.

    All files are checked before the first is stored. `vellum status` shows the progress.
    """
    client = Client(State(state_root()))
    manifests = claims.to_apply(files, teams.known_namespace(team))
    if any(obj["kind"] in _OUTSIDE for obj in manifests):
        # A notebook may apply a team's workloads, but a claim can end the notebooks of any team.
        refuse("apply")
    stored = client.ask("apply", manifests=teams.with_namespaces(manifests, team, client))
    if output == "json":
        click.echo(json.dumps(stored))
        return
    for obj in stored:
        click.echo(f"{_called(obj)}: stored (generation {obj['metadata']['generation']})")


def _called(obj: Obj) -> str:
    if obj["kind"] in _OUTSIDE:
        return watching.owner(obj)
    return f"{obj['kind']} {obj['metadata']['name']}"
