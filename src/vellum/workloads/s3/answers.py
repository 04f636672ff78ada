"""S3's answers as XML, written and read. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote_plus
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from vellum.workloads.s3.keys import Refusal
from vellum.workloads.s3.listing import Entry, Group, Item, Listing, Page

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_CONTROL = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")
"""Characters that XML 1.0 does not allow. S3 writes them as numeric references, and so does the front."""
_FACTS = ("LastModified", "ETag", "Size", "StorageClass")
Fields = Iterable[tuple[str, str]]


def error(refusal: Refusal, resource: str, request_id: str) -> bytes:
    """Return the body of a refusal."""
    fields = (
        ("Code", refusal.code),
        ("Message", _CONTROL.sub(lambda result: f"\\x{ord(result[0]):02x}", refusal.message)),
        ("Resource", resource),
        ("RequestId", request_id),
    )
    return f"{_HEAD}<Error>{_fields(fields)}</Error>".encode()


def objects(head: Fields, listing: Listing, *, encoded: bool, owner: bool) -> bytes:
    """Return the body of ListObjects, in both versions."""
    parts = [_entry(entry, encoded=encoded, owner=owner) for entry in listing.entries]
    return whole("ListBucketResult", head, parts)


def versions(head: Fields, listing: Listing, *, encoded: bool) -> bytes:
    """Return the body of ListObjectVersions for a bucket that has no versions: each key has the one called null."""
    more = "<VersionId>null</VersionId><IsLatest>true</IsLatest>"
    parts = [_entry(entry, encoded=encoded, owner=True, name="Version", more=more) for entry in listing.entries]
    return whole("ListVersionsResult", head, parts)


def upload_entry(entry: Entry, *, encoded: bool) -> str:
    """Return one upload of ListMultipartUploads, or a group of them."""
    return _entry(entry, encoded=encoded, owner=False, name="Upload")


def whole(name: str, head: Fields, parts: list[str]) -> bytes:
    """Return a body: the fields, then the entries."""
    return f'{_HEAD}<{name} xmlns="{_NAMESPACE}">{_fields(head)}{"".join(parts)}</{name}>'.encode()


def _entry(entry: Entry, *, encoded: bool, owner: bool, name: str = "Contents", more: str = "") -> str:
    if isinstance(entry, Group):
        return f"<CommonPrefixes>{_field('Prefix', coded(entry.prefix, encoded=encoded))}</CommonPrefixes>"
    text = f"{_field('Key', coded(entry.key, encoded=encoded))}{more}{_fields(entry.facts)}"
    if owner:
        text += f"<Owner>{_field('ID', entry.owner[0])}{_field('DisplayName', entry.owner[1])}</Owner>"
    return f"<{name}>{text}</{name}>"


def coded(text: str, *, encoded: bool) -> str:
    """Return a key unchanged, or percent-encoded if the client asked for that."""
    return quote(text, safe="/") if encoded else text


def _fields(fields: Fields) -> str:
    return "".join(_field(name, value) for name, value in fields)


def _field(name: str, value: str) -> str:
    text = _CONTROL.sub(lambda match: f"&#{ord(match[0])};", escape(value))
    return f"<{name}>{text}</{name}>"


def page(body: bytes) -> Page:
    """Parse the store's listing of one folder, requested with encoding-type=url.

    Raises:
        ValueError: the text is not a listing.
    """
    root = _root(body)
    values = {child.tag.rpartition("}")[2]: child.text or "" for child in root}
    items = [item for child in root if child.tag.endswith("}Contents") if not _phantom(item := _item(child))]
    folders = [
        unquote_plus(child[0].text or "").removesuffix("/") for child in root if child.tag.endswith("}CommonPrefixes")
    ]
    more = values.get("IsTruncated") == "true"
    return Page(items, folders, values.get("NextContinuationToken", "") if more else "")


def _root(body: bytes) -> ET.Element:
    try:
        return ET.fromstring(body)  # noqa: S314  # the platform's own store
    except ET.ParseError as wrong:
        raise ValueError(f"the store's answer is not XML: {wrong}") from wrong


def _phantom(item: Item) -> bool:
    """Return whether it is a folder without keys; the store lists such a folder as a key when asked for it alone."""
    return item.key.endswith("/") and ("ETag", '""') in item.facts


def _item(element: ET.Element) -> Item:
    children = {child.tag.rpartition("}")[2]: child for child in element}
    owner = {child.tag.rpartition("}")[2]: child.text or "" for child in children.get("Owner", ())}
    facts = tuple((name, children[name].text or "") for name in _FACTS if name in children)
    return Item(unquote_plus(children["Key"].text or ""), facts, (owner.get("ID", ""), owner.get("DisplayName", "")))


def code(body: bytes) -> str:
    """Return the code of an error of the store; empty where the body is not one."""
    try:
        root = _root(body)
    except ValueError:
        return ""
    return next((child.text or "" for child in root if child.tag.rpartition("}")[2] == "Code"), "")


def upload_id(body: bytes) -> str:
    """Return the id of a multipart upload that the store has begun.

    Raises:
        ValueError: the text is not XML.
    """
    return next((child.text or "" for child in _root(body) if child.tag.endswith("}UploadId")), "")


def uploads(body: bytes) -> tuple[list[Item], Mapping[str, str]]:
    """Return the multipart uploads in the store's listing, and the fields around them.

    Raises:
        ValueError: the text is not XML.
    """
    root = _root(body)
    values = {child.tag.rpartition("}")[2]: child.text or "" for child in root}
    return [_upload(child) for child in root if child.tag.endswith("}Upload")], values


def _upload(element: ET.Element) -> Item:
    values = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
    return Item(values.get("Key", ""), tuple((name, values.get(name, "")) for name in ("UploadId", "Initiated")))
