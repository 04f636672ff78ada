"""Extract the text of every page with two reader processes; no file and no page stops the others."""

from __future__ import annotations

import json
import math
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any, TypeVar

import orjson

from vellum.workloads.ingest.events import emit
from vellum.workloads.ingest.find import Document, stamp_of

READERS = 2
PAGES_PER_JOB = 64
PAGE_SECONDS = 20.0
"""How long one page, or opening one file, may take before its reader is ended."""
_GRACE_SECONDS = 5
"""Seconds beyond that after which a reader ends itself, in case its parent has died."""
_LOST_LIMIT = 3
"""After this many pages of a file that crashed or hung their reader, the rest of the file is skipped."""
_PROGRESS_SECONDS = 0.2

Job = TypeVar("Job")


class _LostError(Exception):
    """The reader died, or was ended because it hung."""

    def __init__(self, page: int | None, *, hung: bool) -> None:
        super().__init__(page)
        self.page, self.hung = page, hung


class _Reader:
    """One reader process, started again when it is lost."""

    def __init__(self, page_seconds: float) -> None:
        self._seconds = page_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, job: dict[str, Any], on_page: Callable[[], None]) -> dict[str, Any]:
        """Send a job and return its answer, calling ``on_page`` for every page begun."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        page: int | None = None
        try:
            limit = math.ceil(self._seconds) + _GRACE_SECONDS
            process.stdin.write(json.dumps({**job, "seconds": limit}).encode() + b"\n")
            process.stdin.flush()
        except OSError as error:
            self.close()
            raise _LostError(page, hung=False) from error
        while True:
            line = self._line(process.stdout, page)
            answer: dict[str, Any] = orjson.loads(line)
            if "page" not in answer:
                return answer
            page = answer["page"]
            on_page()

    def close(self) -> None:
        """Kill the process; it may hang inside PDFium, where it ignores requests."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            argv = [sys.executable, "-P", "-m", "vellum.workloads.ingest.reader"]
            self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        return self._process

    def _line(self, stdout: IO[bytes], page: int | None) -> bytes:
        if not select.select([stdout], [], [], self._seconds)[0]:
            self.close()
            raise _LostError(page, hung=True)
        line = stdout.readline()
        if not line.endswith(b"\n"):
            self.close()
            raise _LostError(page, hung=False)
        return line


@dataclass(slots=True)
class Extracted:
    """The result of one document."""

    document: Document
    verdict: str = "ok"
    pages: int = 0
    characters: int = 0
    failed: set[int] = field(default_factory=set)
    """Pages without text because they could not be read, from 0."""
    lost: int = 0
    """How often a reader was lost over this file."""

    def settle(self) -> None:
        """Decide the verdict once every page was tried."""
        if self.verdict != "ok":
            return
        changed = stamp_of_or_none(self.document) != self.document.stamp
        if changed or len(self.failed) >= self.pages:
            self.verdict = "damaged"
        elif not self.characters:
            self.verdict = "no_text"
        elif self.failed:
            self.verdict = "page_errors"


def stamp_of_or_none(document: Document) -> object:
    """Return the file's stamp, or None if the file is gone. A file that changes while it is read cannot be cited."""
    try:
        return stamp_of(document.path)
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class _Range:
    """Pages of one document for one job."""

    order: int
    of: Extracted
    start: int
    stop: int


class Extraction:
    """Extracts documents into ``folder``: JSON lines of pages, in files that sort by document and page."""

    def __init__(self, folder: Path, page_seconds: float = PAGE_SECONDS) -> None:
        self._folder, self._page_seconds = folder, page_seconds
        self._done, self._total, self._said, self._began = 0, 0, 0.0, time.monotonic()
        self._lock = threading.Lock()

    def run(self, documents: Sequence[Document]) -> list[Extracted]:
        """Return the results of the documents, in their order."""
        self._folder.mkdir(parents=True, exist_ok=True)
        results = [Extracted(document) for document in documents]
        readers = [_Reader(self._page_seconds) for _ in range(READERS)]
        try:
            _spread(readers, results, self._open)
            self._total = sum(result.pages for result in results)
            _spread(readers, _ranges(results), self._read)
        finally:
            for reader in readers:
                reader.close()
        for result in results:
            result.settle()
        self._say(force=True)
        return results

    def _open(self, reader: _Reader, result: Extracted) -> None:
        for _ in range(2):
            try:
                answer = reader.ask({"path": str(result.document.path)}, lambda: None)
            except _LostError:
                continue
            result.verdict, result.pages = answer.get("verdict", "ok"), answer.get("pages", 0)
            if not result.pages and result.verdict == "ok":
                result.verdict = "damaged"
            return
        result.verdict = "damaged"

    def _read(self, reader: _Reader, job: _Range) -> None:
        """Read a range; around a page that is lost it is read in two parts, and a page that crashes gets one retry."""
        parts, retried = deque([(job.start, job.stop)]), -1
        while parts:
            start, stop = parts.popleft()
            if job.of.lost >= _LOST_LIMIT:
                job.of.failed.update(range(start, stop))
                self._output(job, start).unlink(missing_ok=True)
                continue
            try:
                self._read_part(reader, job, start, stop)
            except _LostError as lost:
                page = start if lost.page is None else lost.page
                if lost.hung or retried == page:
                    job.of.lost += 1
                    job.of.failed.add(page)
                    after = page + 1
                else:
                    retried, after = page, page
                parts.extend(part for part in ((start, page), (after, stop)) if part[0] < part[1])

    def _read_part(self, reader: _Reader, job: _Range, start: int, stop: int) -> None:
        request = {
            "path": str(job.of.document.path),
            "document_id": job.of.document.document_id,
            "start": start,
            "stop": stop,
            "output": str(self._output(job, start)),
        }
        answer = reader.ask(request, self._page)
        with self._lock:
            job.of.failed.update(answer["failed"])
            job.of.characters += answer["characters"]

    def _output(self, job: _Range, start: int) -> Path:
        return self._folder / f"{job.order:06}-{start:08}.jsonl"

    def _page(self) -> None:
        with self._lock:
            self._done += 1
            self._say()

    def _say(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if self._total and (force or now - self._said >= _PROGRESS_SECONDS):
            self._said = now
            rate = round(self._done / max(now - self._began, 0.001))
            emit("page_progress", pages=min(self._done, self._total), of=self._total, pages_per_s=rate)


def _ranges(results: Sequence[Extracted]) -> list[_Range]:
    return [
        _Range(order, result, start, min(start + PAGES_PER_JOB, result.pages))
        for order, result in enumerate(results)
        if result.verdict == "ok"
        for start in range(0, result.pages, PAGES_PER_JOB)
    ]


def _spread(readers: Sequence[_Reader], jobs: Iterable[Job], work: Callable[[_Reader, Job], None]) -> None:
    """Give each reader a thread that takes the next job until none is left; the first failure is raised."""
    waiting: SimpleQueue[Job] = SimpleQueue()
    failures: list[Exception] = []
    for job in jobs:
        waiting.put(job)

    def take(reader: _Reader) -> None:
        """Work on jobs until none is left or one fails."""
        try:
            while not failures:
                work(reader, waiting.get_nowait())
        except Empty:
            return
        except Exception as error:  # noqa: BLE001  # raised below, in the caller's thread
            failures.append(error)

    threads = [threading.Thread(target=take, args=(reader,)) for reader in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
