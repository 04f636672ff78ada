"""``vellum ingest``."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from vellum.cli import drawing, options, teams
from vellum.connect.installation import state_root
from vellum.connect.sources import connect
from vellum.errors import LaptopError, VellumError, WorkloadError
from vellum.host.client import Client, known
from vellum.host.files import private_folder
from vellum.host.state import State
from vellum.laptop.folders import ingest_folder

_MOST_SKIPPED = 20
"""The most skipped files that are printed by name; a folder may hold thousands."""
NEEDED = ("AWS_ACCESS_KEY_ID", "VELLUM_BUCKET", "QDRANT_URL")


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@teams.team_option
@click.option("--prune", is_flag=True, help="Also remove documents that are no longer in DIRECTORY.")
@options.output
def command(directory: Path, team: str | None, output: str, *, prune: bool) -> None:
    """Ingest.

    A Kubeflow pipeline on this machine reads every PDF under DIRECTORY, cuts it into passages and indexes them. A bad
    file does not stop the others. Files from earlier runs are not ingested again. Ends with 1 if it can use no file.
    """
    binding = connect(team).require(*NEEDED)
    state = State(state_root())
    claim = teams.one_team(team, teams.known())
    work = private_folder(ingest_folder(state, claim))
    argv = [
        sys.executable,
        # The current folder may have an orjson.py.
        "-P",
        "-m",
        "vellum.workloads.ingest.run",
        "--source",
        str(directory.resolve()),
        "--work",
        str(work),
    ]
    done, files = _followed(argv + ["--prune"] * prune, binding.as_env(), quiet=output == "json")
    with contextlib.suppress(
        LaptopError
    ):  # the documents are stored; if the platform has stopped since, only a line of output is lost
        namespace, _, name = claim.rpartition("/")
        Client(state).ask("record", namespace=namespace, name=name, reason="Ingested", message=_sentence(done))
    if output == "json":
        click.echo(json.dumps({**done, "documents": files}))
    else:
        _print(done, files)
    if files and not any(entry["verdict"] in ("ok", "page_errors") for entry in files):
        sys.exit(1)


def _followed(argv: list[str], binding: dict[str, str], *, quiet: bool) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run the worker and show its progress; return its last event and its verdict on each file."""
    environment = {**os.environ, **binding}
    environment.pop("VELLUM_BINDING_DIR", None)
    # Its standard input closes when we end, in whatever way.
    worker = subprocess.Popen(
        [*argv, "--attached"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    failure: VellumError | None = None
    files: list[dict[str, Any]] = []
    done: dict[str, Any] = {}
    try:
        for event in _shown(_events(worker), quiet=quiet):
            if event["event"] == "file":
                files.append({name: value for name, value in event.items() if name != "event"})
            elif event["event"] == "done":
                done = {name: value for name, value in event.items() if name != "event"}
            elif event["event"] == "error":
                failure = known(event)
        worker.wait()
    finally:
        if worker.poll() is None:
            worker.terminate()
            worker.wait()
    if failure:
        raise failure
    if worker.returncode or not done:
        raise WorkloadError(
            "VEL503",
            f"the ingest ended with {worker.returncode} before it was done",
            where="the pipeline",
            fix="run it again: indexed documents are kept, and none is counted twice",
        )
    return done, files


def _events(worker: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    for line in worker.stdout or ():
        with contextlib.suppress(ValueError):
            yield json.loads(line)


def _shown(events: Iterator[dict[str, Any]], *, quiet: bool) -> Iterator[dict[str, Any]]:
    """Yield the events; on a terminal, draw a bar of pages."""
    if not drawing.is_possible(quiet=quiet):
        yield from events
        return
    with drawing.bar("reading") as update:
        for event in events:
            if event["event"] == "page_progress":
                far = f"{event['pages']}/{event['of']} pages, {event['pages_per_s']:.0f} pages/s"
                update(completed=event["pages"], total=event["of"], far=far)
            elif event["event"] == "step":
                update(description=event["name"])
            yield event


def _sentence(done: dict[str, Any]) -> str:
    return f"run {done['run']}: {done['files']} files, {done['pages']} pages, {done['passages']} passages"


def _print(done: dict[str, Any], files: list[dict[str, Any]]) -> None:
    for entry in files:
        errors = f" ({entry['page_errors']} pages could not be read)" if entry.get("page_errors") else ""
        document = options.printable(entry["document"])
        counts = f"{entry['pages']} pages, {entry['passages']} passages{errors}"
        if "same_as" in entry:
            counts = f"the same content as {options.printable(entry['same_as'])}"
        click.echo(f"{entry['verdict']:11} {document}: {counts}")
    speed = f" ({done['pages_per_s']:.0f} pages/s)" if done["pages_per_s"] else ""
    for name in done["skipped"][:_MOST_SKIPPED]:
        click.echo(f"{'skipped':11} {options.printable(name)}: not a PDF, or a link that leaves the folder")
    if (more := len(done["skipped"]) - _MOST_SKIPPED) > 0:
        click.echo(f"{'skipped':11} and {more} more; `--output json` lists all")
    rest = {"unchanged": done["unchanged"], "skipped": len(done["skipped"]), "removed": done["removed"]}
    less = [f"{count} {word}" for word, count in rest.items() if count]
    click.echo(f"{_sentence(done)}{' (' + ', '.join(less) + ')' if less else ''} in {done['seconds']:.1f} s{speed}")
    if not files:
        click.echo("The folder has no PDF.", err=True)
