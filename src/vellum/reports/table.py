"""Rows of texts as aligned lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence

GAP = "  "


def lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one line for the head and one for each row; a column that is empty in every row is left out."""
    used = [column for column in range(len(head)) if any(row[column] for row in rows)]
    return aligned([[row[column] for column in used] for row in (head, *rows)])


def aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Return one line for each row of cells."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [GAP.join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
