"""One request for the calls: path, body and the open collections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vellum.workloads.qdrant.collections import Collection, Collections
from vellum.workloads.qdrant.fields import Fields
from vellum.workloads.qdrant.filters import read_filter
from vellum.workloads.qdrant.releases import check_releases

if TYPE_CHECKING:
    import qdrant_edge as edge


@dataclass(frozen=True)
class Request:
    """A call's input; ``body`` is the parsed JSON, ``wait`` whether the caller waits for the write.

    ``where`` names the body in messages. A call that only ``checks`` a write reads all of it and changes nothing.
    """

    collections: Collections
    path: Mapping[str, str]
    body: object
    wait: bool
    where: str = "body"
    checks: bool = False

    @property
    def collection(self) -> Collection:
        """The collection that the path names, or 404."""
        return self.collections.get(self.path["name"])

    def fields(self, *known: str) -> Fields:
        """Return the body, with only these fields allowed."""
        return Fields(self.body, self.where, known)

    def filter(self, fields: Fields, name: str = "filter") -> edge.Filter | None:
        """Return a filter that every release of Qdrant answers alike on what is stored, or None.

        Raises:
            RefusedError: it is wrong, or releases differ (400).
        """
        wanted = read_filter(fields.raw(name), fields.path(name))
        if wanted is not None:
            check_releases(self.collection, fields.raw(name), fields.path(name))
        return wanted
