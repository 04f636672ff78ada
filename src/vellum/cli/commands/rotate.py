"""``vellum rotate``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click

from vellum.cli import options, targets, teams, watching
from vellum.cli.targets import Target
from vellum.errors import UsageError
from vellum.kube.objects import Key, Obj, status_of
from vellum.model.platform import PLATFORM
from vellum.model.rotation import KeyMemory
from vellum.reports import table

NOT_IN_USE = 3
POLL_SECONDS = 0.1


@click.command()
@teams.team_argument(required=True)
@click.option(
    "--overlap", default="", metavar="TIME", help="How long the old S3 key is accepted: 10s to 7d, such as 1h."
)
@click.option("--again", is_flag=True, help="Rotate even while an earlier rotation is in progress.")
@click.option("--wait", is_flag=True, help="Wait until the new keys are in use.")
@options.timeout(120, "How long to wait for the new keys.")
@targets.kubeconfig
@options.output
def command(  # noqa: PLR0913  # its options
    *, team: str, overlap: str, again: bool, wait: bool, timeout: float, kubeconfig: Path | None, output: str
) -> None:
    """Rotate.

    TEAM is a claim, or the word platform. The command writes the next generation into its spec; change its file too.
    The new S3 key works beside the old one until the overlap is over. Qdrant accepts one key, so it restarts once. The
    notebook, whose kernels end, and search restart too.
    """
    _valid(overlap)
    target = targets.at(kubeconfig)
    obj = _meant(target, team)
    memory = _memory(obj)
    if not again:
        _over(obj, memory)
    generation = _next(obj, memory)
    target.rotate(Key.of(obj), generation, overlap)
    report = _report(obj, max(memory.using, 1), generation, overlap, given=_is_given(target))
    if output != "json":
        click.echo(_text(report))
    _remind(obj, generation)
    used = _used(target, obj, generation, timeout, quiet=output == "json") if wait else None
    if output == "json":
        click.echo(json.dumps({**report, "inUse": used}))
    if used is False:
        sys.exit(NOT_IN_USE)


def _valid(overlap: str) -> None:
    from vellum.model.types import span

    try:
        span(overlap or "1h")
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="--overlap") from None


def _meant(target: Target, team: str) -> Obj:
    if team == "platform":
        platform = targets.platform(target)
        if ((platform.get("spec") or {}).get("objectStore") or {}).get("backend") == "external":
            what = "the owner of the object store gives the key to the platform's bucket; Vellum does not make it"
            fix = "write the new key into Secret vellum-storage/s3-artifacts; Vellum passes it on automatically"
            raise UsageError("VEL726", what, where=target.name, fix=fix)
        return platform
    return teams.claim_of(team, target.claims())


def _memory(obj: Obj) -> KeyMemory:
    return KeyMemory.read(status_of(obj).get("keys") or {})


def _written(obj: Obj) -> int:
    return int(((obj.get("spec") or {}).get("keys") or {}).get("generation") or 0)


def _over(obj: Obj, memory: KeyMemory) -> None:
    """Refuse while an earlier rotation is in progress or overlaps."""
    name = watching.owner(obj)
    if memory.coming or _written(obj) > memory.using > 0:
        what = f"generation {max(memory.coming, _written(obj))} of the keys is not in use yet"
    elif memory.previous:
        until = [item["until"] for item in obj["status"]["keys"]["previous"]]
        what = f"the earlier keys are accepted until {max(until)}"
    else:
        return
    raise UsageError("VEL725", f"an earlier rotation is not over: {what}", where=name, fix="wait, or pass --again")


def _is_given(target: Target) -> bool:
    """Tell whether the platform uses an external object store."""
    platform = next((obj for obj in target.composites() if Key.of(obj) == PLATFORM), {})
    return status_of(platform).get("objectStore") == "external"


def _next(obj: Obj, memory: KeyMemory) -> int:
    """Return the generation after all earlier ones.

    Raises:
        UsageError: the last generation is in use (VEL727).
    """
    from vellum.api.keys import HIGHEST

    generation = max(memory.newest, _written(obj), 1) + 1
    if generation > HIGHEST:
        what = f"the keys are of generation {HIGHEST}, the last one"
        fix = "delete the claim and create it again with another name; its generations start at 1"
        raise UsageError("VEL727", what, where=watching.owner(obj), fix=fix)
    return generation


def _report(obj: Obj, before: int, generation: int, overlap: str, *, given: bool) -> Obj:
    from vellum.api.keys import OVERLAP
    from vellum.components import platform_components, team_components

    known = platform_components() if obj["kind"] == PLATFORM.kind else team_components()
    there = [part["name"] for part in status_of(obj).get("components") or ()]
    parts = [
        {"name": name, "does": known[name].rotates}
        for name in there
        if name in known and known[name].rotates and not (given and known[name].store_key)
    ]
    written = ((obj.get("spec") or {}).get("keys") or {}).get("overlap") or OVERLAP
    return {
        "object": watching.owner(obj),
        "before": before,
        "generation": generation,
        "overlap": overlap or written,
        "parts": parts,
    }


def _text(report: Obj) -> str:
    first = f"{report['object']}: keys of generation {report['before']} become {report['generation']}"
    return "\n".join(
        [first, *(f"  {line}" for line in table.aligned([[part["name"], part["does"]] for part in report["parts"]]))]
    )


def _remind(obj: Obj, generation: int) -> None:
    kind = "platform's" if obj["kind"] == PLATFORM.kind else "claim's"
    click.echo(
        f"Write keys: {{generation: {generation}}} into the spec of the {kind} file too: Vellum refuses a lower one.",
        err=True,
    )


def _used(target: Target, obj: Obj, generation: int, seconds: float, *, quiet: bool) -> bool:
    """Print what the rotation waits for until the generation is in use; return False if that takes too long."""
    key, began, shown = Key.of(obj), time.monotonic(), ""
    while time.monotonic() - began < seconds:
        live = next((item for item in (*target.composites(), *target.claims()) if Key.of(item) == key), {})
        keys = status_of(live).get("keys") or {}
        if keys.get("generation", 0) >= generation:
            click.echo(
                f"{time.monotonic() - began:5.1f} s  generation {generation} is in use; its readers may still restart",
                err=True,
            )
            return True
        if (waits := keys.get("waits") or "") != shown and not quiet:
            click.echo(f"{time.monotonic() - began:5.1f} s  {waits}", err=True)
        shown = waits
        time.sleep(POLL_SECONDS)
    click.echo("The new keys are not in use in time. The rotation continues; see `vellum status`.", err=True)
    return False
