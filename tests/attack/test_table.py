"""The table of ``docs/proofs.md`` is what this run counted. ``VELLUM_GOLDEN=1 make attack`` writes it anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.attack.conftest import HEAD, ROWS

pytestmark = pytest.mark.attack
PROOFS = Path(__file__).parents[2] / "docs" / "proofs.md"


def test_the_proofs_show_what_this_run_counted(request: pytest.FixtureRequest) -> None:
    """Its name makes this file the last. A run of some files compares nothing."""
    rows, text = request.config.stash[ROWS], PROOFS.read_text()
    if rows.files != {path.name for path in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).name}:
        return
    before, after = text.split("\n".join(HEAD) + "\n")
    shown, rest = after.split("\n\n", 1)
    if os.environ.get("VELLUM_GOLDEN"):
        PROOFS.write_text("\n".join([before + HEAD[0], HEAD[1], *rows.lines]) + f"\n\n{rest}")
    else:
        assert shown.split("\n") == rows.lines
