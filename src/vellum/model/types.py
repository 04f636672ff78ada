"""Field types of what people write; each refuses with the rule in words."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from vellum.kube import quantity


class Refused(ValueError):  # noqa: N818  # a value is refused; nothing has failed
    """A value that its own form allows and another field does not; it knows what to write instead."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.fix = fix


_LEAST, _MOST = quantity.parse("1Mi"), 2**63


def _storage(text: str) -> str:
    size = quantity.parse(text)
    if size < _LEAST:
        raise ValueError(f"{text!r} is less than 1Mi: the unit is missing or wrong")
    if size >= _MOST:
        raise ValueError(f"{text!r} is more than Kubernetes can count")
    return text


Storage = Annotated[
    str,
    AfterValidator(_storage),
    Field(examples=["10Gi"], json_schema_extra={"pattern": f"^{quantity.PATTERN}$"}),
]
"""A Kubernetes quantity of bytes from 1Mi on, kept as written: ``10Gi``."""
