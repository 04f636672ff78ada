"""Rows of texts as aligned lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence

GAP = "  "


def lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one line for the head and one for each row; a column that is empty in every row is left out."""
    said = [place for place in range(len(head)) if any(row[place] for row in rows)]
    cells = [[row[place] for place in said] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        GAP.join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    ]
