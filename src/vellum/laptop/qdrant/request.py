"""One request as the calls see it: path, body and the open collections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vellum.laptop.qdrant.collections import Collection, Collections
from vellum.laptop.qdrant.fields import Fields


@dataclass(frozen=True)
class Request:
    """A call's input; ``body`` is the parsed JSON, ``wait`` whether the caller waits for the write."""

    collections: Collections
    path: Mapping[str, str]
    body: object
    wait: bool

    @property
    def collection(self) -> Collection:
        """The collection that the path names, or 404."""
        return self.collections.get(self.path["name"])

    def fields(self, *known: str) -> Fields:
        """Return the body, with only these fields allowed."""
        return Fields(self.body, "body", known)
