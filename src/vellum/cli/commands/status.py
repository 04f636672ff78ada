"""``vellum status``."""

from __future__ import annotations

import json
import sys

import click

from vellum.cli import options, teams, watching
from vellum.connect.installation import state_root
from vellum.host.client import Client
from vellum.host.state import State
from vellum.kube.objects import Obj, condition, status_of
from vellum.model.state import PARTS_READY
from vellum.reports import table


@click.command()
@teams.either
@click.option("--events", is_flag=True, help="Show what happened: events and repairs.")
@options.output
def command(*, team: str | None, events: bool, output: str) -> None:
    """Show.

    With TEAM it shows one team only: its parts, jobs, models, processes and events.

    Ends with 0 if everything is ready, and with 3 if something is not. The command also shows the team's TrainJobs and
    models; they do not count for the exit code.
    """
    client = Client(State(state_root()))
    objects = client.ask("list")
    processes = client.ask("processes")
    more = {"events": client.ask("events")} if events else {}
    own = client.ask("list", kinds=teams.MADE)
    if team:
        claim = teams.claim_of(team, objects)
        objects, own, processes, more = _only(claim, own, processes, more)
    troubles = client.ask("troubles")
    # A start that was interrupted before it stored a claim leaves a supervisor without any object.
    ready = bool(objects) and not troubles and all(watching.is_ready(obj) for obj in objects)
    if output == "json":
        made = [obj for obj in own if watching.is_a_persons(obj)]
        click.echo(
            json.dumps(
                {"ready": ready, "troubles": troubles, "objects": objects, "made": made, "processes": processes, **more}
            )
        )
    else:
        _print_troubles(troubles)
        if not objects:
            click.echo("This installation does not have a claim yet. Run `vellum up FILE`.", err=True)
        _print(objects, own, processes)
        if events:
            _print_events(more["events"])
            _print_receipts(objects)
    sys.exit(0 if ready else 3)


def _only(
    claim: Obj, own: list[Obj], processes: list[Obj], more: dict[str, list[Obj]]
) -> tuple[list[Obj], list[Obj], list[Obj], dict[str, list[Obj]]]:
    """Return the objects, processes and events of one team only."""
    meta, namespace = claim["metadata"], teams.namespace_of(claim)
    places = {(meta["namespace"], meta["name"])}
    return (
        [claim],
        [obj for obj in own if obj["metadata"]["namespace"] == namespace],
        # The name of every process of a team contains the team's namespace.
        [process for process in processes if namespace in process["name"]],
        {
            name: [
                event
                for event in events
                if event["namespace"] == namespace
                or (event["namespace"], event["name"]) in places
                or namespace in event["name"]
            ]
            for name, events in more.items()
        },
    )


def _print_troubles(troubles: list[Obj]) -> None:
    for trouble in troubles:
        word = click.style("not ready", fg="yellow")
        click.echo(f"installation: {word}: {trouble['code']}: {trouble['what']} ({trouble['where']})")
        click.echo(f"  next: {trouble['fix']}")


def _print(objects: list[Obj], own: list[Obj], processes: list[Obj]) -> None:
    for obj in objects:
        state = click.style("ready", fg="green") if watching.is_ready(obj) else click.style("not ready", fg="yellow")
        stuck = watching.stuck(obj)
        reason = f": {(condition(obj, PARTS_READY) or {}).get('reason')}: {stuck}" if stuck else ""
        click.echo(f"{watching.owner(obj)}: {state}{reason}")
        for line in table.aligned(_cells(obj, stuck=bool(stuck))):
            click.echo(table.GAP + line)
    for obj in filter(watching.is_a_persons, own):
        meta = obj["metadata"]
        click.echo(f"{obj['kind']} {meta['namespace']}/{meta['name']}: {watching.stage(obj)}")
    click.echo("processes")
    for process in processes:
        restarts = f", restarted {process['restarts']} times" if process["restarts"] else ""
        state = "ready" if process["ready"] else process["message"]
        click.echo(f"  {process['name']}: {state} (pid {process['pid']}{restarts})")


def _cells(obj: Obj, *, stuck: bool) -> list[tuple[str, str]]:
    """Return the names of the parts, endpoints and keys of a composite, each with its state or value."""
    cells = []
    for row in watching.rows([obj]):
        reason = f": {row.reason}" if row.reason else ""
        # A stuck composite is not composed, so its parts have the state of the last composition.
        cells.append((row.part, f"{'was ' if stuck else ''}{'ready' if row.ready else 'not ready'}{reason}"))
    cells += (status_of(obj).get("endpoints") or {}).items()
    keys = watching.rotation(obj)
    return [*cells, ("keys", keys)] if keys else cells


def _print_events(events: list[Obj]) -> None:
    click.echo("events")
    for event in events:
        again = f" ({event['count']} times)" if event["count"] > 1 else ""
        place = f"{event['namespace']}/{event['name']}" if event["namespace"] else event["name"]
        click.echo(f"  {event['last']}  {event['kind']} {place}  {event['reason']}: {event['message']}{again}")


def _print_receipts(objects: list[Obj]) -> None:
    receipts = [receipt for obj in objects for receipt in reversed(status_of(obj).get("receipts") or ())]
    if receipts:
        click.echo("put back")
    for receipt in sorted(receipts, key=lambda item: str(item["seen"])):
        click.echo(
            f"  {receipt['seen']}  {receipt['object']}: {receipt['wrong']}, back after {receipt['seconds']:.1f} s"
        )
