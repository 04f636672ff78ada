"""``vellum verify``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vellum.cli import options, targets
from vellum.cli.targets import Target
from vellum.errors import UsageError
from vellum.kube.objects import Obj, status_of

if TYPE_CHECKING:
    from vellum.model.drill import Drill

NOT_REPAIRED = 3
POLL_SECONDS = 0.05


@click.group()
def command() -> None:
    """Verify.

    Test the platform's promises while it runs.
    """


@command.command()
@targets.kubeconfig
@click.option("--release", "releases", multiple=True, metavar="NAME", help="A Helm release to break; may be repeated.")
@options.timeout(60, "How long one repair may take.")
@click.option("--yes", is_flag=True, help="Do not ask before breaking anything.")
@options.output
def repair(*, kubeconfig: Path | None, releases: tuple[str, ...], timeout: float, yes: bool, output: str) -> None:
    """Delete and edit things on purpose, and show how soon each is restored, with its receipt.

    On this machine the command kills every process once, and deletes and edits composed objects. With --kubeconfig it
    deletes objects of Helm releases, scales them to zero and edits them. It never touches data. Ends with 3 if
    something is not restored in time.
    """
    target = targets.at(kubeconfig)
    asked = releases or target.releases
    _known(target, asked)
    _agreed(target, yes=yes)
    done: list[Obj] = []
    over = True
    for drill in target.drills(asked):
        row, over = _tried(drill, target, timeout)
        done.append(row)
        if not over:
            # What keeps this one from coming back would keep the next one too.
            break
    click.echo(json.dumps({"repairs": done}) if output == "json" else _text(done))
    if not over:
        sys.exit(NOT_REPAIRED)


def _known(target: Target, asked: tuple[str, ...]) -> None:
    """Refuse releases that do not exist or that the guard would not repair: their damage would stay."""
    from vellum.compose.helm.guard import HEALTHY, OFF

    platform = targets.platform(target)
    if why := targets.stopped(platform):
        what = "nothing would be repaired: the platform is not composed any more"
        fix = "run `vellum explain platform`, and follow its advice"
        raise UsageError("VEL715", f"{what}: {why}", where=target.name, fix=fix)
    status = status_of(platform)
    known = [part["name"] for part in status.get("components") or () if "version" in part]
    for name in asked:
        if name not in known:
            what = f"the platform has no Helm release {name[:64]!r}"
            raise UsageError("VEL713", what, where=target.name, fix=f"known: {', '.join(known) or 'none'}")
        phase = ((status.get("guard") or {}).get(name) or {}).get("phase", OFF)
        if phase != HEALTHY:
            what = f"the release guard would not repair {name}: it is {phase} there"
            fix = "write spec.repair: enabled, and wait until `vellum explain platform` shows ready"
            raise UsageError("VEL715", what, where=target.name, fix=fix)
        if next(target.drills((name,)), None) is None:
            what = f"this command breaks nothing in {name}: no Deployment, Service, ConfigMap or custom resource"
            raise UsageError("VEL717", what, where=target.name, fix="name another release")


def _agreed(target: Target, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        what = "the command would break parts on purpose, but no terminal is attached to confirm it"
        raise UsageError("VEL712", what, where=target.name, fix="pass --yes")
    click.confirm(f"Parts of the platform on {target.name} will stop for seconds. Continue?", abort=True, err=True)


def _tried(drill: Drill, target: Target, timeout: float) -> tuple[Obj, bool]:
    """Break one thing, wait until it is restored, and find its receipt; return it, and whether all is ready again."""
    click.echo(f"{drill.object} is {drill.what} ... ", err=True, nl=False)
    before, began = targets.receipts(target), time.monotonic()
    drill.harm()
    seconds = _until(drill.whole, began, timeout)
    click.echo("not back" if seconds is None else f"back after {seconds:.2f} s", err=True)
    # Pods start after their Deployment is restored, so this has its own timeout.
    rested = _until(drill.at_rest, time.monotonic(), timeout) is not None
    if seconds is not None and not rested:
        click.echo("but not everything is ready again, so the command stops here", err=True)
    new = [
        receipt for receipt in targets.receipts(target) if receipt["object"] == drill.object and receipt not in before
    ]
    row = {"object": drill.object, "done": drill.what, "seconds": seconds, "receipt": next(iter(new), None)}
    return row, seconds is not None and rested


def _until(met: Callable[[], bool], began: float, timeout: float) -> float | None:
    while not met():
        if time.monotonic() - began > timeout:
            return None
        time.sleep(POLL_SECONDS)
    return round(time.monotonic() - began, 2)


def _text(done: list[Obj]) -> str:
    from vellum.reports import repairs

    return repairs.text(done)
