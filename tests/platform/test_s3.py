"""S3 through the gateway with a team's key: S3's order, and keys that are refused instead of mixed up."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.platform.harness import ROOT, Installation
from tests.platform.test_services import refused, s3

from vellum.connect.binding import Binding

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def binding(platform: Installation) -> dict[str, str]:
    return platform.binding("team-a")


@pytest.fixture
def prefix() -> str:
    return f"{uuid.uuid4().hex}/"


def put(store: Any, binding: dict[str, str], prefix: str, *keys: str) -> None:
    for key in keys:
        store.put_object(
            Bucket=binding["VELLUM_BUCKET"], Key=prefix + key, Body=b"" if key.endswith("/") else key.encode()
        )


def keys(store: Any, binding: dict[str, str], prefix: str, **more: Any) -> list[str]:
    result = store.list_objects_v2(Bucket=binding["VELLUM_BUCKET"], Prefix=prefix, **more)
    return [content["Key"].removeprefix(prefix) for content in result.get("Contents", ())]


def test_keys_are_listed_by_their_bytes_in_every_form(binding: dict[str, str], prefix: str) -> None:
    """After aws/aws-cli#6845: `aws s3 sync --delete` loses files where they are not."""
    store, bucket = s3(binding), binding["VELLUM_BUCKET"]
    put(store, binding, prefix, "run/x", "run-1/a", "run.txt", "run", "run0")
    right = ["run", "run-1/a", "run.txt", "run/x", "run0"]

    assert keys(store, binding, prefix) == right
    assert keys(store, binding, prefix, StartAfter=f"{prefix}run.txt") == right[3:]
    pages = store.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": 1}
    )
    assert [content["Key"].removeprefix(prefix) for page in pages for content in page["Contents"]] == right
    old = store.list_objects(Bucket=bucket, Prefix=prefix, Marker=f"{prefix}run-1/a")
    assert [content["Key"].removeprefix(prefix) for content in old["Contents"]] == right[2:]
    folders = store.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/")
    assert [item["Prefix"].removeprefix(prefix) for item in folders["CommonPrefixes"]] == ["run-1/", "run/"]
    versions = store.list_object_versions(Bucket=bucket, Prefix=prefix)["Versions"]
    assert [version["Key"].removeprefix(prefix) for version in versions] == right


def test_a_key_and_keys_below_it_live_side_by_side(binding: dict[str, str], prefix: str) -> None:
    store, bucket = s3(binding), binding["VELLUM_BUCKET"]
    put(store, binding, prefix, "a/b", "a", "a/b/c")
    store.delete_object(Bucket=bucket, Key=f"{prefix}a/b")

    assert keys(store, binding, prefix) == ["a", "a/b/c"]
    assert [store.get_object(Bucket=bucket, Key=prefix + key)["Body"].read() for key in ("a", "a/b/c")] == [
        b"a",
        b"a/b/c",
    ]
    store.delete_object(Bucket=bucket, Key=f"{prefix}a/b/c")
    assert "CommonPrefixes" not in store.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}a/", Delimiter="/")


@pytest.mark.parametrize("key", ["a//b", "a\\b", "./a", "a/../b", "a/.uploads/x", "a.versions/x", "x" * 256])
def test_a_key_that_the_store_would_confuse_is_refused(binding: dict[str, str], prefix: str, key: str) -> None:
    """The store would mix it up with another key; nothing is stored."""
    store, bucket = s3(binding), binding["VELLUM_BUCKET"]
    code = "KeyTooLongError" if len(key) > 255 else "InvalidArgument"

    assert refused(store.put_object, Bucket=bucket, Key=prefix + key, Body=b"1") == code
    assert refused(store.create_multipart_upload, Bucket=bucket, Key=prefix + key) == code
    if ".versions" not in key:
        batch = {"Objects": [{"Key": prefix + key}]}
        assert refused(store.delete_objects, Bucket=bucket, Delete=batch) == code
    assert keys(store, binding, prefix) == []


def test_a_copy_without_a_key_is_refused(binding: dict[str, str], prefix: str) -> None:
    store, bucket = s3(binding), binding["VELLUM_BUCKET"]
    for source in (bucket, f"{bucket}/", f"/{bucket}"):
        assert refused(store.copy_object, Bucket=bucket, Key=f"{prefix}copy", CopySource=source) == "InvalidArgument"
    assert keys(store, binding, prefix) == []


