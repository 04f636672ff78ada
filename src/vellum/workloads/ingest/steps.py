"""The bodies of the pipeline's three steps: files in, files out; the same in a pod and in a local process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import orjson

from vellum.connect import connect
from vellum.errors import VellumError, WorkloadError
from vellum.workloads.ingest import ledger
from vellum.workloads.ingest.events import emit, end_with_worker
from vellum.workloads.ingest.ledger import Entry, Place
from vellum.workloads.vectors import Qdrant

PATIENCE = 30.0
"""Seconds for which a step waits for a Qdrant that is being started again."""
READABLE = ("ok", "page_errors")


@contextmanager
def told() -> Iterator[None]:
    """Tell the worker in words why a step ends; kfp itself reports no more than that it failed."""
    try:
        yield
    except VellumError as error:
        emit("error", **error.as_dict())
        raise


@told()
def extract(source: str, pages: str, listing: str, *, prune: bool) -> None:
    """Find the folder's PDFs and write the text of those that Qdrant does not have yet.

    Args:
        source: The folder as a ``file:`` address.
        pages: The folder to write, one JSON line a page.
        listing: The file to write: ``{"source", "skipped": [names], "listed": [names], "files": [...]}``.
        prune: Whether documents that left the folder will be removed; the whole folder must then be readable.

    Raises:
        WorkloadError: the folder (VEL501), a folder in it that would be pruned (VEL504) or Qdrant (VEL53x) cannot be
            read.
    """
    from vellum.workloads.ingest.extract import Extraction
    from vellum.workloads.ingest.find import find, text_of

    end_with_worker()
    folder = folder_of(source)
    scan = find(folder)
    if prune and scan.closed:
        raise WorkloadError(
            "VEL504",
            "a folder in it cannot be read, so what it holds would be forgotten",
            where=f"{text_of(folder)}/{scan.closed[0]}",
            fix="let this user read it, or ingest without --prune; nothing was changed",
        )
    known = {key: entry for key, entry in ledger.read(_qdrant()).items() if entry.current}
    emit("listing", files=[[item.document_id, os.fsencode(item.path).hex()] for item in scan.documents])
    new = [document for document in scan.documents if document.document_id not in known]
    results = {result.document.document_id: result for result in Extraction(Path(pages)).run(new)}
    files = [{"names": [name], "verdict": "unreadable", "document_id": ""} for name in (*scan.unreadable, *scan.closed)]
    for document in scan.documents:
        file: dict[str, Any] = {"document_id": document.document_id, "names": list(document.names)}
        if document.document_id in known:
            entry = known[document.document_id]
            verdict = "page_errors" if entry.page_errors else "ok"
            file |= {"verdict": verdict, "pages": entry.pages, "page_errors": entry.page_errors, "known": True}
            file["passages"] = entry.passages
        else:
            result = results[document.document_id]
            file |= {"verdict": result.verdict, "pages": result.pages, "page_errors": len(result.failed)}
        files.append(file)
    whole = {"source": text_of(folder.resolve()), "skipped": list(scan.skipped), "listed": sorted(scan.listed)}
    _write(listing, {**whole, "files": files})


@told()
def chunk(pages: str, listing: str, passages: str, counts: str) -> None:
    """Cut the pages into passages.

    Args:
        pages: What ``extract`` wrote.
        listing: What ``extract`` found.
        passages: The file to write, one JSON line a passage.
        counts: The file to write: passages by document id.
    """
    from vellum.workloads.ingest.chunk import chunk as cut

    end_with_worker()
    files = _read(listing)["files"]
    wanted = {file["document_id"] for file in files if file["verdict"] in READABLE and not file.get("known")}
    _write(counts, cut(Path(pages), Path(passages), wanted))


@told()
def index(listing: str, passages: str, counts: str, verdicts: str, *, prune: bool) -> None:
    """Make every new document visible, then remove the earlier documents of its names.

    Args:
        listing: What ``extract`` found.
        passages: What ``chunk`` wrote.
        counts: How many passages ``chunk`` wrote for each document.
        verdicts: The file to write: ``{"skipped": [names], "removed": [ids], "files": [...]}``.
        prune: Also remove names that the folder no longer has.

    Raises:
        WorkloadError: Qdrant fails or refuses (VEL53x).
    """
    from vellum.workloads.ingest.index import Index

    end_with_worker()
    extracted, written = _read(listing), _read(counts)
    files = extracted["files"]
    for file in files:
        file.setdefault("passages", written.get(file["document_id"], 0))
        if file["verdict"] not in READABLE or file.get("known"):
            _tell(file)
    by_id = {file["document_id"]: file for file in files}
    before = ledger.read(_qdrant())
    wanted = {key: _entry(by_id[key], extracted["source"], before.get(key)) for key in written}
    index = Index(_qdrant())
    index.prepare(wanted)
    older = frozenset(key for key, entry in before.items() if entry.committed and not entry.current)
    for document_id in index.write(Path(passages), wanted, older):
        _tell(by_id[document_id])
    # What an older version indexed and this one cannot read must not be cited any more.
    index.forget(older & {file["document_id"] for file in files if file["verdict"] not in READABLE})
    present = {file["document_id"]: _places(file, extracted["source"]) for file in files if file["passages"]}
    kept = frozenset(extracted["listed"]) if prune else None
    removed = index.settle(present, extracted["source"], kept)
    _write(verdicts, {"skipped": extracted["skipped"], "removed": removed, "files": files})


def folder_of(source: str) -> Path:
    """Return the folder that a ``file:`` address names."""
    return Path(os.fsdecode(unquote_to_bytes(urlsplit(source).path)))


def _qdrant() -> Qdrant:
    binding = connect().require("QDRANT_URL")
    assert binding.QDRANT_URL is not None
    return Qdrant(binding.QDRANT_URL, binding.QDRANT_API_KEY, patience=PATIENCE)


def _places(file: dict[str, Any], source: str) -> frozenset[Place]:
    return frozenset((source, name) for name in file["names"])


def _entry(file: dict[str, Any], source: str, before: Entry | None) -> Entry:
    """Return the entry of a document that is indexed now; other folders may have it too."""
    places = _places(file, source) | (before.places if before else frozenset())
    return Entry(
        document_id=file["document_id"],
        document=file["names"][0],
        committed=False,
        point="",
        places=places,
        pages=file["pages"],
        passages=file["passages"],
        page_errors=file["page_errors"],
    )


def _tell(file: dict[str, Any]) -> None:
    """Report one content under each of its names; ``same_as`` is the name that it is counted and cited by."""
    first, *others = file["names"]
    for name in (first, *others):
        emit(
            "file",
            document=name,
            **({} if name == first else {"same_as": first}),
            verdict=file["verdict"],
            page_errors=file.get("page_errors", 0),
            pages=file.get("pages", 0),
            passages=file["passages"],
            unchanged=bool(file.get("known")),
        )


def _write(path: str, value: object) -> None:
    Path(path).write_bytes(orjson.dumps(value))


def _read(path: str) -> Any:  # noqa: ANN401  # any JSON
    return orjson.loads(Path(path).read_bytes())
