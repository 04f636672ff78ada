"""Turn bytes into text that is safe to parse and to print: check size, encoding and invisible characters."""

from __future__ import annotations

import codecs
import re

from vellum.errors import ClaimError

MOST_BYTES = 1 << 20
"""1 MiB: etcd's largest object is of this size, and a claim has a few hundred bytes."""
_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # C0 and C1 controls: they steer a terminal
    "\u2028\u2029"  # line breaks for some YAML readers and letters for others
    "\u202a-\u202e\u2066-\u2069"  # direction marks: the text reads in another order than it is stored
    "\ufeff\ufffe\uffff]"
)
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)


def text(data: bytes, source: str) -> str:
    """Return the text of a file of claims; every step is linear in its size.

    Raises:
        ClaimError: VEL103 too large, VEL104 not plain UTF-8 text, VEL106 a YAML directive.
    """
    if len(data) > MOST_BYTES:
        raise ClaimError(
            "VEL103", f"the file has more than {MOST_BYTES} bytes",
            where=source, fix="split it into one file per team; a folder may have any number of them",
        )  # fmt: skip
    if data.startswith(_BYTE_ORDER_MARKS):
        raise ClaimError(
            "VEL104", "the file begins with a byte order mark",
            where=f"{source}:1", fix="save it as UTF-8 without BOM",
        )  # fmt: skip
    try:
        decoded = data.decode()
    except UnicodeDecodeError as error:
        raise ClaimError(
            "VEL104", f"byte {error.start} is not UTF-8",
            where=f"{source}:{_line(data[: error.start].decode(), error.start)}", fix="save the file as UTF-8",
        ) from None  # fmt: skip
    _plain(decoded, source)
    return decoded


def _plain(decoded: str, source: str) -> None:
    if unseen := _UNSEEN.search(decoded):
        raise ClaimError(
            "VEL104", f"the text has an invisible character U+{ord(unseen[0]):04X}",
            where=f"{source}:{_line(decoded, unseen.start())}",
            fix="delete the character; an editor shows it when asked to",
        )  # fmt: skip
    # Thousands of %TAG lines cost libyaml quadratic time before the first event.
    if directive := _DIRECTIVE.search(decoded):
        raise ClaimError(
            "VEL106", "Vellum does not read YAML directives (lines that begin with %)",
            where=f"{source}:{_line(decoded, directive.start())}", fix="delete the line",
        )  # fmt: skip


def _line(decoded: str, position: int) -> int:
    return decoded.count("\n", 0, position) + 1
