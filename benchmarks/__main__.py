"""``python -m benchmarks [NAME ...]``: measure on this machine and print the table of the README."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from datetime import UTC, datetime

NAMES = (
    "help_cpu",
    "compose_time",
    "function_calls",
    "start",
    "repair",
    "rotation",
    "object_store",
    "documents",
    "retrieval",
)


def main() -> None:
    """Run the benchmarks that are named, by default all, one after the other."""
    print(
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores, Python {platform.python_version()}.\n"
    )
    print("| what | measured | bound | | how |\n|---|---|---|---|---|")
    for name in sys.argv[1:] or NAMES:
        for figure in importlib.import_module(f"benchmarks.{name}").measure():
            print(figure.line(), flush=True)


if __name__ == "__main__":
    main()
