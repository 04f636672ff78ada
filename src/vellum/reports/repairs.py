"""Which faults were made on purpose, how soon each was repaired, and the receipt. Pure."""

from __future__ import annotations

from vellum.kube.objects import Obj
from vellum.reports import table

HEAD = ("OBJECT", "DONE", "BACK AFTER", "RECEIPT")


def text(done: list[Obj]) -> str:
    """Return a table with one line for each fault."""
    rows = [(row["object"], row["done"], _back(row), _receipt(row["receipt"])) for row in done]
    return "\n".join(table.lines(HEAD, rows))


def _back(row: Obj) -> str:
    return "not back" if row["seconds"] is None else f"{row['seconds']:.2f} s"


def _receipt(receipt: Obj | None) -> str:
    if receipt is None:
        return "none"
    revision = f", revision {receipt['revision']}" if "revision" in receipt else ""
    return f"{receipt['wrong']}, {receipt['seconds']:.1f} s{revision}"
