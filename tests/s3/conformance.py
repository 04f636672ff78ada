"""A table of S3 requests and their required answers: ``python -m tests.s3.conformance``.

Reads ``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and ``VELLUM_BUCKET``, as
``eval "$(vellum connect TEAM --export)"`` sets them. The cases follow ceph's s3-tests and minio's mint, but share no code.
"""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

MIB = 1 << 20


@dataclass(frozen=True)
class S3:
    """A client, a bucket and a prefix of the case's own."""

    client: Any
    bucket: str
    prefix: str

    def __call__(self, operation: str, key: str | None = None, **more: Any) -> Any:
        """Call an operation; an error is its code."""
        named = {"Bucket": self.bucket, **({"Key": self.prefix + key} if key is not None else {}), **more}
        try:
            return getattr(self.client, operation)(**named)
        except ClientError as error:
            return f"{error.response['ResponseMetadata']['HTTPStatusCode']} {error.response['Error']['Code']}"

    def put(self, *keys: str, body: bytes = b"0123456789", **more: Any) -> S3:
        for key in keys:
            self("put_object", key, Body=b"" if key.endswith("/") else body, **more)
        return self

    def get(self, key: str, **more: Any) -> Any:
        result = self("get_object", key, **more)
        return result if isinstance(result, str) else result["Body"].read()

    def keys(self, operation: str = "list_objects_v2", field: str = "Contents", **more: Any) -> Any:
        prefix = more.pop("Prefix", "")
        result = self(operation, Prefix=self.prefix + prefix, **more)
        return result if isinstance(result, str) else [self.short(item["Key"]) for item in result.get(field, ())]

    def groups(self, **more: Any) -> list[str]:
        result = self("list_objects_v2", Prefix=self.prefix, **more)
        return [self.short(prefix["Prefix"]) for prefix in result.get("CommonPrefixes", ())]

    def short(self, key: str) -> str:
        return key.removeprefix(self.prefix)

    def upload(self, key: str, *parts: bytes, **more: Any) -> Any:
        begun = self("create_multipart_upload", key, **more)
        if isinstance(begun, str):
            return begun
        upload, sent = begun["UploadId"], []
        for number, part in enumerate(parts, 1):
            tag = self("upload_part", key, UploadId=upload, PartNumber=number, Body=part)["ETag"]
            sent.append({"PartNumber": number, "ETag": tag})
        return self("complete_multipart_upload", key, UploadId=upload, MultipartUpload={"Parts": sent})


Case = Callable[[S3], Any]
TEN = b"0123456789"
ORDER = ("run", "run-1/a", "run.txt", "run/x", "run0")


def _status(url: str, method: str = "GET", body: bytes | None = None) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method=method)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _pages(s3: S3, operation: str, **more: Any) -> list[str]:
    pages = s3.client.get_paginator(operation).paginate(Bucket=s3.bucket, Prefix=s3.prefix, **more)
    return [
        s3.short(item.get("Key") or item["Prefix"])
        for page in pages
        for field in ("Contents", "CommonPrefixes", "Versions")
        for item in page.get(field, ())
    ]


def _delete(s3: S3, *keys: str) -> Any:
    done = s3("delete_objects", Delete={"Objects": [{"Key": s3.prefix + key} for key in keys]})
    return done if isinstance(done, str) else sorted(s3.short(item["Key"]) for item in done["Deleted"])


def _presigned(s3: S3, operation: str, key: str, **more: Any) -> str:
    params = {"Bucket": s3.bucket, "Key": s3.prefix + key, **more}
    return str(s3.client.generate_presigned_url(operation, Params=params))


def _tags(s3: S3, key: str) -> Any:
    result = s3("get_object_tagging", key)
    return result if isinstance(result, str) else [(item["Key"], item["Value"]) for item in result["TagSet"]]


def _head(s3: S3, key: str, field: str, **more: Any) -> Any:
    result = s3("head_object", key, **more)
    return result if isinstance(result, str) else result.get(field)


