"""Settings of the whole suite."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run: a test that fails only sometimes tells nothing about a change.
# ``VELLUM_EXPLORE=1`` lets hypothesis look for new ones.
# A machine that also does other things is slow at times; that says nothing of the code.
SLOW = [HealthCheck.too_slow]
settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=SLOW)
settings.register_profile("explore", deadline=None, suppress_health_check=SLOW)
settings.load_profile("explore" if os.environ.get("VELLUM_EXPLORE") else "steady")

# Under nohup, or in the background of a shell, these are ignored, and every process of a test would inherit that.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TOGETHER = {"laptop", "platform", "examples"}
"""Folders whose tests share an installation, or take ports that another test of theirs expects to be free."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one process run what shares an installation or a bench and mostly waits, while another runs the rest."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def _group(item: pytest.Item) -> str:
    folder, *_ = item.path.relative_to(Path(__file__).parent).parts
    if "bench" in getattr(item, "fixturenames", ()):
        return "bench"
    return "laptop" if folder in TOGETHER else str(item.path)
