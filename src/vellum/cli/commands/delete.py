"""``vellum delete``."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from vellum.cli import claims, options
from vellum.errors import LaptopError
from vellum.kube.objects import Key
from vellum.laptop.client import Client
from vellum.laptop.state import State, default_root


@click.command()
@options.team_argument(required=False)
@click.option(
    "--file",
    "-f",
    "files",
    multiple=True,
    type=click.Path(allow_dash=True),
    metavar="FILE",
    help="Instead: the TrainJobs and InferenceServices of a file; TEAM is then their team.",
)
@options.timeout(60)
def command(team: str | None, files: tuple[str, ...], timeout: float) -> None:
    """Delete.

    Everything composed for the team goes, then the claim. The bucket and the vectors stay when the claim's
    deletionPolicy is Retain, and come back with a claim of the same name.

    A TrainJob's processes end, and its folder goes; what it stored in the bucket stays.
    """
    client = Client(State(default_root()))
    if files:
        _made(client, files, team, timeout)
    elif team:
        _team(client, team, timeout)
    else:
        raise click.UsageError("Missing argument 'TEAM', or option '--file'.")


def _team(client: Client, team: str, seconds: float) -> None:
    found = _uids(client, options.CLAIMS)
    claim = options.one_team(team, list(found))
    namespace, _, name = claim.rpartition("/")
    client.ask("delete", namespace=namespace, name=name)
    # The uid, not the name: another claim of that name may be waiting for this one's end.
    _until(lambda: _uids(client, options.CLAIMS).get(claim) != found[claim], claim, seconds)


def _made(client: Client, files: tuple[str, ...], team: str | None, seconds: float) -> None:
    """Delete what a team made itself; what is not there is gone already."""
    manifests = claims.only_workloads(files)
    for manifest in options.with_namespaces(manifests, team, client):
        key = Key.of(manifest)
        kind, place = [key.api_version, key.kind], f"{key.namespace}/{key.name}"
        uid = _uids(client, [kind]).get(place)
        if uid is None:
            click.echo(f"{key.kind} {place} was not there.", err=True)
            continue
        client.ask("remove", namespace=key.namespace, name=key.name, kind=kind)

        def is_gone(kind: list[str] = kind, place: str = place, uid: str = uid) -> bool:
            return _uids(client, [kind]).get(place) != uid

        _until(is_gone, f"{key.kind} {key.name}", seconds)


def _until(is_gone: Callable[[], bool], name: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_gone():
        if time.monotonic() > deadline:
            raise LaptopError(
                "VEL411",
                f"{name} is still being deleted",
                where="this installation",
                fix="see `vellum status`",
            )
        time.sleep(0.1)
    click.echo(f"{name} is gone.", err=True)


def _uids(client: Client, kinds: list[list[str]]) -> dict[str, str]:
    """Return the uid of every object of some kinds, by ``namespace/name``."""
    found = (obj["metadata"] for obj in client.ask("list", kinds=kinds))
    return {f"{meta['namespace']}/{meta['name']}": meta["uid"] for meta in found}
