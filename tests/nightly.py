"""Which cases of a table run for every change, and which at night: CI shows one case of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def chosen(cases: Iterable[Any], in_ci: Callable[[Any], bool]) -> list[Any]:
    """Return the cases as parameters, those that CI leaves out with the marker ``nightly``."""
    return [
        case
        if in_ci(case)
        else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.nightly)
        for case in cases
    ]
