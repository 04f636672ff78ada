"""The live table during a start: every part, ready or with what it waits for. It goes to stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click

from vellum.cli import drawing
from vellum.kube.objects import Obj, condition, controller_uid, current, status_of
from vellum.model.platform import PLATFORM
from vellum.model.state import PARTS_READY

POLL_SECONDS = 0.1
WIDEST_REASON = 80
_STALE = "the last change is not composed yet"
HALT_SECONDS = 8.0
"""Seconds to wait after a trouble: services need a few to report that they cannot start, and the output names them."""


@dataclass(frozen=True, slots=True)
class Row:
    """One part of one composite."""

    owner: str
    part: str
    ready: bool
    reason: str


def rows(composites: list[Obj]) -> list[Row]:
    """Return the parts of all composites from their status. A status of an older spec does not have a ready part."""
    return [
        Row(owner(obj), part["name"], part["ready"] and fresh, part.get("reason", "") if fresh else _STALE)
        for obj in composites
        for fresh in (current(obj, PARTS_READY) is not None,)
        for part in status_of(obj).get("components") or ()
    ]


def owner(obj: Obj) -> str:
    """Return the composite's name in messages."""
    if obj["kind"] == PLATFORM.kind:
        return "platform"
    meta = obj["metadata"]
    return str(meta["name"] if meta["namespace"] == "default" else f"{meta['namespace']}/{meta['name']}")


def is_ready(obj: Obj) -> bool:
    """Tell whether the composite is Ready in its newest generation and is not stuck."""
    return not stuck(obj) and (current(obj, "Ready") or {}).get("status") == "True"


def is_a_persons(obj: Obj) -> bool:
    """Tell whether a user created the object: a composed object has an owner."""
    return controller_uid(obj) is None


def stage(obj: Obj) -> str:
    """Return the progress of a team's TrainJob or InferenceService in words."""
    if obj["kind"] == "TrainJob":
        return _training(obj)
    ready = current(obj, "Ready") or {}
    if ready.get("status") == "True":
        return f"ready at {(obj.get('status') or {}).get('url', '').rstrip('/')}"
    return f"waits: {ready.get('message') or 'its state is not known yet'}"


def _training(job: Obj) -> str:
    for kind, word in (("Failed", "failed"), ("Complete", "complete"), ("Suspended", "suspended")):
        entry = condition(job, kind) or {}
        if entry.get("status") == "True":
            return f"{word}: {entry['message']}" if kind == "Failed" else word
    if waits := (condition(job, "Started") or {}).get("message"):
        return f"waits: {waits}"
    counts = (status_of(job).get("jobsStatus") or [{}])[0]
    return "runs" if counts.get("active") else "waits: it is not started yet"


def rotation(obj: Obj) -> str:
    """Return the progress of a key rotation in words; empty while no rotation is in progress."""
    keys: Obj = status_of(obj).get("keys") or {}
    sentences = []
    if "coming" in keys:
        sentences.append(f"generation {keys['coming']} is not in use yet: {keys['waits']}")
    for previous in keys.get("previous", ()):
        holders = [held["by"] for held in keys.get("held", ()) if held["generation"] == previous["generation"]]
        still = f", and while {', '.join(holders)} holds it" if holders else ""
        sentences.append(f"generation {previous['generation']} is accepted until {previous['until']}{still}")
    return "; ".join([f"generation {keys['generation']} is in use", *sentences]) if sentences else ""


def stuck(obj: Obj) -> str:
    """Return why the composite needs help to continue; empty if it does not."""
    from vellum.compose.entry import ALARMS

    entry = current(obj, PARTS_READY) or {}
    return str(entry.get("message", "")) if entry.get("reason") in ALARMS else ""


def until_ready(
    look: Callable[[], list[Obj]], seconds: float, *, quiet: bool, halted: Callable[[], bool] = lambda: False
) -> list[Obj]:
    """Show the parts until all composites are Ready, one is stuck, or the time is over; return the last state.

    A halted installation waits for the user, so the wait for it ends after ``HALT_SECONDS``.
    """
    composites: list[Obj] = []
    began = time.monotonic()
    for composites in _shown(look, seconds, quiet=quiet):
        if (composites and all(is_ready(obj) for obj in composites)) or any(stuck(obj) for obj in composites):
            break
        if time.monotonic() - began > HALT_SECONDS and halted():
            break
    return composites


def _shown(look: Callable[[], list[Obj]], seconds: float, *, quiet: bool) -> Iterator[list[Obj]]:
    if drawing.is_possible(quiet=quiet):
        yield from _live(look, seconds)
        return
    told: set[tuple[str, str]] = set()
    for began, composites in _looks(look, seconds):
        # The status of a stuck composite shows its parts as they were when it was last composed.
        for row in rows([obj for obj in composites if not stuck(obj)]):
            if row.ready and (row.owner, row.part) not in told and not quiet:
                told.add((row.owner, row.part))
                click.echo(f"{time.monotonic() - began:5.1f} s  {row.owner}: {row.part} is ready", err=True)
        yield composites


def _looks(look: Callable[[], list[Obj]], seconds: float) -> Iterator[tuple[float, list[Obj]]]:
    began = time.monotonic()
    while True:
        yield began, look()
        if time.monotonic() - began > seconds:
            return
        time.sleep(POLL_SECONDS)


def _live(look: Callable[[], list[Obj]], seconds: float) -> Iterator[list[Obj]]:
    with drawing.live(("", "part", "state")) as draw:
        for began, composites in _looks(look, seconds):
            parts = rows([obj for obj in composites if not stuck(obj)])
            owners = ["", *(row.owner for row in parts)]
            cells = [
                (row.owner if row.owner != last else "", row.part, "ready" if row.ready else short(row.reason))
                for row, last in zip(parts, owners, strict=False)
            ]
            styles = ["green" if row.ready else "yellow" for row in parts]
            draw(f"{time.monotonic() - began:.1f} s", cells, styles)
            yield composites


def short(reason: str) -> str:
    """Return a reason that fits a table: the row already has the object's name."""
    return reason.rpartition(": ")[2] if len(reason) > WIDEST_REASON else reason
