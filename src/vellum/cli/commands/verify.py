"""``vellum verify``."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vellum.cli import options, places
from vellum.errors import UsageError
from vellum.kube.objects import Obj

if TYPE_CHECKING:
    from vellum.cluster.drills import Done

NOT_REPAIRED = 3
DEFAULT = ("kserve",)
POLL_SECONDS = 0.05


@click.group()
def command() -> None:
    """Verify.

    What is promised is tried out on the running platform.
    """


@command.command()
@places.kubeconfig
@click.option(
    "--release", "releases", multiple=True, metavar="NAME", help="A Helm release to break; again for more."
)
@click.option(
    "--timeout", default=60.0, show_default=True, metavar="SECONDS", help="How long one repair may take."
)
@click.option("--yes", is_flag=True, help="Do not ask before something is broken.")
@options.output
def repair(
    *, kubeconfig: Path | None, releases: tuple[str, ...], timeout: float, yes: bool, output: str
) -> None:
    """Delete and edit things on purpose, and show how long each was away.

    On this machine every process is killed once. With --kubeconfig objects of the Helm releases are deleted, scaled to
    nothing and edited. Ends with 3 when something does not come back in time.
    """
    found = places.platform(kubeconfig)
    _agreed(kubeconfig, yes=yes)
    done: list[Obj] = []
    rows = _on_a_cluster(kubeconfig, found, releases, timeout) if kubeconfig else _here(timeout)
    for row in rows:
        done.append(row)
        if output == "text":
            click.echo(f"{_away(row):>14}  {row['object']} {row['what']}{_taken(row)}")
    if output == "json":
        click.echo(json.dumps({"repairs": done}))
    if any(row["seconds"] is None for row in done):
        sys.exit(NOT_REPAIRED)


def _away(row: Obj) -> str:
    return "not back" if row["seconds"] is None else f"back in {row['seconds']:.1f} s"


def _taken(row: Obj) -> str:
    return f" ({row['revisions']} Helm revision{'s' * (row['revisions'] != 1)})" if "revisions" in row else ""


def _agreed(config: Path | None, *, yes: bool) -> None:
    where = str(config) if config else "this machine"
    if yes:
        return
    if not sys.stdin.isatty():
        what = "things are broken on purpose, and nobody is there to be asked"
        raise UsageError("VEL712", what, where=where, fix="say --yes")
    click.confirm(f"Parts of the platform on {where} are stopped for seconds. Go on?", abort=True, err=True)


def _on_a_cluster(config: Path, found: Obj, asked: tuple[str, ...], timeout: float) -> Iterator[Obj]:
    from vellum.cluster import drills
    from vellum.cluster.api import Api

    known = [
        part["name"] for part in (found.get("status") or {}).get("components") or () if "version" in part
    ]
    for name in asked:
        if name not in known:
            what = f"the platform has no Helm release {name[:64]!r}"
            raise UsageError("VEL713", what, where=str(config), fix=f"known: {', '.join(known) or 'none'}")
    api = Api(config)
    for drill in drills.drills(api, list(asked or DEFAULT)):
        _say(f"{drill.key} is {drill.what}")
        done: Done = drills.run(api, drill, timeout)
        yield done.as_dict()


def _here(timeout: float) -> Iterator[Obj]:
    from vellum.laptop.client import Client

    client = Client(options.state())
    for process in client.ask("processes"):
        if not process["pid"]:
            continue
        _say(f"{process['name']} is killed (pid {process['pid']})")
        began = time.monotonic()
        os.kill(process["pid"], signal.SIGKILL)
        seconds = _answers_again(client, process, began, timeout)
        yield {"object": f"process {process['name']}", "what": "killed", "seconds": seconds}


def _answers_again(client: Any, before: Obj, began: float, timeout: float) -> float | None:  # noqa: ANN401  # imported late
    while time.monotonic() - began < timeout:
        for process in client.ask("processes"):
            if (
                process["name"] == before["name"]
                and process["ready"]
                and process["pid"] not in (0, before["pid"])
            ):
                return round(time.monotonic() - began, 1)
        time.sleep(POLL_SECONDS)
    return None


def _say(words: str) -> None:
    click.echo(words, err=True)
