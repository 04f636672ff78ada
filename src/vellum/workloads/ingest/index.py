"""Write passages to Qdrant so that a document is visible whole or not at all, even if the writer is killed.

Points are written without the field ``committed``, and no query sees those; one call adds it to a whole document.
Point ids derive from the content, so a second attempt writes the same points again.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import orjson

from vellum.errors import WorkloadError
from vellum.workloads.ingest import ledger
from vellum.workloads.ingest.ledger import Entry
from vellum.workloads.vectors import VECTOR, NoCollectionError, Qdrant, document_vector, sparse, where

BATCH = 256
_IN_FLIGHT = 3
"""Batches that wait while one is sent: enough to keep both sides busy, few enough to bound memory."""
_IDS = 1000
"""How many documents one call names."""
_INDEXES = {"document_id": "keyword", "committed": "bool", "first": "bool"}


@dataclass(slots=True)
class Batch:
    """Points to write, and the documents that are complete once they are written."""

    points: list[dict[str, Any]] = field(default_factory=list)
    complete: list[Entry] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    """Ids of the documents whose first point is in this batch."""


class Index:
    """Writes documents to one Qdrant."""

    def __init__(self, qdrant: Qdrant) -> None:
        self._qdrant = qdrant

    def prepare(self, wanted: Mapping[str, Entry]) -> None:
        """Create a missing collection, and remove what a killed run left of the wanted documents."""
        try:
            self._qdrant.call("GET", "")
        except NoCollectionError:
            self._qdrant.call("PUT", "", {"vectors": {}, "sparse_vectors": {VECTOR: {"modifier": "idf"}}})
        for name, kind in _INDEXES.items():
            self._qdrant.call("PUT", "/index?wait=true", {"field_name": name, "field_schema": kind})
        names = iter(wanted)
        while some := list(islice(names, _IDS)):
            # Queried by document and not by the ledger: leftovers may lack the first passage, which has the entry.
            left = {"must": [{"key": "document_id", "match": {"any": some}}, {"is_empty": {"key": "committed"}}]}
            self._remove(left)

    def forget(self, documents: Iterable[str]) -> None:
        """Remove documents by their ids."""
        for document_id in documents:
            self._remove(where(document_id=document_id))

    def write(self, passages: Path, wanted: Mapping[str, Entry], older: frozenset[str] = frozenset()) -> Iterator[str]:
        """Index the passages of the wanted documents, yielding each document's id once it is visible.

        Args:
            passages: The file that ``chunk`` wrote.
            wanted: The documents, by id.
            older: Those that an older version of Vellum indexed. Each stays visible until its own passages are written.

        Raises:
            WorkloadError: Qdrant fails or refuses (VEL53x), or lost passages meanwhile (VEL505).
        """
        with ThreadPoolExecutor(max_workers=1) as sender:
            flights: list[Future[list[str]]] = []
            before: Future[list[str]] | None = None
            for batch in _batches(_points(passages, wanted)):
                before = sender.submit(self._send, batch, before, older)
                flights.append(before)
                if len(flights) > _IN_FLIGHT:
                    yield from flights.pop(0).result()
            for flight in flights:
                yield from flight.result()

    def settle(
        self, present: Mapping[str, frozenset[ledger.Place]], source: str, kept: frozenset[str] | None
    ) -> list[str]:
        """Record every content's places, and remove contents that have none left; return the removed ids.

        A content is cited by a name that it has now: an earlier name may be gone or belong to another content.

        Args:
            present: The places of each content that is now in the folder and in Qdrant.
            source: The folder.
            kept: The only names that the folder has, to forget all others; None forgets none.
        """
        taken = frozenset(place for places in present.values() for place in places)
        removed = []
        for entry in ledger.read(self._qdrant).values():
            now = present.get(entry.document_id, frozenset())
            stale = {place for place in entry.places if place in taken or _is_gone(place, source, kept)}
            places = entry.places - stale | now
            if places:
                shown = _shown(entry, {place for place in places if place[0] != source or place in now} or places)
                self._move(entry, replace(entry, places=places, document=shown))
            else:
                self._remove(where(document_id=entry.document_id))
                removed.append(entry.document_id)
        return removed

    def _send(self, batch: Batch, before: Future[list[str]] | None, older: frozenset[str]) -> list[str]:
        if before is not None:
            # A document may have begun in a batch that failed, so no later batch may make one visible.
            before.result()
        self.forget(older & set(batch.begun))
        if batch.points:
            self._qdrant.call("PUT", "/points?wait=true", {"points": batch.points})
        for entry in batch.complete:
            self._commit(entry)
        return [entry.document_id for entry in batch.complete]

    def _commit(self, entry: Entry) -> None:
        """Make a document visible if all of it is stored: on a cluster two ingests of a team can overlap."""
        chosen = where(document_id=entry.document_id)
        there = self._qdrant.call("POST", "/points/count", {"filter": chosen, "exact": True})["count"]
        if there != entry.passages:
            raise WorkloadError(
                "VEL505",
                f"{there} of {entry.passages} passages are there: something else writes or removes them",
                where=entry.document,
                fix="wait until no other ingest of this team runs, then ingest again",
            )
        self._set({"committed": True}, chosen)

    def _move(self, old: Entry, new: Entry) -> None:
        """Write the differences. Each is compared with the stored one, so the next run repairs an interrupted one."""
        if new.document != old.document:
            self._set({"document": new.document}, where(document_id=new.document_id))
        if new.places != old.places:
            self._set({"entry": new.payload()}, {"must": [{"has_id": [new.point]}]})

    def _set(self, payload: dict[str, Any], chosen: dict[str, Any]) -> None:
        self._qdrant.call("POST", "/points/payload?wait=true", {"payload": payload, "filter": chosen})

    def _remove(self, chosen: dict[str, Any]) -> None:
        self._qdrant.call("POST", "/points/delete?wait=true", {"filter": chosen})


def _shown(entry: Entry, places: Collection[ledger.Place]) -> str:
    """Return the name to cite: the current one if it is still a name of the content."""
    names = {name for _, name in places}
    return entry.document if entry.document in names else min(names)


def _is_gone(place: ledger.Place, source: str, kept: frozenset[str] | None) -> bool:
    folder, name = place
    return kept is not None and folder == source and name not in kept


def _batches(documents: Iterable[tuple[Entry, Iterator[dict[str, Any]]]]) -> Iterator[Batch]:
    """Fill batches across documents, so that a folder of small files needs few calls."""
    batch = Batch()
    for entry, points in documents:
        begun = False
        while more := list(islice(points, BATCH - len(batch.points))):
            batch.points += more
            if not begun:
                batch.begun.append(entry.document_id)
                begun = True
            if len(batch.points) == BATCH:
                yield batch
                batch = Batch()
        batch.complete.append(entry)
    yield batch


def _points(passages: Path, wanted: Mapping[str, Entry]) -> Iterator[tuple[Entry, Iterator[dict[str, Any]]]]:
    with passages.open("rb") as lines:
        for document_id, rows in groupby(map(orjson.loads, lines), key=lambda row: str(row["document_id"])):
            yield wanted[document_id], _of_document(rows, wanted[document_id])


def _of_document(rows: Iterable[dict[str, Any]], entry: Entry) -> Iterator[dict[str, Any]]:
    """Return a document's points; the first one carries the ledger's entry."""
    first: dict[str, Any] = {"first": True, "entry": entry.payload()}
    for row in rows:
        payload = {**row, "document": entry.document, **first}
        yield {"id": point_id(row), "vector": {VECTOR: sparse(document_vector(row["text"]))}, "payload": payload}
        first = {}


def point_id(row: Mapping[str, Any]) -> str:
    """Return the UUID of a passage: the same content gives the same points."""
    text = f"{row['document_id']}\n{row['page']}\n{row['offset']}\n{row['text']}"
    return str(uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=5))
