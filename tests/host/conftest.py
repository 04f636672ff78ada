"""A supervisor whose processes are gone when the test is, and a state directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.host.servers import Supervised

from vellum.host.state import State


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    """Return a supervisor that runs nothing yet."""
    supervised = Supervised(tmp_path)
    yield supervised
    supervised.supervisor.close()


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Return a new state directory."""
    return State.open(tmp_path / "state")
