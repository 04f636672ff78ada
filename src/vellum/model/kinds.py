"""The kind of a claim, as a value for requests."""

from __future__ import annotations

from vellum.model.component import Kind
from vellum.model.team import API_VERSION, CLAIM_KIND

CLAIM = Kind(API_VERSION, CLAIM_KIND)