def test_a_presigned_link_names_the_download(binding: dict[str, str], prefix: str) -> None:
    """After minio/minio#3400: by the client that the binding gives."""
    store, bucket = Binding.of(binding, "the test").s3(), binding["VELLUM_BUCKET"]
    put(store, binding, prefix, "card.json")
    for more in (
        {},
        {"ResponseContentType": "text/plain"},
        {"ResponseContentDisposition": 'attachment; filename="card.json"'},
    ):
        url = store.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": f"{prefix}card.json", **more})
        with urllib.request.urlopen(url) as answer:
            assert answer.status == 200


def test_the_guides_presigned_addresses_work(binding: dict[str, str]) -> None:
    """The code of the guide, run as a user runs it."""
    guide = (ROOT / "docs/guides/connect-your-code.md").read_text()
    code = guide.partition("### Share one object")[2].partition("```python\n")[2].partition("```")[0]
    environment = {**os.environ, **binding}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "b'Hello from outside'\n", "")


def test_a_presigned_post_is_refused_with_the_way_out(binding: dict[str, str], prefix: str) -> None:
    form = s3(binding).generate_presigned_post(binding["VELLUM_BUCKET"], f"{prefix}form")
    request = urllib.request.Request(
        form["url"], b"--x--", {"Content-Type": "multipart/form-data; boundary=x"}, method="POST"
    )
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request)
    with refusal.value as answer:
        body = answer.read()
    assert (refusal.value.code, b"<Code>NotImplemented</Code>" in body) == (501, True)
    assert b"generate_presigned_url(" in body


def test_a_key_and_a_marker_of_its_name_never_overwrite_each_other(binding: dict[str, str], prefix: str) -> None:
    """The store keeps both in one place: a marker `a/` beside `a/b` destroyed `a`."""
    store, bucket = s3(binding), binding["VELLUM_BUCKET"]
    put(store, binding, prefix, "a", "a/b", "m/")

    assert refused(store.put_object, Bucket=bucket, Key=f"{prefix}a/") == "InvalidRequest"
    assert refused(store.put_object, Bucket=bucket, Key=f"{prefix}m", Body=b"1") == "InvalidRequest"
    assert refused(store.create_multipart_upload, Bucket=bucket, Key=f"{prefix}a") == "InvalidRequest"
    store.delete_object(Bucket=bucket, Key=f"{prefix}m")
    assert keys(store, binding, prefix) == ["a", "a/b", "m/"]
    assert refused(store.get_object, Bucket=bucket, Key=f"{prefix}a/") == "NoSuchKey"
    assert store.get_object(Bucket=bucket, Key=f"{prefix}a")["Body"].read() == b"a"
    assert "Uploads" not in store.list_multipart_uploads(Bucket=bucket, Prefix=prefix)


@pytest.mark.parametrize("pair", [("a", "a/"), ("a", "a/b"), ("a/", "a/b")])
def test_simultaneous_writes_are_all_there_or_refused(
    binding: dict[str, str], prefix: str, pair: tuple[str, str]
) -> None:
    """The store answered 200 to `a` and `a/` and kept one of them."""
    store, both = s3(binding), threading.Barrier(2)

    def written(key: str) -> str:
        both.wait()
        try:
            put(store, binding, "", key)
        except ClientError as refusal:
            return f"{refusal.response['Error']['Code']}"
        return key

    for turn in range(20):
        tried = [f"{prefix}{turn}/{key}" for key in pair]
        with ThreadPoolExecutor(2) as threads:
            results = list(threads.map(written, tried))
        right = [key for key in tried if key in results]
        assert [key for key in results if key not in tried] == ["InvalidRequest"] * (pair == ("a", "a/"))
        assert keys(store, binding, f"{prefix}{turn}/") == [key.rpartition(f"/{turn}/")[2] for key in right]
        for key in right:
            content = store.get_object(Bucket=binding["VELLUM_BUCKET"], Key=key)["Body"].read()
            assert content == (b"" if key.endswith("/") else key.encode())


