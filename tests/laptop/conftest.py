"""A supervisor whose processes are gone when the test is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.laptop.servers import Supervised


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    """Return a supervisor that runs nothing yet."""
    found = Supervised(tmp_path)
    yield found
    found.supervisor.close()
