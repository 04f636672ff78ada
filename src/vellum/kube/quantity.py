"""Kubernetes quantities ("500m", "10Gi") to exact numbers; what the API server refuses is refused here."""

from __future__ import annotations

import re
from decimal import Decimal

_SUFFIXES = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(1000),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("MGTPE", 2)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)},
}
PATTERN = r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(m|k|[MGTPE]|[KMGTPE]i)?"
"""Go, Rust and Python read it alike, so schemas carry it too. ``\\d`` would accept the digits of other alphabets."""
_QUANTITY = re.compile(PATTERN)


def parse(text: str) -> Decimal:
    """Return the number of base units (cores, bytes).

    Raises:
        ValueError: the text is not a quantity. Signs and exponents are refused: in a claim they are a mistake.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a quantity such as 500m, 2 or 10Gi")
    return Decimal(match[1]) * _SUFFIXES[match[2] or ""]
