"""Write the promises in ``docs/proofs.md`` from the tests: ``python -m tests.shape.proofs``.

A test that proves a promise names it in its docstring, as ``Proves: PROMISE.``
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/proofs.md"
BEGIN = "<!-- `make golden` writes the lines up to the end mark from the tests. -->\n"
END = "<!-- The generated lines end here. -->\n"
HEADINGS = {
    "tests/bench": "On the real Crossplane\n\n`make bench` runs these tests. `make nightly` runs the slowest.",
    "tests/compose": "With a simulated Helm\n\n`make check` runs these tests. The rules are measured on provider-helm.",
    "tests": "On a laptop\n\n`make test` runs these tests.",
}
"""The heading of the tests in a folder; the first folder that fits counts."""


def promises(file: Path) -> Iterator[tuple[str, str]]:
    """Yield each promise of a file of tests, and the test that proves it."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            docstring = ast.get_docstring(node) or ""
            if match := re.match(r"Proves: (.+?)\.?(?:\n\n|\Z)", docstring, re.DOTALL):
                yield " ".join(match[1].split()), node.name


def tables() -> str:
    """Return the tables of all promises in Markdown."""
    rows: dict[str, list[str]] = {folder: [] for folder in HEADINGS}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        path = file.relative_to(ROOT).as_posix()
        folder = next(folder for folder in HEADINGS if path.startswith(folder))
        for promise, test in promises(file):
            rows[folder].append(f"| {promise[:1].upper()}{promise[1:]} | [{test}](../{path}) |")
    return "\n".join(
        "\n".join([f"### {heading}\n", "| Promise | Test |", "| --- | --- |", *rows[folder], ""])
        for folder, heading in HEADINGS.items()
    )


def page() -> str:
    """Return ``docs/proofs.md`` with the promises of today and its other text as it is."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    return f"{before}{BEGIN}\n{tables()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
