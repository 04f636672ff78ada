"""What a request asks of S3, read as strictly as the store reads it. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote_to_bytes

from vellum.workloads.s3.keys import Refusal, refusal, refused_source

_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_PART = re.compile(r"[0-9]{1,5}")
SUBRESOURCES = frozenset((
    "accelerate", "acl", "analytics", "cors", "encryption", "intelligent-tiering", "inventory", "lifecycle", "location",
    "logging", "metrics", "notification", "object-lock", "ownershipControls", "policy", "policyStatus",
    "publicAccessBlock", "replication", "requestPayment", "tagging", "versioning", "website",
))  # fmt: skip
"""What else than a listing a GET of a bucket may ask for."""

ONCE = frozenset(
    (
        "content-length",
        "content-type",
        "expect",
        "host",
        "transfer-encoding",
        "x-amz-copy-source",
        "x-amz-decoded-content-length",
        "x-amz-rename-source",
    )
)
"""Headers that are judged here; of two, the store might read the other one."""


class Kind(Enum):
    """The kind of a request."""

    PASS = "pass"  # noqa: S105  # not a password
    """Forwarded unchanged."""
    LIST = "list"
    VERSIONS = "versions"
    UPLOADS = "uploads"
    READ = "read"
    """GET or HEAD of an object."""
    WRITE = "write"
    """PUT or copy of an object, or the first request of a multipart upload."""
    DELETE = "delete"
    BATCH = "batch"
    """DeleteObjects: the keys are in the body."""
    FORM = "form"
    """A browser's upload: the key is in the body."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a bucket or one of its keys."""

    kind: Kind
    bucket: str
    key: str
    query: Mapping[str, str]
    method: str = ""


def read(method: str, path: bytes, query: bytes, headers: Mapping[str, str]) -> Asked | Refusal:
    """Return the parsed request, or why it is refused.

    Args:
        method: in capitals.
        path: as the client sent it, percent-encoded, without the query.
        query: as the client sent it, without the question mark.
        headers: by name in small letters.
    """
    if _ESCAPE.search(path) or _ESCAPE.search(query) or b";" in query:
        return Refusal(
            400, "InvalidURI", "The address has a percent sign or a semicolon that is not encoded. Encode it."
        )
    try:
        whole, pairs = unquote_to_bytes(path).decode(), _pairs(query)
    except UnicodeDecodeError:
        return Refusal(400, "InvalidURI", "The key or the query is not UTF-8. Percent-encode it as UTF-8.")
    bucket, _, key = whole.removeprefix("/").partition("/")
    if not whole.startswith("/") or b"%" in path[1:].partition(b"/")[0]:
        return Refusal(
            400, "InvalidBucketName", "The address does not begin with the name of a bucket. Write /BUCKET/KEY."
        )
    if not bucket and not key:
        return Asked(Kind.PASS, "", "", pairs)
    if not _BUCKET.fullmatch(bucket):
        return Refusal(400, "InvalidBucketName", f"'{bucket}' is not the name of a bucket. Write /BUCKET/KEY.")
    if len(pairs) != len([part for part in query.split(b"&") if part]):
        return Refusal(400, "InvalidArgument", "A parameter stands twice in the address. Write it once.")
    if not key:
        return Asked(_of_bucket(method, pairs, headers), bucket, "", pairs)
    return _of_object(method, bucket, key, pairs, headers)


def repeated(names: Iterable[str]) -> Refusal | None:
    """Return the refusal of a request that gives a judged header twice; names are in small letters."""
    for name, count in Counter(names).items():
        if count > 1 and name in ONCE:
            return Refusal(400, "InvalidArgument", f"The header {name} stands twice in the request. Send it once.")
    return None


def _pairs(query: bytes) -> dict[str, str]:
    pairs = (part.partition(b"=") for part in query.split(b"&") if part)
    return {_text(name): _text(value) for name, _, value in pairs}


def _text(value: bytes) -> str:
    return unquote_to_bytes(value.replace(b"+", b" ")).decode()


def _of_bucket(method: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Kind:
    if method == "POST":
        if headers.get("content-type", "").strip().lower().startswith("multipart/form-data"):
            return Kind.FORM
        return Kind.BATCH if "delete" in query else Kind.PASS
    if method != "GET" or not SUBRESOURCES.isdisjoint(query):
        return Kind.PASS
    if "uploads" in query:
        return Kind.UPLOADS
    return Kind.VERSIONS if "versions" in query else Kind.LIST


def _of_object(
    method: str, bucket: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> Asked | Refusal:
    kind = _kind_of_object(method, query)
    wrong = refusal(key, writes=kind is Kind.WRITE, deletes=kind is Kind.DELETE)
    if kind is Kind.WRITE or method == "PUT":
        wrong = wrong or _unwritable(method, key, query, headers)
    if kind is Kind.DELETE and "if-match" in headers:
        # The front asks the store about a client with a condition that fails. On a deletion the store reads only
        # If-Match (SeaweedFS 4.48), so the front cannot make a client's own If-Match fail.
        text = "This store takes no If-Match on a deletion. Delete the key without the condition."
        wrong = wrong or Refusal(501, "NotImplemented", text)
    return wrong or Asked(kind, bucket, key, query, method)


def _kind_of_object(method: str, query: Mapping[str, str]) -> Kind:
    if method in ("GET", "HEAD"):
        return Kind.PASS if query.keys() & {"acl", "tagging", "uploadId", "retention", "legal-hold"} else Kind.READ
    if method == "DELETE":
        return Kind.PASS if query.keys() & {"tagging", "uploadId"} else Kind.DELETE
    if method == "PUT":
        return Kind.PASS if query.keys() & {"acl", "tagging", "retention", "legal-hold"} else Kind.WRITE
    return Kind.WRITE if method == "POST" else Kind.PASS


def _unwritable(method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Refusal | None:
    """Return why a write is refused: the store would misread it, or would store it without its content."""
    for name in ("x-amz-copy-source", "x-amz-rename-source"):
        if name in headers and (wrong := refused_source(headers[name])):
            return wrong
    part = query.keys() & {"uploadId", "partNumber"}
    if (
        method == "PUT"
        and part
        and not (
            len(part) == 2 and query["uploadId"] and _PART.fullmatch(query["partNumber"])  # noqa: PLR2004  # both
        )
    ):
        text = "A part needs an uploadId and a partNumber from 1 to 10000. Write both."
        return Refusal(400, "InvalidArgument", text)
    if not key.endswith("/"):
        return None
    if method == "POST" or "x-amz-copy-source" in headers or _has_body(headers):
        text = f"The key '{key}' ends with a slash, and this store keeps no content there: write a key without it."
        return Refusal(400, "InvalidArgument", text)
    return None


def _has_body(headers: Mapping[str, str]) -> bool:
    length = headers.get("x-amz-decoded-content-length") or headers.get("content-length")
    return length != "0" if length is not None else "transfer-encoding" in headers
