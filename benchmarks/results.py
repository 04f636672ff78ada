"""Record measured figures in ``benchmarks/RESULTS.md``: one section for each benchmark, one row for each figure.

A benchmark replaces its own section and no other, so each row keeps the machine and the date of its measurement.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import ROOT, SHORT, Figure

PAGE = ROOT / "benchmarks/RESULTS.md"
HEAD = """| Figure | Value | Target | Machine | Date | Commit | Note |
| --- | --- | --- | --- | --- | --- | --- |
"""


def record(name: str, figures: Iterable[Figure]) -> None:
    """Print each figure as it is measured, then replace the section of this benchmark."""
    context = machine(), f"{datetime.now(UTC):%Y-%m-%d}", commit()
    print(f"{name}, on {context[0]}")
    rows = []
    for figure in figures:
        print("  " + "  ".join(cell for cell in (*figure.cells(), figure.how) if cell), flush=True)
        rows.append(_row(*figure.cells(), *context, figure.how))
    if not SHORT:
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), name, "".join(rows)), encoding="utf-8")


def replaced(page: str, name: str, rows: str) -> str:
    """Return the page with these rows as the section of a benchmark, which is appended if it is new."""
    section = f"## {name}\n\n{HEAD}{rows}"
    parts = re.split(r"\n(?=## )", page.rstrip("\n") + "\n")
    places = [number for number, part in enumerate(parts) if part.startswith(f"## {name}\n")]
    if places:
        parts[places[0]] = section
    else:
        parts.append(section)
    return "\n".join(parts)


def machine() -> str:
    """Return the processor, its cores, the version of Python and the load before the measurement."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    processor = model[1].strip() if model else platform.machine()
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, {processor}, Python {platform.python_version()}, load {load:.1f}"


def commit() -> str:
    """Return the commit that is measured, with a plus sign if the working tree differs from it."""
    head = _git("rev-parse", "--short=7", "HEAD")
    other = _git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!{PAGE.relative_to(ROOT)}")
    return head + ("+" if other else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n"
