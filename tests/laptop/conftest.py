"""A supervisor whose processes are gone when the test is; a state directory and its store, with two namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.laptop.servers import Supervised

from vellum.controlplane.store import SqliteStore
from vellum.kube.objects import make
from vellum.laptop.state import State

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    """Return a supervisor that runs nothing yet."""
    found = Supervised(tmp_path)
    yield found
    found.supervisor.close()


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Return a new state directory."""
    return State.open(tmp_path / "state")


@pytest.fixture
def store(state: State) -> Iterator[SqliteStore]:
    """Return its store."""
    store = SqliteStore(state.store, lambda: NOW)
    for namespace in ("default", "team"):
        store.put(make("v1", "Namespace", namespace))
    yield store
    store.close()