def _source(s3: S3, key: str) -> dict[str, str]:
    return {"Bucket": s3.bucket, "Key": s3.prefix + key}


def _copied(s3: S3, to: str, source: Any, **more: Any) -> Any:
    result = s3("copy_object", to, CopySource=source, **more)
    return result if isinstance(result, str) else s3.get(to)


def _part_copied(s3: S3, to: str, source: Any, **more: Any) -> Any:
    upload = s3("create_multipart_upload", to)["UploadId"]
    result = s3("upload_part_copy", to, UploadId=upload, PartNumber=1, CopySource=source, **more)
    if isinstance(result, str):
        s3("abort_multipart_upload", to, UploadId=upload)
        return result
    parts = [{"PartNumber": 1, "ETag": result["CopyPartResult"]["ETag"]}]
    s3("complete_multipart_upload", to, UploadId=upload, MultipartUpload={"Parts": parts})
    return s3.get(to)


def _aborted(s3: S3) -> Any:
    upload = s3("create_multipart_upload", "k")["UploadId"]
    s3("abort_multipart_upload", "k", UploadId=upload)
    return s3("list_parts", "k", UploadId=upload)


MD5 = hashlib.md5(TEN).hexdigest()
CASES: Mapping[str, tuple[Any, Case]] = {
    "get what was put": (TEN, lambda s3: s3.put("k").get("k")),
    "an empty object": (b"", lambda s3: s3.put("k", body=b"").get("k")),
    "the last write wins": (b"2", lambda s3: s3.put("k", body=b"1").put("k", body=b"2").get("k")),
    "the ETag is the MD5": (f'"{MD5}"', lambda s3: s3("put_object", "k", Body=TEN)["ETag"]),
    "a wrong Content-MD5": ("400 BadDigest", lambda s3: s3("put_object", "k", Body=TEN, ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")),
    "head gives the length": (10, lambda s3: _head(s3.put("k"), "k", "ContentLength")),
    "no such key": ("404 NoSuchKey", lambda s3: s3.get("none")),
    "head of no key": ("404 404", lambda s3: s3("head_object", "none")),
    "no such bucket": (True, lambda s3: s3("list_objects_v2", Bucket="no-such-bucket-at-all") in ("404 NoSuchBucket", "403 AccessDenied")),
    "delete of no key": (204, lambda s3: s3("delete_object", "none")["ResponseMetadata"]["HTTPStatusCode"]),
    "deleted is gone": ("404 NoSuchKey", lambda s3: (s3.put("k")("delete_object", "k"), s3.get("k"))[1]),
    "delete in a batch": (["a", "none"], lambda s3: _delete(s3.put("a", "b"), "a", "none")),
    "the batch left the rest": (["b"], lambda s3: (_delete(s3.put("a", "b"), "a"), s3.keys())[1]),
    "content type": ("text/x-v", lambda s3: _head(s3.put("k", ContentType="text/x-v"), "k", "ContentType")),
    "cache control": ("no-cache", lambda s3: _head(s3.put("k", CacheControl="no-cache"), "k", "CacheControl")),
    "metadata": ({"a-b": "c d"}, lambda s3: _head(s3.put("k", Metadata={"a-b": "c d"}), "k", "Metadata")),
    "tags": ([("a", "b")], lambda s3: _tags(s3.put("k", Tagging="a=b"), "k")),
    "range": (b"234", lambda s3: s3.put("k").get("k", Range="bytes=2-4")),
    "range to the end": (b"789", lambda s3: s3.put("k").get("k", Range="bytes=7-")),
    "range from the end": (b"89", lambda s3: s3.put("k").get("k", Range="bytes=-2")),
    "range beyond": ("416 InvalidRange", lambda s3: s3.put("k").get("k", Range="bytes=20-")),
    "if-match": (TEN, lambda s3: s3.put("k").get("k", IfMatch=f'"{MD5}"')),
    "if-match fails": ("412 PreconditionFailed", lambda s3: s3.put("k").get("k", IfMatch='"0"')),
    "if-none-match": ("304 304", lambda s3: s3.put("k").get("k", IfNoneMatch=f'"{MD5}"')),
    "put only if new": ("412 PreconditionFailed", lambda s3: s3.put("k")("put_object", "k", Body=b"2", IfNoneMatch="*")),
    "keys in order": (list(ORDER), lambda s3: s3.put(*ORDER).keys()),
    "keys in order, first version": (list(ORDER), lambda s3: s3.put(*ORDER).keys("list_objects")),
    "versions in order": (list(ORDER), lambda s3: s3.put(*ORDER).keys("list_object_versions", "Versions")),
    "pages of one": (list(ORDER), lambda s3: _pages(s3.put(*ORDER), "list_objects_v2", PaginationConfig={"PageSize": 1})),
    "pages of two, first version": (list(ORDER), lambda s3: _pages(s3.put(*ORDER), "list_objects", PaginationConfig={"PageSize": 2})),
    "pages of groups": (
        ["run", "run-1/", "run.txt", "run/", "run0"],
        lambda s3: _pages(s3.put(*ORDER), "list_objects_v2", Delimiter="/", PaginationConfig={"PageSize": 1}),
    ),
    "start after": (["run/x", "run0"], lambda s3: s3.put(*ORDER).keys(StartAfter=f"{s3.prefix}run.txt")),
    "start after no key": (["run.txt", "run/x", "run0"], lambda s3: s3.put(*ORDER).keys(StartAfter=f"{s3.prefix}run-2")),
    "marker": (["run0"], lambda s3: s3.put(*ORDER).keys("list_objects", Marker=f"{s3.prefix}run/x")),
    "groups": (["run-1/", "run/"], lambda s3: s3.put(*ORDER).groups(Delimiter="/")),
    "groups of another delimiter": (["run-", "run."], lambda s3: [*s3.put(*ORDER).groups(Delimiter="-"), *s3.groups(Delimiter=".")]),
    "a prefix within a name": (["run-1/a"], lambda s3: s3.put(*ORDER).keys(Prefix="run-")),
    "no keys are asked": (([], False), lambda s3: (s3.put(*ORDER).keys(MaxKeys=0), s3("list_objects_v2", MaxKeys=0)["IsTruncated"])),
    "a wrong max-keys": ("400 InvalidArgument", lambda s3: s3.keys(MaxKeys=-1)),
    "a wrong token": ("400 InvalidArgument", lambda s3: s3.keys(ContinuationToken="?")),
    "characters of all kinds": (
        sorted(names := ["a b", "a+b", "a%2Fb", "ü", "u\u0308", "&<>\"'", "\U0001f600", "a\tb", "~"]),
        lambda s3: s3.put(*names).keys(),
    ),
    "a key and keys below": (["a", "a/b"], lambda s3: s3.put("a/b", "a").keys()),
    "below a deleted key": ([TEN, "404 NoSuchKey"], lambda s3: (s3.put("a", "a/b")("delete_object", "a"), [s3.get("a/b"), s3.get("a")])[1]),
    "a marker": (["m/", "m/a"], lambda s3: s3.put("m/", "m/a").keys()),
    "no marker, no answer": ("404 NoSuchKey", lambda s3: s3.put("m/a").get("m/")),
    "an empty folder": ([], lambda s3: (s3.put("f/a")("delete_object", "f/a"), s3.groups(Delimiter="/"))[1]),
    "an empty name": ("400 InvalidArgument", lambda s3: s3("put_object", "a//b", Body=TEN)),
    "a backslash": ("400 InvalidArgument", lambda s3: s3("put_object", "a\\b", Body=TEN)),
    "a name of 256 bytes": ("400 KeyTooLongError", lambda s3: s3("put_object", "x" * 256, Body=TEN)),
    "a marker with content": ("400 InvalidArgument", lambda s3: s3("put_object", "m/", Body=TEN)),
    "a marker over a key": ("409 InvalidRequest", lambda s3: s3.put("a", "a/b")("put_object", "a/")),
    "a deletion if it matches": ("501 NotImplemented", lambda s3: s3.put("k")("delete_object", "k", IfMatch=f'"{MD5}"')),
    "copy": (TEN, lambda s3: _copied(s3.put("k"), "to", _source(s3, "k"))),
    "copy with other metadata": ({"n": "2"}, lambda s3: (
        _copied(s3.put("k", Metadata={"n": "1"}), "to", _source(s3, "k"), Metadata={"n": "2"}, MetadataDirective="REPLACE"),
        _head(s3, "to", "Metadata"))[1]),
    "copy of no key": ("404 NoSuchKey", lambda s3: _copied(s3, "to", _source(s3, "none"))),
    "copy of a bucket": ("400 InvalidArgument", lambda s3: _copied(s3, "to", s3.bucket)),
    "copy if it matches": ("412 PreconditionFailed", lambda s3: _copied(s3.put("k"), "to", _source(s3, "k"), CopySourceIfMatch='"0"')),
    "copy from elsewhere": (True, lambda s3: str(_copied(s3, "to", "no-such-bucket-at-all/k"))[:3] in ("403", "404")),
    "parts": (b"a" * 5 * MIB + b"b", lambda s3: (s3.upload("k", b"a" * 5 * MIB, b"b"), s3.get("k"))[1]),
    "parts of metadata": ({"a": "1"}, lambda s3: (s3.upload("k", TEN, Metadata={"a": "1"}), _head(s3, "k", "Metadata"))[1]),
    "an upload is aborted": ("404 NoSuchUpload", _aborted),
    "parts of no upload": ("404 NoSuchUpload", lambda s3: s3("upload_part", "k", UploadId="0" * 73, PartNumber=1, Body=TEN)),
    "a part that is copied": (TEN, lambda s3: _part_copied(s3.put("k"), "to", _source(s3, "k"))),
    "a range that is copied": (b"234", lambda s3: _part_copied(s3.put("k"), "to", _source(s3, "k"), CopySourceRange="bytes=2-4")),
    "a part of a bucket": ("400 InvalidArgument", lambda s3: _part_copied(s3, "to", s3.bucket)),
    "presigned get": (200, lambda s3: _status(_presigned(s3.put("k"), "get_object", "k"))),
    "presigned with a file name": (200, lambda s3: _status(
        _presigned(s3.put("k"), "get_object", "k", ResponseContentDisposition='attachment; filename="a b.json"'))),
    "presigned put": ([200, b"new"], lambda s3: [_status(_presigned(s3, "put_object", "k"), "PUT", b"new"), s3.get("k")]),
    "presigned and changed": (403, lambda s3: _status(_presigned(s3.put("k"), "get_object", "k").replace("Expires=3600", "Expires=3601"))),
    "without a key": (403, lambda s3: _status(f"{s3.client.meta.endpoint_url}/{s3.bucket}?list-type=2")),
}  # fmt: skip


def client(values: Mapping[str, str]) -> Any:
    """Return a client of a binding that tries once."""
    return boto3.client(
        "s3",
        endpoint_url=values["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            retries={"max_attempts": 1},
            parameter_validation=False,
        ),
    )


def run(values: Mapping[str, str]) -> Iterator[tuple[str, Any, Any]]:
    """Yield (case, expected, got)."""
    store, root = client(values), f"conformance-{uuid.uuid4().hex}"
    for number, (name, (expected, case)) in enumerate(CASES.items()):
        yield name, expected, case(S3(store, values["VELLUM_BUCKET"], f"{root}/{number}/"))


def main() -> int:
    """Print the table; return 1 if an answer differs."""
    wrong = 0
    print(f"{'CASE':<30}{'EXPECTED':<32}GOT")  # noqa: T201
    for name, expected, got in run(os.environ):
        same = "the same" if got == expected else repr(got)[:60]
        wrong += got != expected
        print(f"{name:<30}{repr(expected)[:30]:<32}{same}")  # noqa: T201
    print(f"{len(CASES)} cases, {wrong} differ")  # noqa: T201
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
