"""The README is short, says the same as the package and the command line, and shows figures that were measured."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from benchmarks import results

from vellum.cli.main import cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows(page: str) -> list[list[str]]:
    """Return the cells of every row of the tables in a page."""
    return [
        [cell.strip() for cell in line.strip("| \n").split(" | ")]
        for line in page.splitlines()
        if line.startswith("| ")
    ]


def test_the_readme_fits_on_one_page() -> None:
    lines = README.splitlines()
    assert len(lines) <= 120
    assert [line for line in lines if len(line) > 120] == []


def test_the_tagline_is_the_same_everywhere() -> None:
    (tagline,) = re.findall(r"^\*\*(The ML platform [^*]+)\.\*\*", README, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["description"] == tagline
    assert cli.help == f"{tagline}."
    assert (ROOT / "docs/README.md").read_text(encoding="utf-8").startswith(f"# Documents\n\n{tagline}.\n")


def test_the_figures_are_rows_of_the_results() -> None:
    section = README.partition("## Figures\n")[2].partition("\n## ")[0]
    shown = rows(section)[2:]
    measured = [cells[:3] for cells in rows(results.PAGE.read_text(encoding="utf-8"))]
    assert len(shown) == 3
    assert [cells for cells in shown if cells not in measured] == []


def test_a_benchmark_replaces_its_own_rows_and_keeps_all_others() -> None:
    page = "# Results\n\n## a\n\nold\n\n## b\n\nkept\n"
    section = f"## a\n\n{results.HEAD}| new |\n"
    assert results.replaced(page, "a", "| new |\n") == f"# Results\n\n{section}\n## b\n\nkept\n"
    assert results.replaced("# Results\n", "a", "| new |\n") == f"# Results\n\n{section}"
