"""A team for every test: its folder is short because a socket's path may have 107 bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ingest.services import Team, team_in


@pytest.fixture
def team() -> Iterator[Team]:
    yield from team_in(Path(tempfile.mkdtemp(prefix="vellum-ingest-")))
