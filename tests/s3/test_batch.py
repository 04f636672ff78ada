"""The body of DeleteObjects: what two readers of XML may read differently is refused."""

from __future__ import annotations

import time

import pytest

from vellum.workloads.s3.batch import MOST, read

ONE = "<Delete><Object><Key>a</Key></Object></Delete>"


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        (ONE, ["a"]),
        (f'<?xml version="1.0" encoding="UTF-8"?>\n{ONE}', ["a"]),
        ("<Delete/>", []),
        (
            (
                '<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet><Object><Key>a&amp;/&#252;</Key>'
                "<VersionId>null</VersionId></Object><Object><Key> b </Key></Object></Delete>"
            ),
            ["a&/ü", " b "],
        ),
        ("<Delete><Object><Key>a<!-- c -->b<![CDATA[<c>]]></Key></Object></Delete>", ["ab<c>"]),
        ("<Delete><Object><Key></Key></Object></Delete>", [""]),
        ("<s:Delete xmlns:s='x'><s:Object><s:Key>a</s:Key></s:Object></s:Delete>", ["a"]),
    ],
)
def test_keys_are_read(body: str, keys: list[str]) -> None:
    assert read(body.encode()) == keys


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (ONE.encode("utf-16"), "not UTF-8"),
        (ONE.encode("utf-16-be"), "not UTF-8"),
        (f'<?xml version="1.0" encoding="latin-1"?>{ONE}'.encode(), "latin-1"),
        (b"<!DOCTYPE Delete>" + ONE.encode(), "document type"),
        (f"<!DOCTYPE Delete>{ONE}".encode("utf-16"), "not UTF-8"),
        (b"<Delete><Object><Key>a<x/>//b</Key></Object></Delete>", "Key has an element"),
        (b"<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>", "two Keys"),
        (b"<Delete><Object></Object></Delete>", "no Key"),
        (b"<Other/>", "Other"),
        (b"", "no element"),
        (b"<Delete>", "no element"),
        (b"<Delete><Object><Key>\xff</Key></Object></Delete>", "not well-formed"),
        (b"<Delete>" + b"<Object><Key>a</Key></Object>" * (MOST + 1) + b"</Delete>", "more than 1000"),
    ],
)
def test_a_list_that_can_be_read_in_two_ways_is_refused(body: bytes, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        read(body)


@pytest.mark.parametrize("piece", [b"<a/>", b"<!---->", b"&#97;", b"<![CDATA[]]>", b"<Object>"])
def test_four_megabytes_of_anything_are_read_within_a_moment(piece: bytes) -> None:
    """The elements of `<a/>` took 0.8 s, and all other requests waited."""
    body = b"<Delete>" + piece * ((4 << 20) // len(piece))
    began = time.process_time()
    with pytest.raises(ValueError, match=r"."):
        read(body)
    assert time.process_time() - began < 0.5
