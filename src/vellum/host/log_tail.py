"""Find the last useful line of a program's log."""

from __future__ import annotations

import os
import re
from pathlib import Path

TAIL_BYTES = 64 * 2**10
WIDEST = 300
_EMPTY = re.compile(r"[\s^~|_=*.-]*")
"""Lines without letters or digits, such as those below a traceback's code."""
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ERROR = re.compile(
    r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Warning)\b(?::|$)|\b(?:error|fatal|panic)\b",
    re.IGNORECASE,
)
_TRACEBACK = ("Traceback (most recent call last)", "  File ", "    ", "During handling of", "The above exception")
_WAITS = "waits: "
"""The start of the line in which a program says why it does not serve yet (``workloads/models/store.py``)."""
_REFUSED = re.compile(r"\bVEL5[0-9]{2}: ")


def own_reason(log: Path) -> str:
    """Return why a program is not ready, as its log says; empty if the last line does not say it."""
    message = last_message(log)
    if message.startswith(_WAITS):
        return message.removeprefix(_WAITS)
    refused = _REFUSED.search(message)
    return message[refused.start() :] if refused else ""


def last_message(log: Path, begins: int = 0, *, errors: bool = False) -> str:
    """Return the last meaningful line of a log, from the byte ``begins`` on; empty if there is none.

    With ``errors``, return only a line that names an error.

    Of a traceback, return the line that names the error, even if the program was cut off while it wrote the trace.
    """
    lines = _tail(log, begins)
    written = [line for line in lines if not _EMPTY.fullmatch(line)]
    plain = [line for line in written if not line.startswith(_TRACEBACK)]
    named = [line for line in plain if _ERROR.search(line)]
    last = (named or ([""] if errors else plain or written or [""]))[-1]
    return last.strip()[:WIDEST]


def _tail(log: Path, begins: int) -> list[str]:
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            # A log that was rotated meanwhile may be shorter than ``begins``.
            file.seek(max(begins if begins <= end else 0, end - TAIL_BYTES))
            text = file.read(TAIL_BYTES).decode(errors="replace")
    except OSError:
        return []
    return [_ESCAPE.sub("", line).rstrip() for line in text.splitlines()]
