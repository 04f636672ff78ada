"""The bench that all tests here share; the first one builds the programs, which takes minutes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bench.real import Bench, new_bench

from vellum.bench import programs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the real control plane, and more time than other tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("bench")
            item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    """Return a running bench."""
    yield from new_bench()


@pytest.fixture(scope="session")
def built() -> dict[str, Path]:
    """Return the bench's programs."""
    return programs.ensure(print)
