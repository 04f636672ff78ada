"""``vellum install``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vellum.cli import claims, options, targets, watching
from vellum.errors import UsageError
from vellum.kube.objects import Key, Obj, status_of
from vellum.model.platform import PLATFORM

if TYPE_CHECKING:
    from vellum.cluster.api import Api
    from vellum.cluster.finding import Finding
    from vellum.cluster.install import Change, Installation

NOT_READY = 3


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@targets.cluster
@options.function_package
@options.image_lock
@click.option("--dry-run", is_flag=True, help="Print what would be changed, and change nothing.")
@options.timeout(600)
@options.output
def command(  # noqa: PLR0913  # one argument an option
    *,
    files: tuple[str, ...],
    kubeconfig: Path,
    function: str,
    lock: Path | None,
    dry_run: bool,
    timeout: float,
    output: str,
) -> None:
    """Install.

    FILES are the platform and claims, as for `vellum render`. The command applies what `vellum render` writes, in its
    order: Crossplane's Helm provider, then Istio and everything else by Crossplane. It checks the cluster first.
    You may stop it at any moment and run it again. Ends with 3 if something is not ready in time.
    """
    from vellum.cluster import generations
    from vellum.cluster.install import Installation
    from vellum.package import tree

    manifests, function = claims.locked(files, function, lock)
    result = tree.tree(manifests, function)
    api = targets.api(kubeconfig)
    looked = _looked(api, result, kubeconfig, quiet=output == "json")
    installation = Installation(api, result)
    if dry_run:
        changes = [change.as_dict() for change in installation.changes()]
        _print({"preflight": looked, "changes": changes, "waits": _waits(api)}, output)
        return
    changed = _run(installation, quiet=output == "json")
    ready = _until_ready(api, manifests, timeout, quiet=output == "json")
    generations.record(api)
    _print({"preflight": looked, "changes": [item.as_dict() for item in changed], "ready": ready}, output)
    if not ready:
        sys.exit(NOT_READY)


def _looked(api: Api, values: dict[str, list[Obj]], config: Path, *, quiet: bool) -> list[Obj]:
    """Check the cluster, and refuse one that cannot take the platform.

    Raises:
        UsageError: the cluster cannot take the platform (VEL723).
    """
    from vellum.cluster import preflight
    from vellum.cluster.finding import FAILED

    findings = preflight.findings(api, values)
    for finding in findings:
        if not quiet or finding.state == FAILED:
            click.echo(f"{_mark(finding)} {finding.name}: {finding.says}", err=True)
            if finding.fix:
                click.echo(f"          {finding.fix}", err=True)
    failed = [finding for finding in findings if finding.state == FAILED]
    if failed:
        names = ", ".join(item.name for item in failed)
        raise UsageError(
            "VEL723", f"the cluster cannot take the platform yet: {names}", where=str(config), fix=failed[0].fix
        )
    return [finding.as_dict() for finding in findings]


def _mark(finding: Finding) -> str:
    colour = {"ok": "green", "warning": "yellow", "failed": "red"}[finding.state]
    return click.style(f"{finding.state:>8}", fg=colour)


def _run(installation: Installation, *, quiet: bool) -> list[Change]:
    began = time.monotonic()

    def say(path: str) -> None:
        """Print progress to stderr with the time since the start."""
        if not quiet:
            click.echo(f"{time.monotonic() - began:5.1f} s  {path}", err=True)

    return installation.run(say)


def _until_ready(api: Api, manifests: list[Obj], timeout: float, *, quiet: bool) -> bool:
    keys = [Key.of(manifest) for manifest in manifests]

    def look() -> list[Obj]:
        """Return the live objects of the manifests."""
        time.sleep(0.4)
        return [obj for key in keys if (obj := api.get(key))]

    objects = watching.until_ready(look, timeout, quiet=quiet)
    for obj in objects:
        if not watching.is_ready(obj):
            why = watching.stuck(obj) or "run `vellum explain platform --kubeconfig` to see what it waits for"
            click.echo(f"{watching.owner(obj)} is not ready: {why}", err=True)
    return len(objects) == len(keys) and all(watching.is_ready(obj) for obj in objects)


def _waits(api: Api) -> list[Obj]:
    """Return the live platform's parts that are not ready; the rendered tree does not have what Crossplane composes."""
    parts = status_of(api.get(PLATFORM)).get("components") or ()
    return [{"part": part["name"], "reason": part.get("reason", "")} for part in parts if not part["ready"]]


def _print(answer: Obj, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(answer))
        return
    for change in answer["changes"]:
        name = f"{change['namespace']}/{change['name']}" if change["namespace"] else change["name"]
        click.echo(f"{change['action']:<7} {change['kind']} {name}  ({change['path']})")
    if not answer["changes"]:
        click.echo("Nothing to change: the cluster already has everything.", err=True)
    for change in answer.get("waits", ()):
        click.echo(f"{change['part']} is not ready: {change['reason']}", err=True)
