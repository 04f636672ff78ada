"""The block ``keys``, which a claim and the platform share."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from vellum.model.component import Spec
from vellum.model.types import Span, span

HIGHEST = 9999
OVERLAP = "1h"


class KeysSpec(Spec):
    """Which generation of derived keys is wanted; without a generation the one in use stays."""

    generation: int | None = Field(
        default=None,
        description="The generation of keys, which only goes up; default: the one in use, at first 1",
        ge=1,
        le=HIGHEST,
        examples=[2],
    )
    overlap: Span | None = Field(
        default=None,
        description=f"How long the old S3 key is accepted beside a new one, from 10s to 7d; default: {OVERLAP}",
    )

    @property
    def time(self) -> timedelta:
        """The overlap as a duration."""
        return span(self.overlap or OVERLAP)
