"""Everything here needs root on Linux, and a machine on which no other test measures time."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("node")
            item.add_marker(pytest.mark.timeout(3600))
