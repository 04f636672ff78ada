"""What a listing was asked for, and the fields around its answer. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from vellum.workloads.s3.answers import coded
from vellum.workloads.s3.keys import Refusal
from vellum.workloads.s3.listing import Listing

MOST = 1000
"""Entries of one page, as in S3."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One page of a listing, as the client asks for it."""

    prefix: str
    delimiter: str
    after: str
    most: int
    encoded: bool
    owner: bool
    echoed: tuple[tuple[str, str], ...]
    """Fields of the answer that repeat the question."""
    form: str
    """``v1``, ``v2`` or ``versions``."""

    def head(self, bucket: str, listing: Listing) -> list[tuple[str, str]]:
        """Return the fields before the entries."""
        fields = [("Name", bucket), ("Prefix", coded(self.prefix, encoded=self.encoded)), *self.echoed]
        fields.append(("MaxKeys", str(self.most)))
        if self.delimiter:
            fields.append(("Delimiter", coded(self.delimiter, encoded=self.encoded)))
        if self.encoded:
            fields.append(("EncodingType", "url"))
        fields.append(("IsTruncated", "true" if listing.truncated else "false"))
        if self.form == "v2":
            fields.append(("KeyCount", str(len(listing.entries))))
        if listing.truncated and listing.entries:
            fields += self._next(listing.last)
        return fields

    def _next(self, last: str) -> list[tuple[str, str]]:
        if self.form == "v2":
            return [("NextContinuationToken", base64.urlsafe_b64encode(last.encode()).decode())]
        if self.form == "versions":
            return [("NextKeyMarker", coded(last, encoded=self.encoded)), ("NextVersionIdMarker", "null")]
        return [("NextMarker", coded(last, encoded=self.encoded))]


def wanted(query: Mapping[str, str], form: str) -> Wanted | Refusal:
    """Return what the parameters ask for, or what is wrong with them."""
    most = page_size(query, "max-keys")
    if isinstance(most, Refusal):
        return most
    encoding = query.get("encoding-type", "")
    if encoding not in ("", "url"):
        return Refusal(400, "InvalidArgument", f"encoding-type is '{encoding}'. Write url, or leave it out.")
    after = _after(query, form)
    if isinstance(after, Refusal):
        return after
    encoded = encoding == "url"
    repeated = {"v1": ("marker",), "v2": ("continuation-token", "start-after"), "versions": ("key-marker",)}[form]
    echoed = tuple(
        (_FIELDS[name], coded(query.get(name, ""), encoded=encoded and name != "continuation-token"))
        for name in repeated
        if name in query or form != "v2"
    )
    return Wanted(
        query.get("prefix", ""),
        query.get("delimiter", ""),
        after,
        most,
        encoded,
        form != "v2" or query.get("fetch-owner") == "true",
        echoed,
        form,
    )


def page_size(query: Mapping[str, str], name: str) -> int | Refusal:
    """Return how many entries a page may have, at most 1000, or what is wrong with the number."""
    text = query.get(name, "") or str(MOST)
    if not (text.isascii() and text.isdigit() and len(text) <= 10):  # noqa: PLR2004  # 2147483647 has ten
        return Refusal(400, "InvalidArgument", f"{name} is '{text}'. Write a whole number from 0.")
    return min(int(text), MOST)


_FIELDS = {
    "marker": "Marker",
    "continuation-token": "ContinuationToken",
    "start-after": "StartAfter",
    "key-marker": "KeyMarker",
}


def _after(query: Mapping[str, str], form: str) -> str | Refusal:
    if form == "v1":
        return query.get("marker", "")
    if form == "versions":
        return query.get("key-marker", "")
    token = query.get("continuation-token")
    if token is None:
        return query.get("start-after", "")
    try:
        result = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        result = ""
    if result:
        return result
    text = "The continuation token is not one of ours. Write NextContinuationToken of the page before."
    return Refusal(400, "InvalidArgument", text)
