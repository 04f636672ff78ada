"""``vellum bench``."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import click

from vellum.cli import claims, options
from vellum.errors import UsageError, VellumError
from vellum.host.state import State
from vellum.model.platform import PLATFORM

NOT_READY = 3
NAMED = ("the bench", "vellum bench up", "each bench starts empty")
FUNCTION = "bench.invalid/function-vellum:v0"
"""The function's package in the rendered tree; the bench runs it from this checkout and does not pull it."""


@click.group()
def command() -> None:
    """Run.

    The real Crossplane, kube-apiserver, scheduler and controllers as processes of this machine, with the function from
    this checkout, for looking around with kubectl. Its first start builds the programs from source.
    """
    os.environ["VELLUM_STATE"] = str(root())


def root() -> Path:
    """Return the bench's own state directory."""
    if asked := os.environ.get("VELLUM_BENCH"):
        return Path(asked).absolute()
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "vellum-bench"


@command.command()
def build() -> None:
    """Build what is missing and start nothing: 10 to 25 minutes the first time, and 15 GB of Go's caches."""
    from vellum.bench import programs

    programs.ensure(_say)


@command.command()
@click.argument("files", nargs=-1, type=click.Path(allow_dash=True))
@click.option("--bare", is_flag=True, help="Apply nothing: the cluster before `vellum install`.")
@options.timeout(300)
@options.output
def up(files: tuple[str, ...], timeout: float, output: str, *, bare: bool) -> None:
    """Build what is missing, start everything, and apply what `vellum render` makes of FILES.

    If FILES do not have a platform, a new bench gets the one of examples/bench. A running bench accepts FILES too. With
    --bare it is a cluster that has only Crossplane.
    """
    from vellum.bench import programs
    from vellum.host import start
    from vellum.host.client import Client
    from vellum.package import tree

    if files and bare:
        raise click.UsageError("--bare applies nothing: leave out FILES, or leave out --bare")
    manifests = claims.on_a_cluster(files)
    state = _benchs_own()
    programs.ensure(_say)
    client = Client(state, *NAMED)
    runs = client.alive()
    if files or not runs:
        if not runs and not bare and not any(one["kind"] == PLATFORM.kind for one in manifests):
            manifests += claims.manifests((str(programs.ROOT / "examples/bench/platform.yaml"),))
        folder = state.root / "tree"
        tree.write(folder, {} if bare else tree.tree(manifests, FUNCTION), prune=True)
        if not start.start(state, "vellum.bench.daemon", str(folder), stop="vellum bench down"):
            client.ask("install")
    _finish(_until_ready(client, timeout, quiet=output == "json"), output)


@command.command()
@options.output
def status(output: str) -> None:
    """Show what runs, and how to use it."""
    from vellum.connect.installation import state_root
    from vellum.host.client import Client
    from vellum.host.state import State

    _finish(Client(State(state_root()), *NAMED).ask("status"), output)


@command.command()
def down() -> None:
    """Stop everything and remove its data: each bench starts empty."""
    from vellum.host import start

    state = _benchs_own()
    stopped = start.stop(state)
    state.delete()
    click.echo("Stopped." if stopped else "Nothing was running.", err=True)


def _benchs_own() -> State:
    state = options.state()
    if (state.root / "store.db").exists():
        what = "this folder is a laptop's installation, and `vellum bench down` would remove it"
        raise UsageError("VEL709", what, where=str(state.root), fix="name another folder in VELLUM_BENCH")
    return state


def _say(words: str) -> None:
    click.echo(words, err=True)


def _until_ready(client: Any, seconds: float, *, quiet: bool) -> dict[str, Any]:  # noqa: ANN401  # imported late
    deadline, shown = time.monotonic() + seconds, 0
    while True:
        found: dict[str, Any] = client.ask("status")
        for what, at in found["steps"][shown:]:
            if not quiet:
                click.echo(f"{at:5.1f} s  {what}", err=True)
        shown = len(found["steps"])
        if found["ready"] or found["error"] or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def _finish(found: dict[str, Any], output: str) -> None:
    if error := found["error"]:
        raise VellumError(error["code"], error["what"], where=error["where"], fix=error["fix"])
    if output == "json":
        click.echo(json.dumps(found))
    else:
        for process in found["processes"]:
            state = "ready" if process["ready"] else process["message"]
            click.echo(f"{process['name']}: {state} (pid {process['pid']})")
        click.echo(f"S3 (s3.vellum-storage.svc in the objects): {found['s3']}")
        click.echo(f"export KUBECONFIG={shlex.quote(found['kubeconfig'])}")
        click.echo(f"export PATH={shlex.quote(str(Path(found['kubectl']).parent))}:$PATH")
    if not found["ready"]:
        sys.exit(NOT_READY)
