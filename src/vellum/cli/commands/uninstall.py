"""``vellum uninstall``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vellum.cli import options, targets
from vellum.errors import UsageError
from vellum.kube.objects import Obj

if TYPE_CHECKING:
    from vellum.cluster.uninstall import Removal

LEFT = 3
SHOWN = 10


@click.command()
@targets.cluster
@click.option("--with-claims", is_flag=True, help="Delete the teams' claims too, and the notebooks' homes with them.")
@click.option("--delete-data", is_flag=True, help="Delete buckets, vectors, Pipelines' database and the seed as well.")
@click.option("--dry-run", is_flag=True, help="Print what would go, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before anything is deleted.")
@options.timeout(300, "How long one stage may take.")
@options.output
def command(  # noqa: PLR0913  # one argument an option
    *, kubeconfig: Path, with_claims: bool, delete_data: bool, dry_run: bool, yes: bool, timeout: float, output: str
) -> None:
    """Uninstall.

    The command deletes everything in the reverse order of the installation. It keeps what holds data: namespaces with
    volumes, and the seed from which their keys derive; a later `vellum install` uses both again. At the end it looks at
    every object of every kind, and ends with 3 if one is left.
    """
    from vellum.cluster.uninstall import Removal
    from vellum.package import tree

    removal = Removal(targets.api(kubeconfig), tree.tree([], "any"), data=delete_data, seconds=timeout)
    if dry_run:
        _print_plan(removal.plan().as_dict(), output)
        return
    claims = _agreed(removal, kubeconfig, with_claims=with_claims, delete_data=delete_data, yes=yes)
    began = time.monotonic()

    def say(words: str) -> None:
        """Print progress to stderr with the time since the start."""
        if output != "json":
            click.echo(f"{time.monotonic() - began:5.1f} s  {words}", err=True)

    result = removal.run(say, claims).as_dict()
    _print_left(result, output)
    if result["left"]:
        sys.exit(LEFT)


def _agreed(removal: Removal, config: Path, *, with_claims: bool, delete_data: bool, yes: bool) -> dict[str, bool]:
    """Ask, refuse while teams use the platform, and return the claims to delete.

    Raises:
        UsageError: claims exist (VEL724), or no terminal is attached to ask on (VEL712).
    """
    claims = removal.claims()
    if claims and not with_claims:
        names = ", ".join(list(claims)[:SHOWN]) + (" and more" if len(claims) > SHOWN else "")
        what = f"{len(claims)} {'claim uses' if len(claims) == 1 else 'claims use'} the platform: {names}"
        raise UsageError("VEL724", what, where=str(config), fix="delete them first, or pass --with-claims")
    if yes:
        return claims
    if not sys.stdin.isatty():
        what = "the platform would be deleted, but no terminal is attached to confirm it"
        raise UsageError("VEL712", what, where=str(config), fix="pass --yes")
    click.confirm(f"{_sentence(claims, delete_data=delete_data)} Go on?", abort=True, err=True)
    return claims


def _sentence(claims: dict[str, bool], *, delete_data: bool) -> str:
    data = "and ALL DATA of all teams" if delete_data else "and keeps buckets, vectors and databases"
    lost = [claim for claim, goes in claims.items() if goes]
    but = f", but not those of {', '.join(lost)} (deletionPolicy: Delete)" if lost and not delete_data else ""
    return f"This deletes the platform with {len(claims)} claims on the cluster {data}{but}."


def _name(obj: Obj) -> str:
    where = f"{obj['namespace']}/" if obj["namespace"] else ""
    return f"{obj['kind']} {where}{obj['name']}"


def _print_plan(plan: Obj, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(plan))
        return
    for stage in plan["stages"]:
        for obj in stage["objects"]:
            click.echo(f"delete  {_name(obj)}  ({stage['stage']})")
    for obj in plan["stays"]:
        click.echo(f"keep    {_name(obj)}  ({obj['why']})")
    if not plan["stages"]:
        click.echo("Nothing to delete: the cluster has no object of Vellum.", err=True)


def _print_left(values: Obj, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(values))
        return
    for what in ("left", "kept"):
        for item in values[what]:
            click.echo(f"{what}  {_name(item)}")
    click.echo(
        f"{len(values['left'])} of Vellum's objects are left, {len(values['kept'])} are kept; "
        f"{values['kinds']} kinds were looked at.",
        err=True,
    )
    for group in values["silent"]:
        click.echo(f"not checked, because its server does not answer: {group}", err=True)
