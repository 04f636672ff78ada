"""``vellum delete``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import click

from vellum.cli import asking, claims, options, teams
from vellum.connect.installation import state_root
from vellum.errors import LaptopError
from vellum.host.client import Client
from vellum.host.inside import refuse
from vellum.host.state import State
from vellum.kube.objects import Key, Kind
from vellum.model.team import CLAIM


@click.command()
@teams.either
@click.option(
    "--file",
    "-f",
    "files",
    multiple=True,
    type=click.Path(allow_dash=True),
    metavar="FILE",
    help="Delete the TrainJobs and InferenceServices of a file instead; TEAM is then their team.",
)
@options.timeout(60)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def command(team: str | None, files: tuple[str, ...], timeout: float, *, yes: bool) -> None:
    """Delete.

    The command prints what it removes and what it keeps, and asks. Without a terminal it needs --yes.

    It deletes everything composed for the team, then the claim. The bucket, the vectors and the notebook's home stay if
    the claim's deletionPolicy is Retain, and a claim of the same name gets them back.

    For a TrainJob it ends the processes and removes the folder; what the job stored in the bucket stays.
    """
    if not files:
        # A notebook may delete the workloads that it applied, but not the team in which it runs.
        refuse("delete")
    client = Client(State(state_root()))
    if files:
        _made(client, files, team, timeout, yes=yes)
    elif team:
        _team(client, team, timeout, yes=yes)
    else:
        raise click.UsageError("Missing argument 'TEAM', or option '--file'.")


def _team(client: Client, team: str, seconds: float, *, yes: bool) -> None:
    claims = teams.by_name(client.ask("list", kinds=[CLAIM]))
    claim = teams.one_team(team, list(claims))
    asking.tell(asking.of_a_team(claims[claim], client.ask("list", kinds=teams.MADE)))
    asking.agree(f"Delete the team {claim}?", f"the team {claim} would be deleted", yes=yes)
    namespace, _, name = claim.rpartition("/")
    client.ask("delete", namespace=namespace, name=name)
    uid = claims[claim]["metadata"]["uid"]
    # By uid, not by name: another claim of that name may be waiting until this one is deleted.
    _until(lambda: _uids(client, [CLAIM]).get(claim) != uid, claim, seconds)


def _made(client: Client, files: tuple[str, ...], team: str | None, seconds: float, *, yes: bool) -> None:
    """Delete a team's workloads; an object that does not exist counts as deleted."""
    manifests = claims.only_workloads(files)
    there = {}
    for key in map(Key.of, teams.with_namespaces(manifests, team, client)):
        uid = _uids(client, [key.gvk]).get(f"{key.namespace}/{key.name}")
        if uid is None:
            click.echo(f"{key.kind} {key.namespace}/{key.name} was not there.", err=True)
        else:
            there[key] = uid
    if not there:
        return
    asking.tell([line for key in there for line in asking.of_a_workload(key)])
    names = ", ".join(f"{key.kind} {key.name}" for key in there)
    asking.agree(f"Delete {names}?", f"{names} would be deleted", yes=yes)
    for key, uid in there.items():
        kind, place = key.gvk, f"{key.namespace}/{key.name}"
        client.ask("remove", namespace=key.namespace, name=key.name, kind=kind)

        def is_gone(kind: Kind = kind, place: str = place, uid: str = uid) -> bool:
            """Tell whether the object with this uid is gone."""
            return _uids(client, [kind]).get(place) != uid

        _until(is_gone, f"{key.kind} {key.name}", seconds)


def _until(is_gone: Callable[[], bool], name: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_gone():
        if time.monotonic() > deadline:
            raise LaptopError(
                "VEL411", f"{name} is still being deleted", where="this installation", fix="see `vellum status`"
            )
        time.sleep(0.1)
    click.echo(f"{name} is gone.", err=True)


def _uids(client: Client, kinds: Sequence[Kind]) -> dict[str, str]:
    """Return the uid of every object of the kinds, by ``namespace/name``."""
    result = (obj["metadata"] for obj in client.ask("list", kinds=kinds))
    return {f"{meta['namespace']}/{meta['name']}": meta["uid"] for meta in result}
