"""What every fuzzer shares: a loop that prints how far it is."""

from __future__ import annotations

import time
from collections.abc import Iterator

_EVERY_SECONDS = 60


def counted(executions: int) -> Iterator[int]:
    """Yield each number below executions, and print the count once a minute: an interrupted run keeps its number.

    Only ``pytest -s`` shows what is printed.
    """
    began = last = time.monotonic()
    for number in range(executions):
        yield number
        if (now := time.monotonic()) - last >= _EVERY_SECONDS or number + 1 == executions:
            rate = (number + 1) / max(now - began, 0.001)
            print(f"fuzz: {number + 1:,} of {executions:,}, {rate:,.0f}/s", flush=True)  # noqa: T201  # the figures
            last = now
