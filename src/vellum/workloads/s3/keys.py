r"""Which keys the store can keep. Pure.

S3's keys are flat strings. SeaweedFS makes a path of each. So some keys share a path, and some are missing from every
listing (measured on 4.48): ``a//b``, ``/a/b`` and ``a\\b`` are stored as ``a/b``, and what lies below a name that ends
in ``.versions``, or below ``.uploads``, is never listed. Such keys are refused, before a byte of them is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

LONGEST = 1024
"""Bytes of a key, as in S3."""
LONGEST_NAME = 255
"""Bytes between two slashes, the store's own limit."""
_HIDDEN, _HISTORY = ".uploads", ".versions"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of S3: HTTP status, code, the problem and the fix."""

    status: int
    code: str
    message: str


def refusal(key: str, *, writes: bool, deletes: bool = False) -> Refusal | None:
    """Return why the store cannot keep the key, or None.

    Old data may have a key below ``NAME.versions``: it can be read and deleted. What lies below ``.uploads`` are the
    store's own parts of uploads: they can only be read.
    """
    if len(key.encode()) > LONGEST:
        return Refusal(400, "KeyTooLongError", f"The key has more than {LONGEST} bytes. Write a shorter key.")
    names = key.split("/")
    if any(len(name.encode()) > LONGEST_NAME for name in names):
        text = f"A part of the key between two slashes has more than {LONGEST_NAME} bytes. Shorten it."
        return Refusal(400, "KeyTooLongError", text)
    # The last name of a marker is empty: its key ends with one slash.
    if "" in names[:-1] or key in ("", "/"):
        return _invalid(key, "has an empty name before a slash", "write one slash between two names, none at the start")
    if "\\" in key or "\0" in key:
        return _invalid(key, "has a backslash or a zero byte", "write a slash, or another character")
    if "." in names or ".." in names:
        return _invalid(key, "has a name that is one or two dots", "write the path without it")
    if (writes or deletes) and _HIDDEN in names:
        return _invalid(key, f"has the name {_HIDDEN}, which the store keeps for itself", "choose another name")
    if writes and any(name.endswith(_HISTORY) for name in names):
        text = f"has a name that ends with {_HISTORY}, which the store keeps for itself"
        return _invalid(key, text, "choose another name")
    return None


def other(key: str) -> str:
    """Return the key that shares the place of this one in the store: ``a/`` for ``a``, and the other way round."""
    return key.removesuffix("/") if key.endswith("/") else f"{key}/"


def refused_source(source: str) -> Refusal | None:
    """Return why nothing can be copied from ``x-amz-copy-source``: BUCKET/KEY, percent-encoded."""
    try:
        path = unquote_to_bytes(source.partition("?")[0]).decode()
    except UnicodeDecodeError:
        return Refusal(400, "InvalidArgument", "The copy source is not UTF-8. Percent-encode its key as UTF-8.")
    bucket, _, key = path.removeprefix("/").partition("/")
    if not bucket or not key:
        text = f"The copy source '{source}' names no key. Write it as BUCKET/KEY."
        return Refusal(400, "InvalidArgument", text)
    if key.endswith("/"):
        text = f"The copy source '{source}' is a marker of a folder, which has no content. Write the marker anew."
        return Refusal(400, "InvalidArgument", text)
    return refusal(key, writes=False)


def _invalid(key: str, wrong: str, fix: str) -> Refusal:
    return Refusal(400, "InvalidArgument", f"The key '{key}' {wrong}, which this store cannot keep apart: {fix}.")
