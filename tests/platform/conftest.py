"""Installations for tests: one that is shared, and one of a test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.platform.harness import FULL, Installation, new_installation


@pytest.fixture(scope="session")
def platform() -> Iterator[Installation]:
    """Return one running installation with two teams, shared by tests that leave it as they found it."""
    for installation in new_installation():
        installation.up(team_a=FULL, team_b="{}")
        yield installation


@pytest.fixture
def installation() -> Iterator[Installation]:
    """Return an empty installation of the test's own."""
    yield from new_installation()
