"""``vellum up``."""

from __future__ import annotations

import json
import sys
import time

import click

from vellum.cli import claims, options, watching
from vellum.errors import LaptopError, StoreError, UsageError
from vellum.host import limits, start
from vellum.host.client import Client, known
from vellum.host.state import State
from vellum.kube.objects import Obj, status_of
from vellum.laptop import bytecode
from vellum.model.platform import PLATFORM

NOT_READY = 3
NOT_STORED = "VEL303"
GOING = "VEL304"
"""An earlier object of that name is still being deleted; the deletion needs no help."""


@click.command()
@click.argument("files", nargs=-1, type=click.Path(allow_dash=True))
@options.timeout(180)
@options.output
def command(files: tuple[str, ...], timeout: float, output: str) -> None:
    """Start.

    FILES are claims (kind MLOpsPlatform) and, optionally, the platform (kind KubeflowPlatform); folders and "-" work
    too. Without FILES everything that ran earlier starts again. Running it twice changes nothing.
    """
    manifests = claims.on_a_laptop(files)
    state = options.state()
    if not files and not (state.root / "teams.json").exists():
        raise UsageError(
            "VEL702",
            "this installation does not have a claim yet",
            where=str(state.root),
            fix="vellum up examples/01-team/claim.yaml",
        )
    if not Client(state).alive():
        limits.check()
    if packages := bytecode.missing():
        click.echo(f"Compiling Python once for quick starts: {', '.join(packages)} ...", err=True)
        bytecode.make(packages)
    try:
        _started(state, manifests, timeout, output)
    except KeyboardInterrupt:
        hint = "The supervisor may continue. `vellum status` shows it, and `vellum down` stops it."
        click.echo(hint, err=True)
        raise


def _started(state: State, manifests: list[Obj], timeout: float, output: str) -> None:
    start.start(state, "vellum.laptop.daemon", talk=lambda note: click.echo(f"note: {note}", err=True))
    client = Client(state)
    try:
        _apply(client, manifests, timeout)
    except StoreError as error:
        if error.code == NOT_STORED:
            _halt(client.ask("troubles"), [])
        raise
    objects = watching.until_ready(
        lambda: client.ask("list"), timeout, quiet=output == "json", halted=lambda: bool(client.ask("troubles"))
    )
    _halt(client.ask("troubles"), objects)
    _finish(objects, output)


def _halt(troubles: list[Obj], objects: list[Obj]) -> None:
    """Print which parts wait because of an error of the whole installation, and raise the first error.

    Raises:
        VellumError: the installation has an error.
    """
    for trouble in troubles:
        for row in watching.rows(objects):
            if not row.ready:
                click.echo(f"{row.owner}: {row.part} is not ready: {row.reason}", err=True)
        raise known(trouble)


def _apply(client: Client, manifests: list[Obj], seconds: float) -> None:
    """Store the manifests; one whose predecessor of the same name is still being deleted waits for it."""
    deadline, shown = time.monotonic() + seconds, ""
    while True:
        try:
            client.ask("apply", manifests=manifests)
        except StoreError as error:
            if error.code != GOING or time.monotonic() > deadline:
                raise
            if error.what != shown:
                click.echo(f"Waiting: {error.what}", err=True)
            shown = error.what
            time.sleep(0.1)
        else:
            return


def _finish(objects: list[Obj], output: str) -> None:
    for obj in objects:
        if reason := watching.stuck(obj):
            raise LaptopError(
                "VEL410", reason, where=watching.owner(obj), fix="fix this cause; Vellum then continues automatically"
            )
    if output == "json":
        click.echo(json.dumps({"ready": all(map(watching.is_ready, objects)), "objects": objects}))
    else:
        _print_endpoints(objects)
    if not all(watching.is_ready(obj) for obj in objects):
        click.echo("Not everything is ready in time. The start continues; see `vellum status`.", err=True)
        sys.exit(NOT_READY)


def _print_endpoints(objects: list[Obj]) -> None:
    teams = [obj for obj in objects if obj["kind"] != PLATFORM.kind]
    for obj in teams:
        click.echo(f"\n{watching.owner(obj)}")
        for name, value in (status_of(obj).get("endpoints") or {}).items():
            click.echo(f"  {name:9} {value}")
    name = f" {watching.owner(teams[0])}" if len(teams) > 1 else ""
    team = f" -t{name}" if name else ""
    commands = (
        f"vellum ingest DIR{team}",
        f"vellum search QUESTION{team}",
        f"vellum open{team}",
        f"vellum connect{name} --export",
    )
    click.echo(f"\nNext: {', '.join(commands)}", err=True)
