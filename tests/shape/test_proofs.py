"""The promises in ``docs/proofs.md`` are those that the tests name."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.shape import proofs


def test_the_page_of_proofs_has_the_promises_of_the_tests() -> None:
    if proofs.page() != proofs.PAGE.read_text(encoding="utf-8"):
        pytest.fail("docs/proofs.md: the promises differ from those of the tests; run `make golden`")


def test_a_promise_may_take_several_lines_and_ends_at_the_first_empty_one(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(
        'def test_it():\n    """Proves: a deleted object\n    comes back.\n\n    And why.\n    """\n\n\n'
        'def test_other():\n    """No promise."""\n'
    )
    assert list(proofs.promises(file)) == [("a deleted object comes back", "test_it")]
