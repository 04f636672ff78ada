"""Which keys are refused before anything is stored, and how a request is read."""

from __future__ import annotations

import pytest

from vellum.workloads.s3.keys import Refusal, refusal, refused_source
from vellum.workloads.s3.request import Asked, Kind, read

GOOD = ("a", "a/b", "a/", "a b+c%2F", ".x", "a..b", "...", "ü/\U0001f600", "x" * 255, "a\tb\n")
BAD = (
    "/",
    "/a",
    "a//b",
    "a//",
    "//",
    ".",
    "..",
    "./a",
    "a/.",
    "a/../b",
    "a\\b",
    "a\0b",
    "x" * 256,
    "/".join(["x" * 200] * 6),
    "é" * 128,
)
HIDDEN = (".uploads/x", "a/.uploads", "a.versions", "a.versions/x", "a/.versions/b")


@pytest.mark.parametrize("key", GOOD)
def test_a_key_that_the_store_keeps_is_taken(key: str) -> None:
    assert refusal(key, writes=True) is None


@pytest.mark.parametrize("key", BAD)
@pytest.mark.parametrize("writes", [True, False])
def test_a_key_that_would_be_another_one_is_refused(key: str, *, writes: bool) -> None:
    result = refusal(key, writes=writes)
    assert result is not None
    assert (result.status, result.code in ("InvalidArgument", "KeyTooLongError")) == (400, True)


@pytest.mark.parametrize("key", HIDDEN)
def test_a_key_that_no_listing_would_show_can_be_read_and_not_written(key: str) -> None:
    assert refusal(key, writes=False) is None
    assert refusal(key, writes=True) is not None


@pytest.mark.parametrize(
    "source", ["", "/", "b", "/b", "b/", "/b/", "b%2F", "b?versionId=1", "b//a", "b/../c/x", "b/%ff"]
)
def test_a_copy_needs_a_source_with_a_key(source: str) -> None:
    result = refused_source(source)
    assert result is not None
    assert result.code == "InvalidArgument"


@pytest.mark.parametrize("source", ["b/a", "/b/a", "b%2Fa", "b/a?versionId=null", "b/a b", "b/a/c"])
def test_a_copy_source_with_a_key_is_taken(source: str) -> None:
    assert refused_source(source) is None


@pytest.mark.parametrize(
    ("method", "path", "query", "kind"),
    [
        ("GET", b"/", b"", Kind.PASS),
        ("GET", b"/b", b"", Kind.LIST),
        ("GET", b"/b/", b"list-type=2", Kind.LIST),
        ("GET", b"/b", b"unknown=1", Kind.LIST),
        ("GET", b"/b", b"policy", Kind.PASS),
        ("HEAD", b"/b", b"", Kind.PASS),
        ("GET", b"/b", b"uploads", Kind.UPLOADS),
        ("GET", b"/b", b"versions=", Kind.VERSIONS),
        ("POST", b"/b", b"delete", Kind.BATCH),
        ("GET", b"/b/k", b"", Kind.READ),
        ("PUT", b"/b/k", b"", Kind.WRITE),
        ("PUT", b"/b/k", b"tagging", Kind.PASS),
        ("DELETE", b"/b/k", b"", Kind.DELETE),
        ("POST", b"/b/k", b"uploads", Kind.WRITE),
    ],
)
def test_a_request_is_read_as_what_it_is(method: str, path: bytes, query: bytes, kind: Kind) -> None:
    asked = read(method, path, query, {})
    assert isinstance(asked, Asked)
    assert asked.kind is kind


@pytest.mark.parametrize(
    ("method", "path", "query", "headers"),
    [
        ("GET", b"/b%2Fc", b"", {}),
        ("GET", b"/b/%zz", b"", {}),
        ("GET", b"/b/%ff", b"", {}),
        ("GET", b"//k", b"", {}),
        ("GET", b"/b", b"prefix=a;max-keys=1", {}),
        ("GET", b"/b", b"prefix=a&prefix=b", {}),
        ("GET", b"/b", b"prefix=%", {}),
        ("GET", b"b", b"", {}),
        ("PUT", b"/b/k", b"uploadId=1", {}),
        ("PUT", b"/b/k", b"partNumber=x&uploadId=1", {}),
        ("PUT", b"/b/k/", b"", {"content-length": "1"}),
        ("PUT", b"/b/k/", b"", {"transfer-encoding": "chunked"}),
        ("POST", b"/b/k/", b"uploads", {}),
        ("PUT", b"/b/k", b"", {"x-amz-copy-source": "b"}),
        ("PUT", b"/b/k", b"renameObject", {"x-amz-rename-source": "/"}),
    ],
)
def test_a_request_that_can_be_read_in_two_ways_is_refused(
    method: str, path: bytes, query: bytes, headers: dict[str, str]
) -> None:
    assert isinstance(read(method, path, query, headers), Refusal)


def test_an_empty_marker_of_a_folder_is_taken() -> None:
    for headers in ({"content-length": "0"}, {"content-length": "84", "x-amz-decoded-content-length": "0"}, {}):
        assert isinstance(read("PUT", b"/b/k/", b"", headers), Asked)
