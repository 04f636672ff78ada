"""What every fuzzer shares: a loop that prints how far it is."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

_EVERY_SECONDS = 60


def counted(executions: int, capsys: pytest.CaptureFixture[str]) -> Iterator[int]:
    """Yield each number below executions, and print the count once a minute: an interrupted run keeps its number."""
    began = last = time.monotonic()
    for number in range(executions):
        yield number
        if (now := time.monotonic()) - last >= _EVERY_SECONDS:
            rate, last = (number + 1) / (now - began), now
            with capsys.disabled():
                print(f"fuzz: {number + 1:,} of {executions:,}, {rate:,.0f}/s", flush=True)  # noqa: T201  # the figures
