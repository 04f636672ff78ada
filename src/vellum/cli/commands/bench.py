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
from vellum.errors import BenchError, UsageError, VellumError
from vellum.host.state import State
from vellum.model.platform import PLATFORM

NOT_READY = 3
NAMED = ("the bench", "vellum bench up", "each bench starts empty")


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
@click.option("--node", is_flag=True, help="Also build what `vellum bench up --node` needs.")
def build(*, node: bool) -> None:
    """Build what is missing and start nothing: 10 to 25 minutes the first time, and 15 GB of Go's caches."""
    _built(node=node)


@command.command()
@click.argument("files", nargs=-1, type=click.Path(allow_dash=True))
@click.option("--bare", is_flag=True, help="Apply nothing: the cluster before `vellum install`.")
@click.option("--node", is_flag=True, help="Run Crossplane's pods on a real kubelet. Needs root on Linux.")
@options.timeout(300)
@options.output
def up(files: tuple[str, ...], timeout: float, output: str, *, bare: bool, node: bool) -> None:
    """Build what is missing, start everything, and apply what `vellum render` makes of FILES.

    If FILES do not have a platform, a new bench gets the one of examples/bench. A running bench accepts FILES too. With
    --bare it is a cluster that has only Crossplane. With --node it is a cluster of one real node, with
    Crossplane and its Helm provider as pods.
    """
    if files and (bare or node):
        flag = "--bare" if bare else "--node"
        raise click.UsageError(f"{flag} applies nothing: leave out FILES, or leave out {flag}")
    if node:
        _up_with_node(timeout, output)
        return
    from vellum.bench import packages, programs
    from vellum.host import start
    from vellum.host.client import Client
    from vellum.package import tree

    manifests = claims.on_a_cluster(files)
    state = _benchs_own()
    programs.ensure(_say)
    client = Client(state, *NAMED)
    runs = _runs(client, state, node=False)
    if files or not runs:
        if not runs and not bare and not any(manifest["kind"] == PLATFORM.kind for manifest in manifests):
            manifests += claims.manifests((str(programs.ROOT / "examples/bench/platform.yaml"),))
        folder = state.root / "tree"
        tree.write(folder, {} if bare else tree.tree(manifests, packages.FUNCTION_PACKAGE), prune=True)
        if not start.start(state, "vellum.bench.daemon", str(folder), stop="vellum bench down"):
            client.ask("install")
    _finish(_until_ready(client, timeout, quiet=output == "json"), output)


def _up_with_node(timeout: float, output: str) -> None:
    from vellum.bench.node import support

    # First, because a build of many minutes would be useless on a machine that cannot run a node.
    support.check()
    from vellum.host import start
    from vellum.host.client import Client

    state = _benchs_own()
    _built(node=True)
    client = Client(state, *NAMED)
    if not _runs(client, state, node=True):
        start.start(state, "vellum.bench.daemon", "--node", stop="vellum bench down")
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
    from vellum.bench.node import cgroups
    from vellum.host import start

    state = _benchs_own()
    stopped = start.stop(state)
    cgroups.remove(state.root)
    state.delete()
    click.echo("Stopped." if stopped else "Nothing was running.", err=True)


def _benchs_own() -> State:
    state = options.state()
    if (state.root / "store.db").exists():
        what = "this folder is a laptop's installation, and `vellum bench down` would remove it"
        raise UsageError("VEL709", what, where=str(state.root), fix="name another folder in VELLUM_BENCH")
    return state


def _built(*, node: bool) -> None:
    from vellum.bench import programs
    from vellum.bench.node import images

    built = programs.ensure(_say, programs.NODE if node else ())
    if node:
        images.ensure(built)


def _runs(client: Any, state: State, *, node: bool) -> bool:  # noqa: ANN401  # imported late
    """Return whether a bench of this kind runs.

    Raises:
        BenchError: one of the other kind runs (VEL909).
    """
    if not client.alive():
        return False
    if client.ask("status")["node"] != node:
        what = "the running bench does not have a node" if node else "the running bench has a node, so leave out FILES"
        raise BenchError("VEL909", what, where=str(state.root), fix="run `vellum bench down` first")
    return True


def _say(words: str) -> None:
    click.echo(words, err=True)


def _until_ready(client: Any, seconds: float, *, quiet: bool) -> dict[str, Any]:  # noqa: ANN401  # imported late
    deadline, shown = time.monotonic() + seconds, 0
    while True:
        answer: dict[str, Any] = client.ask("status")
        for what, at in answer["steps"][shown:]:
            if not quiet:
                click.echo(f"{at:5.1f} s  {what}", err=True)
        shown = len(answer["steps"])
        if answer["ready"] or answer["error"] or time.monotonic() > deadline:
            return answer
        time.sleep(0.1)


def _finish(answer: dict[str, Any], output: str) -> None:
    if error := answer["error"]:
        raise VellumError(error["code"], error["what"], where=error["where"], fix=error["fix"])
    if output == "json":
        click.echo(json.dumps(answer))
    else:
        for process in answer["processes"]:
            state = "ready" if process["ready"] else process["message"]
            click.echo(f"{process['name']}: {state} (pid {process['pid']})")
        if answer["s3"]:
            click.echo(f"S3 (s3.vellum-storage.svc in the objects): {answer['s3']}")
        click.echo(f"export KUBECONFIG={shlex.quote(answer['kubeconfig'])}")
        click.echo(f"export PATH={shlex.quote(str(Path(answer['kubectl']).parent))}:$PATH")
    if not answer["ready"]:
        sys.exit(NOT_READY)
