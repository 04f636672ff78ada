"""Keys that the store cannot tell apart although each alone is fine: ``a`` and ``a/``, one entry of a folder.

Measured on SeaweedFS 4.48: a write of ``a/`` destroys ``a`` where ``a/b`` exists, a deletion of ``a`` deletes ``a/``,
and ``a/`` answers as ``a``, or as an empty object where only ``a/b`` exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from enum import Enum

from vellum.workloads.s3.keys import Refusal, other
from vellum.workloads.s3.request import Asked, Kind
from vellum.workloads.s3.store import Store

_AT_ONCE = 16
"""Keys of a batch that the store is asked about at the same time."""


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
    if not changes(asked):
        return Verdict.GO
    if key.endswith("/"):
        held = await store.head(bucket, key.removesuffix("/")) is not None
        return _spared(asked) if held else Verdict.GO
    folder = await store.head(bucket, f"{key}/")
    if folder is None:
        return Verdict.GO
    if is_multipart(asked):
        return Verdict.CONFLICT
    if not shows_marker(folder) or await store.head(bucket, key) is not None:
        return Verdict.GO
    return _spared(asked)


def _spared(asked: Asked) -> Verdict:
    """Return what is done instead of a change that would meet another key."""
    # A version of `a` may exist where `a` does not; to say that it is gone would be false.
    nothing = asked.kind is Kind.DELETE and asked.query.get("versionId", "") in ("", "null")
    return Verdict.NOTHING if nothing else Verdict.CONFLICT


async def at_risk(store: Store, bucket: str, keys: Iterable[str]) -> str | None:
    """Return a key of a batch whose deletion would delete another key that the batch does not name, or None."""
    named = dict.fromkeys(keys)
    alone = [key for key in named if other(key) not in named]

    async def deletes_another(key: str) -> bool:
        there = await store.head(bucket, other(key))
        if key.endswith("/") or there is None:
            return there is not None
        return shows_marker(there) and await store.head(bucket, key) is None

    for start in range(0, len(alone), _AT_ONCE):
        some = alone[start : start + _AT_ONCE]
        result = await asyncio.gather(*(deletes_another(key) for key in some))
        if any(result):
            return some[result.index(True)]
    return None


def changes(asked: Asked) -> bool:
    """Tell whether the request changes its key; a part of an upload does not."""
    return "uploadId" not in asked.query or asked.method == "POST"


def begins(asked: Asked) -> bool:
    """Tell whether this begins a multipart upload; to the store ``?uploads`` means nothing beside another method."""
    return asked.method == "POST" and "uploads" in asked.query


def is_multipart(asked: Asked) -> bool:
    """Tell whether this begins or completes a multipart upload."""
    return asked.method == "POST" and not asked.query.keys().isdisjoint(("uploads", "uploadId"))


def shows_marker(headers: Mapping[str, str]) -> bool:
    """Tell whether an answer for ``a/`` can be that of a marker; it can also be that of an empty object ``a``."""
    return headers.get("content-length") == "0" and not headers.get("etag", "").endswith('-0"')


async def is_marker(store: Store, bucket: str, key: str, headers: Mapping[str, str]) -> bool:
    """Tell whether the answer for a key that ends with a slash is that of a marker, not of another entry."""
    return shows_marker(headers) and await store.head(bucket, key.removesuffix("/")) is None


def conflict(asked: Asked) -> Refusal:
    """Return the refusal of a write that would overwrite another key."""
    held = other(asked.key)
    if is_multipart(asked):
        text = f"This store cannot put a multipart upload at '{asked.key}' beside keys below '{held}'."
        return Refusal(409, "InvalidRequest", f"{text} Choose another key, or upload it in one part.")
    text = f"This store cannot keep '{asked.key}' beside '{held}', which exists."
    return Refusal(409, "InvalidRequest", f"{text} Choose another key, or delete '{held}' first.")


def busy(key: str) -> Refusal:
    """Return the refusal of a change while other requests change keys that the store could mix up with it."""
    text = f"Other requests are still changing '{other(key)}', or keys above or below '{key}'."
    return Refusal(409, "OperationAborted", f"{text} Send the request again.")


def batch_conflict(key: str) -> Refusal:
    """Return the refusal of a batch that would delete a key which it does not name."""
    held = other(key)
    text = f"There is no '{key}', and to delete it would delete '{held}'. Nothing was deleted."
    return Refusal(409, "InvalidRequest", f"{text} Leave '{key}' out, or name '{held}' too.")
