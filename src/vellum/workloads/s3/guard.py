"""Keys that the store cannot tell apart although each alone is fine: ``a`` and ``a/``, one entry of a folder.

Measured on SeaweedFS 4.48: a write of ``a/`` destroys ``a`` where ``a/b`` exists, a deletion of ``a`` deletes ``a/``,
and ``a/`` answers as ``a``, or as an empty object where only ``a/b`` exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from vellum.workloads.s3.keys import Refusal
from vellum.workloads.s3.request import Asked, Kind
from vellum.workloads.s3.store import Store


class Verdict(Enum):
    """The decision on a request for a key."""

    GO = "go"
    CONFLICT = "conflict"
    """The store would overwrite another key."""
    NOTHING = "nothing"
    """There is nothing to delete, and the store would delete another key."""


def never(headers: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Return a condition that no existing entry meets: the store checks the client, and then changes nothing."""
    return (b"if-none-match", b"*") if "if-match" in headers else (b"if-match", b'"0"')


async def judged(store: Store, asked: Asked) -> Verdict:
    """Return the decision on a write or a deletion."""
    bucket, key = asked.bucket, asked.key
    if "uploadId" in asked.query:
        return Verdict.GO
    if key.endswith("/"):
        held = asked.kind is Kind.WRITE and await store.head(bucket, key.removesuffix("/")) is not None
        return Verdict.CONFLICT if held else Verdict.GO
    folder = await store.head(bucket, f"{key}/")
    if folder is None:
        return Verdict.GO
    if "uploads" in asked.query:
        return Verdict.CONFLICT
    if not shows_marker(folder) or await store.head(bucket, key) is not None:
        return Verdict.GO
    return Verdict.CONFLICT if asked.kind is Kind.WRITE else Verdict.NOTHING


def shows_marker(headers: Mapping[str, str]) -> bool:
    """Tell whether an answer for ``a/`` can be that of a marker; it can also be that of an empty object ``a``."""
    return headers.get("content-length") == "0" and not headers.get("etag", "").endswith('-0"')


async def is_marker(store: Store, bucket: str, key: str, headers: Mapping[str, str]) -> bool:
    """Tell whether the answer for a key that ends with a slash is that of a marker, not of another entry."""
    return shows_marker(headers) and await store.head(bucket, key.removesuffix("/")) is None


def conflict(asked: Asked) -> Refusal:
    """Return the refusal of a write that would overwrite another key."""
    other = asked.key.removesuffix("/") if asked.key.endswith("/") else f"{asked.key}/"
    if "uploads" in asked.query:
        said = f"This store cannot put a multipart upload at '{asked.key}' beside keys below '{other}'."
        return Refusal(409, "InvalidRequest", f"{said} Choose another key, or upload it in one part.")
    said = f"This store cannot keep '{asked.key}' beside '{other}', which exists."
    return Refusal(409, "InvalidRequest", f"{said} Choose another key, or delete '{other}' first.")
