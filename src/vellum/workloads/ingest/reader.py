"""The process that calls PDFium: it reads one job per line from standard input and writes one answer per line.

It is a process of its own because PDFium is not safe for threads and may crash or hang on a broken file. A job is
``{"seconds", "path"}`` (how many pages?) or ``{"seconds", "path", "document_id", "start", "stop", "output"}`` (write
the text of these pages). Answers: ``{"pages": n}``, ``{"verdict": "encrypted" | "damaged"}``; for text ``{"page": i}``
before each page, then ``{"failed": [pages], "characters": n}``. Pages count from 0 here.

The parent ends a reader that hangs. If the parent has died, the kernel does it: immediately when the parent's end of
standard input closes in the middle of a job, and in any case after ``seconds`` for one page or one opening.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import signal
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson
import pypdfium2
import pypdfium2.raw

from vellum.workloads.ingest.layers import without_hidden
from vellum.workloads.words import LINE_END

_ADDRESS_SPACE = 1 << 30
"""A page that needs more (a decompression bomb) fails alone instead of using up the machine's memory."""
_REOPEN = 256
"""PDFium keeps what it parsed; reopening after this many pages bounds memory on a file of any length."""


_FILLED_IN = frozenset(
    {
        pypdfium2.raw.FPDF_ANNOT_WIDGET,
        pypdfium2.raw.FPDF_ANNOT_FREETEXT,
        pypdfium2.raw.FPDF_ANNOT_STAMP,
        pypdfium2.raw.FPDF_ANNOT_WATERMARK,
        pypdfium2.raw.FPDF_ANNOT_REDACT,
    }
)
"""Annotations that draw text on the page: form values, typed notes, stamps."""


class _Open:
    """The most recently requested document, kept open because jobs come in runs."""

    def __init__(self) -> None:
        self._path, self._read = "", 0
        self._document: Any = None
        self._source: Path | bytes = b""

    def get(self, path: str) -> Any:  # noqa: ANN401  # pypdfium2 publishes no types
        """Return the open document of a path, reopened after ``_REOPEN`` pages."""
        if path != self._path:
            self.close()
            self._source = without_hidden(Path(path)) or Path(path)
        if self._document is None or self._read >= _REOPEN:
            self._close_document()
            self._document, self._path, self._read = pypdfium2.PdfDocument(self._source), path, 0
            if self._document.get_formtype() != pypdfium2.raw.FORMTYPE_NONE:
                self._document.init_forms()
        return self._document

    def page_text(self, path: str, page: int) -> str:
        """Return the visible text of a page."""
        document = self.get(path)
        self._read += 1
        opened = document[page]
        if _draws_text(opened):
            # PDFium itself needs no form for this; only pypdfium2 requires one.
            pypdfium2.raw.FPDFPage_Flatten(opened, pypdfium2.raw.FLAT_NORMALDISPLAY)
            opened.close()
            opened = document[page]
        try:
            text_page = opened.get_textpage()
            try:
                return normalise(_inside(opened, text_page))
            finally:
                text_page.close()
        finally:
            opened.close()

    def close(self) -> None:
        """Close the document and forget its path."""
        self._close_document()
        self._path, self._source = "", b""

    def _close_document(self) -> None:
        if self._document is not None:
            self._document.close()
        self._document = None


def _draws_text(page: Any) -> bool:  # noqa: ANN401  # pypdfium2 publishes no types
    """Return whether annotations draw text on a page: PDFium extracts that only once they are part of the page."""
    for number in range(pypdfium2.raw.FPDFPage_GetAnnotCount(page)):
        annotation = pypdfium2.raw.FPDFPage_GetAnnot(page, number)
        kind = pypdfium2.raw.FPDFAnnot_GetSubtype(annotation)
        pypdfium2.raw.FPDFPage_CloseAnnot(annotation)
        if kind in _FILLED_IN:
            return True
    return False


def _inside(page: Any, text_page: Any) -> str:  # noqa: ANN401  # pypdfium2 publishes no types
    """Return the text inside the visible part of a page."""
    left, bottom, right, top = page.get_cropbox()
    x0, y0, x1, y1 = page.get_mediabox()
    if left <= x0 and bottom <= y0 and right >= x1 and top >= y1:
        text: str = text_page.get_text_range()
    else:
        text = text_page.get_text_bounded(left, bottom, right, top)
    return text


def normalise(text: str) -> str:
    r"""Return PDFium's text with plain line ends and composed letters, without control characters.

    PDFium writes a hyphen at a line's end as U+FFFE. It may divide a word or belong to it, so it stays,
    followed by a mark. ``words`` compares both spellings.
    """
    text = text.replace(LINE_END, "").replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub("(?:\ufffe|[-\u00ad\u2010](?=\n))\n?", f"-{LINE_END}", text)
    return unicodedata.normalize("NFC", text).translate(_CONTROL)


_CONTROL = {code: None for code in range(32) if chr(code) not in "\n\t"}


def main() -> None:
    """Answer jobs until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    for number in (signal.SIGALRM, signal.SIGIO):
        signal.signal(number, signal.SIG_DFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    # Output of libraries goes to stderr: only answers may use the original standard output.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    opened = _Open()
    for line in sys.stdin.buffer:
        job = json.loads(line)
        with _mortal(job["seconds"]):
            answer = _text(opened, job, answers) if "output" in job else _pages(opened, job["path"])
        answers.write(orjson.dumps(answer) + b"\n")


@contextmanager
def _mortal(seconds: int) -> Iterator[None]:
    """Let the kernel end this process when a job takes too long (SIGALRM) or the parent is gone (SIGIO).

    Neither signal needs Python to run, which may be inside PDFium. SIGIO comes when standard input changes: the parent
    sends nothing before it has its answer, so the change means that its end was closed. The kernel's death signal is
    not enough: it comes when the thread that started a process ends, and the parent's threads come and go. A thread
    that waits for the end of standard input would use 130 MB of address space (measured).
    """
    flags = fcntl.fcntl(0, fcntl.F_GETFL)
    fcntl.fcntl(0, fcntl.F_SETFL, flags | os.O_ASYNC)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    fcntl.fcntl(0, fcntl.F_SETFL, flags)


def _pages(opened: _Open, path: str) -> dict[str, Any]:
    try:
        return {"pages": len(opened.get(path))}
    except pypdfium2.PdfiumError as error:
        locked = error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD
        return {"verdict": "encrypted" if locked else "damaged"}
    except (OSError, MemoryError, ValueError):
        return {"verdict": "damaged"}


def _text(opened: _Open, job: dict[str, Any], answers: IO[bytes]) -> dict[str, Any]:
    failed: list[int] = []
    characters = 0
    with Path(job["output"]).open("wb") as output:
        for page in range(job["start"], job["stop"]):
            signal.alarm(job["seconds"])
            answers.write(b'{"page":%d}\n' % page)
            try:
                text = opened.page_text(job["path"], page)
            except (pypdfium2.PdfiumError, OSError, MemoryError, ValueError):
                failed.append(page)
                continue
            characters += len(text.strip())
            row = {"document_id": job["document_id"], "page": page + 1, "text": text}
            output.write(orjson.dumps(row) + b"\n")
    return {"failed": failed, "characters": characters}


if __name__ == "__main__":
    main()
