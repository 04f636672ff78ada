"""A control plane in a temporary folder: the real store, the real compose functions, and operators of one line each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
from tests.controlplane.world import NOW, World

from vellum.controlplane.store import SqliteStore


class Opens(Protocol):
    """Opens the store of this test; a second time after ``close``, as after a restart."""

    def __call__(self, path: Path | None = None, *, fault: Callable[[str], None] = ...) -> SqliteStore: ...


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opens]:
    """Return a function that opens the store; stores that are still open are closed at the end."""
    uids = (f"uid-{number}" for number in itertools.count(1))
    with ExitStack() as closing:

        def opens(path: Path | None = None, *, fault: Callable[[str], None] = lambda _: None) -> SqliteStore:
            store = SqliteStore(path or tmp_path / "store.db", lambda: NOW, new_uid=lambda: next(uids), fault=fault)
            closing.callback(store.close)
            return store

        yield opens


@pytest.fixture
def store(opened: Opens) -> SqliteStore:
    """Return an empty store."""
    return opened()


@pytest.fixture
def world(store: SqliteStore) -> World:
    """Return a control plane with a platform and no claim."""
    return World(store)
