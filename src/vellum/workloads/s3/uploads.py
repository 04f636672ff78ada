"""Multipart uploads that are under way, in S3's order: by key, then by upload. Pure.

The store lists them by a hash of the key and knows no delimiter (measured on 4.48).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vellum.workloads.s3.answers import coded, upload_entry, whole
from vellum.workloads.s3.keys import Refusal
from vellum.workloads.s3.listing import Group, Item
from vellum.workloads.s3.params import page_size


@dataclass(frozen=True, slots=True)
class WantedUploads:
    """One page of ListMultipartUploads, as the client asks for it."""

    prefix: str
    delimiter: str
    key_marker: str
    id_marker: str
    most: int
    encoded: bool


def wanted_uploads(query: Mapping[str, str]) -> WantedUploads | Refusal:
    """Return what the parameters ask for, or what is wrong with them."""
    most = page_size(query, "max-uploads")
    if isinstance(most, Refusal):
        return most
    return WantedUploads(
        query.get("prefix", ""),
        query.get("delimiter", ""),
        query.get("key-marker", ""),
        query.get("upload-id-marker", ""),
        most,
        query.get("encoding-type") == "url",
    )


def page(bucket: str, wanted: WantedUploads, uploads: Iterable[Item]) -> bytes:
    """Return the body of the answer, from all uploads of the bucket in any order."""
    entries = [entry for entry in _grouped(wanted, uploads) if _after(wanted, entry)]
    shown, more = entries[: wanted.most], len(entries) > wanted.most > 0
    fields = [
        ("Bucket", bucket),
        ("KeyMarker", coded(wanted.key_marker, encoded=wanted.encoded)),
        ("UploadIdMarker", wanted.id_marker),
        ("Prefix", coded(wanted.prefix, encoded=wanted.encoded)),
        ("MaxUploads", str(wanted.most)),
        ("IsTruncated", "true" if more else "false"),
    ]
    if wanted.delimiter:
        fields.append(("Delimiter", coded(wanted.delimiter, encoded=wanted.encoded)))
    if wanted.encoded:
        fields.append(("EncodingType", "url"))
    if more:
        last = shown[-1]
        fields.append(("NextKeyMarker", coded(_key(last), encoded=wanted.encoded)))
        fields.append(("NextUploadIdMarker", _id(last)))
    return whole("ListMultipartUploadsResult", fields, [upload_entry(entry, encoded=wanted.encoded) for entry in shown])


def _grouped(wanted: WantedUploads, uploads: Iterable[Item]) -> list[Item | Group]:
    results: list[Item | Group] = []
    for upload in sorted(uploads, key=lambda item: (item.key, _id(item))):
        if not upload.key.startswith(wanted.prefix):
            continue
        end = upload.key.find(wanted.delimiter, len(wanted.prefix)) if wanted.delimiter else -1
        entry = Group(upload.key[: end + len(wanted.delimiter)]) if end >= 0 else upload
        if entry not in results[-1:]:
            results.append(entry)
    return results


def _after(wanted: WantedUploads, entry: Item | Group) -> bool:
    key = _key(entry)
    if isinstance(entry, Group):
        return key > wanted.key_marker
    if wanted.id_marker and key == wanted.key_marker:
        return _id(entry) > wanted.id_marker
    return key > wanted.key_marker


def _key(entry: Item | Group) -> str:
    return entry.prefix if isinstance(entry, Group) else entry.key


def _id(entry: Item | Group) -> str:
    return dict(entry.facts).get("UploadId", "") if isinstance(entry, Item) else ""