def test_a_slow_client_without_a_key_keeps_no_writer_waiting(binding: dict[str, str], prefix: str) -> None:
    """The store reads a whole body before it refuses the client, and the writer would wait for ten seconds."""
    address, key = urllib.parse.urlsplit(binding["AWS_ENDPOINT_URL"]), f"{binding['VELLUM_BUCKET']}/{prefix}a"
    with socket.create_connection((str(address.hostname), address.port or 80)) as slow:
        slow.sendall(f"PUT /{key} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 10\r\n\r\n12345".encode())
        time.sleep(0.5)
        began = time.monotonic()
        put(s3(binding), binding, prefix, "a/x")
        assert time.monotonic() - began < 8
    assert keys(s3(binding), binding, prefix) == ["a/x"]


def test_an_upload_in_parts_and_keys_below_it_exclude_each_other(binding: dict[str, str], prefix: str) -> None:
    """In both orders; the store itself answers 500 to the end of the upload, and destroys a marker."""
    store, bucket, key = s3(binding), binding["VELLUM_BUCKET"], f"{prefix}model"
    upload = store.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    tag = store.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"1")["ETag"]
    end = {
        "Bucket": bucket,
        "Key": key,
        "UploadId": upload,
        "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": tag}]},
    }
    for below in ("model/", "model/config.json"):
        put(store, binding, prefix, below)
        assert refused(store.complete_multipart_upload, **end) == "InvalidRequest"
        assert refused(store.create_multipart_upload, Bucket=bucket, Key=key) == "InvalidRequest"
        assert keys(store, binding, prefix) == [below]
        store.delete_object(Bucket=bucket, Key=prefix + below)
    store.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)


def test_no_form_of_deletion_takes_another_key(binding: dict[str, str], prefix: str) -> None:
    store, bucket = s3(binding), binding["VELLUM_BUCKET"]
    put(store, binding, prefix, "m/", "a")
    store.delete_object(Bucket=bucket, Key=f"{prefix}m", VersionId="null")
    store.delete_object(Bucket=bucket, Key=f"{prefix}a/", VersionId="null")
    assert refused(store.delete_object, Bucket=bucket, Key=f"{prefix}m", VersionId="1") == "InvalidRequest"
    for key in ("m", "a/"):
        batch = {"Objects": [{"Key": prefix + key}, {"Key": f"{prefix}none"}]}
        assert refused(store.delete_objects, Bucket=bucket, Delete=batch) == "InvalidRequest"
    assert keys(store, binding, prefix) == ["a", "m/"]
    all_of_them = {"Objects": [{"Key": f"{prefix}{key}"} for key in ("m", "m/", "a", "a/")]}
    store.delete_objects(Bucket=bucket, Delete=all_of_them)
    assert keys(store, binding, prefix) == []


def test_who_may_not_write_is_not_told_what_exists(
    platform: Installation, binding: dict[str, str], prefix: str
) -> None:
    put(s3(binding), binding, prefix, "m/", "a")
    stranger, bucket = s3(platform.binding("team-b")), binding["VELLUM_BUCKET"]
    for key in ("m", "a/", "none", "none/"):
        assert refused(stranger.put_object, Bucket=bucket, Key=prefix + key) == "AccessDenied"
        assert refused(stranger.delete_object, Bucket=bucket, Key=prefix + key) == "AccessDenied"
        assert refused(stranger.create_multipart_upload, Bucket=bucket, Key=f"{prefix}m") == "AccessDenied"
    named = {"Objects": [{"Key": prefix + key} for key in ("m", "a/", "none")]}
    delete_objects = stranger.delete_objects(Bucket=bucket, Delete=named)
    assert [error["Code"] for error in delete_objects["Errors"]] == ["AccessDenied"] * 3
    assert keys(s3(binding), binding, prefix) == ["a", "m/"]
    assert refused(stranger.list_objects_v2, Bucket=bucket) == "AccessDenied"
    assert refused(stranger.list_multipart_uploads, Bucket=bucket) == "AccessDenied"


def test_multipart_uploads_are_listed_by_key(binding: dict[str, str], prefix: str) -> None:
    store, bucket = s3(binding), binding["VELLUM_BUCKET"]
    begun = [
        (key, store.create_multipart_upload(Bucket=bucket, Key=prefix + key)["UploadId"])
        for key in ("z", "a", "m/x", "a", "m-1")
    ]
    result = store.list_multipart_uploads(Bucket=bucket, Prefix=prefix)["Uploads"]
    assert [(item["Key"].removeprefix(prefix), item["UploadId"]) for item in result] == sorted(begun)
    for key, upload in begun:
        store.abort_multipart_upload(Bucket=bucket, Key=prefix + key, UploadId=upload)
