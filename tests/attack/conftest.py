"""One platform for all attacks, and the table of what was tried, which ``docs/proofs.md`` shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.platform.harness import FULL, Installation, new_installation

HEAD = ["| Class | Tries | Answers | Leaks | Test |", "| --- | --- | --- | --- | --- |"]
ROWS = pytest.StashKey["Rows"]()
Attacked = Callable[[str, Iterable[Any]], None]


@dataclass
class Rows:
    """The rows of this run, and the test files that wrote them."""

    lines: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)


@pytest.fixture(scope="session")
def platform() -> Iterator[Installation]:
    """Return a running installation with one team that has everything; ``test_state.py``, which is last, kills parts."""
    for installation in new_installation():
        installation.up(team_a=FULL)
        yield installation


@pytest.fixture
def attacked(request: pytest.FixtureRequest) -> Attacked:
    """Return what writes a row for a class and the answer to each try.

    A test stops at its first leak and calls this last: a class with a row had none.
    """

    def row(name: str, answers: Iterable[Any]) -> None:
        count, file = Counter(map(str, answers)), request.path.name
        words = sorted(count)
        text = " or ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
        rows = request.config.stash[ROWS]
        rows.lines.append(f"| {name} | {count.total():,} | {text} | 0 | [{file}](../tests/attack/{file}) |")
        rows.files.add(file)

    return row


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = Rows()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in [*HEAD, *config.stash[ROWS].lines] if config.stash[ROWS].lines else ():
        terminalreporter.write_line(line)
