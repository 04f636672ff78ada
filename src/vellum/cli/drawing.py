"""Draws on a terminal while a command works: a table that changes, or a bar. It writes to stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from vellum.reports import table

Draw: TypeAlias = Callable[[str, Sequence[Sequence[str]], Sequence[str]], None]
"""Draws a title, the rows of a table, and one style for each row."""


def is_possible(*, quiet: bool) -> bool:
    """Tell whether the command may draw: the user reads stderr on a terminal and did not ask for quiet."""
    return sys.stderr.isatty() and not quiet


@contextmanager
def live(head: Sequence[str]) -> Iterator[Draw]:
    """Yield a function that replaces the table on the terminal; the last table stays."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(stderr=True), refresh_per_second=10) as screen:

        def draw(title: str, rows: Sequence[Sequence[str]], styles: Sequence[str]) -> None:
            styled = zip(table.lines(head, rows), ["bold", *styles], strict=True)
            lines = [Text(line, style, no_wrap=True, overflow="ellipsis") for line, style in styled]
            screen.update(Group(Text(title, "italic"), *lines))

        yield draw


@contextmanager
def bar(description: str) -> Iterator[Callable[..., None]]:
    """Yield a function that updates the bar's ``description``, ``completed``, ``total`` and ``far``."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = ("{task.description}", BarColumn(), TextColumn("{task.fields[far]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=None, far="")

        def update(**changed: Any) -> None:  # noqa: ANN401  # fields of a rich task
            progress.update(task, **changed)

        yield update
