"""The documents in the team's Qdrant: one entry per document, in the payload of its first passage.

The entry cannot disagree with the passages: it is written, made visible and deleted with them. ``places`` are the
(folder, name) pairs under which the content was ingested; a document is deleted with its last place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vellum.workloads.vectors import FORM, NoCollectionError, Qdrant, having

Place = tuple[str, str]
"""(folder as it was named to ingest, path of the file in it)."""
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One document in Qdrant."""

    document_id: str
    document: str
    committed: bool
    point: str
    places: frozenset[Place]
    pages: int
    passages: int
    page_errors: int
    form: int = FORM

    @property
    def current(self) -> bool:
        """Return whether the document is visible and indexed in the form of this version."""
        return self.committed and self.form == FORM

    def payload(self) -> dict[str, Any]:
        """Return the entry as the first passage's payload has it."""
        return {
            "places": sorted(self.places),
            "pages": self.pages,
            "passages": self.passages,
            "page_errors": self.page_errors,
            "form": self.form,
        }


def read(qdrant: Qdrant) -> dict[str, Entry]:
    """Return every document by its id, whole or not; empty if nothing was ever indexed.

    Raises:
        WorkloadError: Qdrant fails or refuses (VEL531, VEL532, VEL533).
    """
    entries: dict[str, Entry] = {}
    request: dict[str, Any] = {
        "filter": having("first"),
        "limit": _PAGE,
        "with_vector": False,
        "with_payload": {"include": ["document_id", "document", "committed", "entry"]},
    }
    while True:
        try:
            answer = qdrant.call("POST", "/points/scroll", request)
        except NoCollectionError:
            return {}
        entries.update((entry.document_id, entry) for entry in map(_entry, answer["points"]))
        if answer.get("next_page_offset") is None:
            return entries
        request["offset"] = answer["next_page_offset"]


def _entry(point: dict[str, Any]) -> Entry:
    payload = point["payload"]
    entry = payload["entry"]
    return Entry(
        document_id=payload["document_id"],
        document=payload["document"],
        committed=bool(payload.get("committed")),
        point=str(point["id"]),
        places=frozenset((folder, name) for folder, name in entry["places"]),
        pages=entry["pages"],
        passages=entry["passages"],
        page_errors=entry["page_errors"],
        form=entry.get("form", 1),
    )
