"""``vellum logs``."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

import click

from vellum.cli import options
from vellum.connect.installation import state_root
from vellum.errors import UsageError
from vellum.host.state import State


@click.command()
@options.log_argument
@click.option("--follow", "-f", is_flag=True, help="Continue with new lines.")
@click.option(
    "--lines", "-n", type=click.IntRange(min=0), default=100, show_default=True, help="How many lines, from the end."
)
def command(name: str | None, lines: int, *, follow: bool) -> None:
    """Show.

    NAME is a process or the start of its name, such as qdrant; vellum is the supervisor.
    Without NAME the command lists the names.
    """
    state = State(state_root())
    names = options.log_names(state)
    if name is None:
        for each in names:
            click.echo(each)
        return
    path = state.log(_chosen(name, names))
    with path.open(errors="replace") as log:
        for line in deque(log, maxlen=lines):
            click.echo(line, nl=False)
        while follow:
            if line := log.readline():
                click.echo(line, nl=False)
            else:
                time.sleep(0.2)
                if _replaced(log.tell(), path):
                    log.seek(0)


def _replaced(position: int, path: Path) -> bool:
    return path.exists() and path.stat().st_size < position


def _chosen(name: str, names: list[str]) -> str:
    matches = [name] if name in names else [known for known in names if known.startswith(name)]
    if len(matches) != 1:
        known = ", ".join(matches or names) or "none yet"
        raise UsageError(
            "VEL703",
            f"{len(matches) or 'no'} logs match {name!r}",
            where="the logs of this installation",
            fix=f"choose one of: {known}",
        )
    return matches[0]
