"""Quantities are exact, and what Kubernetes refuses is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from vellum.kube import quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("2", 2),
        ("500m", "0.5"),
        ("1.5", "1.5"),
        ("1k", 1000),
        ("3M", 3_000_000),
        ("1G", 10**9),
        ("1T", 10**12),
        ("1P", 10**15),
        ("1E", 10**18),
        ("1Ki", 1024),
        ("1.5Gi", 3 * 2**29),
        ("10Gi", 10 * 2**30),
        ("1Ei", 2**60),
    ],
)
def test_a_quantity_is_a_number_of_base_units(text: str, number: int | str) -> None:
    assert quantity.parse(text) == Decimal(number)


@pytest.mark.parametrize(
    "text", ["", "Gi", "1gi", "1 Gi", "-1", "+1", "1e3", ".5", "1.", "1K", "1GiB", "1\n", "\u0661", "1" * 16]
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity such as 500m, 2 or 10Gi"):
        quantity.parse(text)
