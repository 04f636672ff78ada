"""The store of a state directory, with two namespaces; the host's fixtures work here too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from tests.host.conftest import state, supervised

from vellum.controlplane.store import SqliteStore
from vellum.host.state import State
from vellum.kube.objects import make

__all__ = ["NOW", "state", "supervised"]
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def store(state: State) -> Iterator[SqliteStore]:  # the host's fixture of this name
    """Return the store of the state directory."""
    store = SqliteStore(state.store, lambda: NOW)
    for namespace in ("default", "team"):
        store.put(make("v1", "Namespace", namespace))
    yield store
    store.close()
