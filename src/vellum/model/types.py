"""Field types of the specs; each refuses a value with its rule in words."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from vellum.kube import quantity


class Refused(ValueError):  # noqa: N818  # a value is refused; nothing has failed
    """A value that a rule forbids, with the fix and the code of the error."""

    def __init__(self, what: str, fix: str, code: str = "VEL115") -> None:
        super().__init__(what)
        self.fix, self.code = fix, code


_LEAST, _MOST = quantity.parse("1Mi"), 2**63


def _storage(text: str) -> str:
    size = quantity.parse(text)
    if size < _LEAST:
        raise ValueError(f"{text!r} is less than 1Mi: the unit is missing or wrong")
    if size >= _MOST:
        raise ValueError(f"{text!r} is more than Kubernetes can count")
    return text


Storage = Annotated[
    str, AfterValidator(_storage), Field(examples=["10Gi"], json_schema_extra={"pattern": f"^{quantity.PATTERN}$"})
]
"""A Kubernetes quantity of bytes, at least 1Mi, kept as written: ``10Gi``."""


_SPAN = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
SPAN_PATTERN = "^[1-9][0-9]{0,5}[smhd]$"
_SHORTEST, _LONGEST = timedelta(seconds=10), timedelta(days=7)


def span(text: str) -> timedelta:
    """Return the time of ``90s``, ``30m``, ``1h`` or ``7d``.

    Raises:
        ValueError: the text has another form, or is not from 10s to 7d.
    """
    match = _SPAN.fullmatch(text)
    if not match:
        raise ValueError(f"{text[:20]!r} is not a whole number and s, m, h or d, such as 1h")
    number, unit = match.groups()
    time = timedelta(**{_UNITS[unit]: int(number)})
    if not _SHORTEST <= time <= _LONGEST:
        raise ValueError(f"{text!r} is not from 10s to 7d")
    return time


def _span(text: str) -> str:
    span(text)
    return text


Span = Annotated[str, AfterValidator(_span), Field(examples=["1h"], json_schema_extra={"pattern": SPAN_PATTERN})]
"""A time from 10s to 7d, kept as written."""
