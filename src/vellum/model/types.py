"""Field types of what people write: quantities, label values, images; each refuses with the rule in words."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from vellum.kube import quantity


def _quantity(text: str) -> str:
    if quantity.parse(text) <= 0:
        raise ValueError(f"{text!r} is not more than zero")
    return text


Quantity = Annotated[str, AfterValidator(_quantity)]
"""A positive Kubernetes quantity, kept as written: ``500m``, ``10Gi``."""
