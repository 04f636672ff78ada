"""Keep the sources and the records of runs in the team's bucket, beside the pipeline and not in its way.

documents/<document id>.pdf     every PDF that was ever ingested, by content
runs/<run id>/pipeline.yaml, listing.json, counts.json, verdicts.json, run.json
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from vellum.connect import Binding
from vellum.errors import WorkloadError
from vellum.workloads.ingest.find import ID_LENGTH


class _ChangedError(Exception):
    """A file is not the content any more that it was listed as. Never reaches a user: its verdict says so."""


class _Content:
    """A file to be read once, front to back; its end is an error unless all of it was what the id names."""

    def __init__(self, file: IO[bytes], document_id: str) -> None:
        self._file, self._id, self._digest = file, document_id, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; boto3 stores nothing of an upload whose source fails."""
        piece = self._file.read(size)
        self._digest.update(piece)
        if (not piece or size < 0) and self._digest.hexdigest()[:ID_LENGTH] != self._id:
            raise _ChangedError
        return piece


class RunStore:
    """Uploads in one thread of its own; a binding without a bucket stores nothing."""

    def __init__(self, binding: Binding, run: str) -> None:
        self._binding, self._run = binding, run
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._failure: Exception | None = None
        self._client: Any = None
        self._present: set[str] | None = None
        self.artifacts: dict[str, str] = {}
        """s3:// addresses of what the run left behind, by file name."""

    def documents(self, files: Sequence[tuple[str, Path]]) -> None:
        """Store PDFs, given as (document id, path), unless their content is stored already."""
        if self._binding.VELLUM_BUCKET:
            # Only now: importing boto3 beside kfp would slow both, and the steps have processes of their own.
            self._later(self._connect)
            self._later(self._store_documents, list(files))

    def artifact(self, name: str, path: Path) -> None:
        """Store a file of the run."""
        if self._binding.VELLUM_BUCKET:
            key = f"runs/{self._run}/{name}"
            self.artifacts[name] = f"s3://{self._binding.VELLUM_BUCKET}/{key}"
            self._later(self._put, key, path)

    def record(self, record: dict[str, Any], path: Path) -> None:
        """Write the run's record beside its work, then store it last: where it exists the run is complete."""
        path.write_text(json.dumps({**record, "artifacts": dict(self.artifacts)}, indent=1))
        self.artifact("run.json", path)

    def finish(self) -> None:
        """Wait for every upload.

        Raises:
            WorkloadError: the bucket does not take what it is given (VEL521).
        """
        self._thread.shutdown(wait=True)
        if self._failure is not None:
            raise WorkloadError(
                "VEL521",
                f"the bucket does not take the run's files: {self._failure}",
                where=str(self._binding.AWS_ENDPOINT_URL),
                fix="the passages are indexed; if the bucket is over artifacts.quota delete objects or raise it, "
                "else run `vellum status`; then ingest again to store the files",
            ) from self._failure

    def close(self) -> None:
        """Drop what has not begun."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _later(self, work: Any, *args: Any) -> None:  # noqa: ANN401  # any callable
        self._thread.submit(self._do, work, *args)

    def _do(self, work: Any, *args: Any) -> None:  # noqa: ANN401  # any callable
        """Work, unless something failed before: the record, which comes last, must not stand for half a run."""
        if self._failure is None:
            try:
                work(*args)
            except Exception as error:  # noqa: BLE001  # raised by finish, in the caller's thread
                self._failure = error

    def _connect(self) -> None:
        self._client = self._binding.s3()

    def _store_documents(self, files: Sequence[tuple[str, Path]]) -> None:
        if self._present is None:
            self._present = self._stored()
        for document_id, path in files:
            if document_id not in self._present and self._stores(document_id, path):
                self._present.add(document_id)

    def _stores(self, document_id: str, path: Path) -> bool:
        """Store a PDF; tell if it could be: a file may go or change between its listing and now."""
        try:
            file = path.open("rb")
        except OSError:
            return False
        with file:
            try:
                self._client.upload_fileobj(
                    _Content(file, document_id), self._binding.VELLUM_BUCKET, f"documents/{document_id}.pdf"
                )
            except _ChangedError:
                return False
        return True

    def _stored(self) -> set[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._binding.VELLUM_BUCKET, Prefix="documents/"
        )
        return {Path(item["Key"]).stem for page in pages for item in page.get("Contents", ())}

    def _put(self, key: str, path: Path) -> None:
        self._client.upload_file(str(path), self._binding.VELLUM_BUCKET, key)
