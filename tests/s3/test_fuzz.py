"""Send hostile bytes to the front: it reads or refuses every request. The corpus holds requests of earlier findings."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree as ET

import pytest
from tests.s3.model import Question
from tests.s3.upstream import Scripted, Seen, answer, fronted

from vellum.workloads.s3 import answers
from vellum.workloads.s3.batch import read as read_batch
from vellum.workloads.s3.keys import Refusal, refusal, refused_source
from vellum.workloads.s3.params import wanted
from vellum.workloads.s3.request import Asked, Kind, read, repeated
from vellum.workloads.s3.uploads import wanted_uploads

CORPUS = Path(__file__).with_name("corpus")
METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
PIECES = (
    b"/", b"//", b"b", b"/b/", b"a", b".", b"..", b"%", b"%2F", b"%2f", b"%00", b"%ff", b"%C3%BC", b"\\", b"?", b"&", b"=",
    b";", b"+", b"prefix=", b"delimiter=", b"marker=", b"max-keys=", b"max-keys=99999999999", b"list-type=2", b"uploads",
    b"versions", b"uploadId=", b"partNumber=", b"continuation-token=", b"start-after=", b"encoding-type=url", b"delete",
    b".uploads", b".versions", b"x" * 300, b"\xff", b"\x00", b"&#x0;", b"<", b"%f0%9f%98%80", b"%ed%a0%80",
)  # fmt: skip
BODIES = (
    b"<Delete>",
    b"</Delete>",
    b"<Object><Key>",
    b"</Key></Object>",
    b"a",
    b"&amp;",
    b"&#0;",
    b"<!DOCTYPE x>",
    b"<![CDATA[",
    b"]]>",
    b"\xff\xfe",
    b"<Delete xmlns='x'>",
    b"<?xml version='1.0'?>",
    b"<Delete><Object><Key>a</Key></Object></Delete>",
    b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>1</ETag></Part></CompleteMultipartUpload>",
    b"5;chunk-signature=%b\r\nhello\r\n" % (b"0" * 64),
    b"0;chunk-signature=%b\r\n" % (b"f" * 64),
    b"0\r\n",
    b"x-amz-checksum-crc32c:AAAAAA==\r\n",
    b"x-amz-trailer-signature:00\r\n\r\n",
    b" ",
)
HEADERS = (
    b"content-encoding: aws-chunked",
    b"x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    b"x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    b"x-amz-trailer: x-amz-checksum-crc32c",
    b"x-amz-decoded-content-length: 5",
    b"x-amz-decoded-content-length: -1",
    b"x-amz-decoded-content-length: 0",
    b"content-type: multipart/form-data; boundary=x",
    b"content-type: application/xml",
    b"expect: 100-continue",
    b"x-amz-copy-source: /b/a",
    b"x-amz-copy-source: b/%ff",
    b"x-amz-copy-source: b",
    b"x-amz-rename-source: b/a//b",
    b'if-match: "1"',
    b"if-none-match: *",
    b"range: bytes=9-1",
    b"te: trailers",
    b"trailer: x",
    b"keep-alive: 1",
    b"authorization: AWS4-HMAC-SHA256 Credential=/",
    b"x-amz-date: \xff",
    b"host: other",
    b"connection: close, te",
    b"x-amz-meta-x: \xc3\xbc",
    b"x-amz-meta-y:",
    b"proxy-connection: close",
)
_DROPPED = re.compile(rb"[\x00-\x20\x7f-\xff#]")
"""What no request line can hold."""


def one(line: bytes, headers: Sequence[bytes] = ()) -> None:
    """Parse one request; the result must match the request, and a refusal must be a valid answer."""
    path, _, query = line.partition(b"?")
    pairs = [header.decode("latin-1").partition(": ")[::2] for header in (b"content-length: 0", *headers)]
    twice = repeated(name.lower() for name, _ in pairs)
    for method in METHODS:
        asked = twice or read(method, path, query, {name.lower(): value for name, value in pairs})
        if isinstance(asked, Refusal):
            assert 400 <= asked.status < 600
            assert answers.error(asked, "r", "1").startswith(b"<?xml")
            continue
        _planned(asked)


def _planned(asked: Asked) -> None:
    assert "/" not in asked.bucket
    if asked.kind in (Kind.WRITE, Kind.DELETE):
        writes = asked.kind is Kind.WRITE
        assert refusal(asked.key, writes=writes, deletes=not writes) is None
    for form in ("v1", "v2", "versions"):
        page = wanted(asked.query, form)
        if not isinstance(page, Refusal):
            assert 0 <= page.most <= 1000
            Question(page.prefix, page.delimiter, page.after, page.most)
    wanted_uploads(asked.query)


def batch(body: bytes) -> None:
    """Read a list of keys; it is the list that another reader finds, or a ValueError."""
    try:
        keys = read_batch(body)
    except ValueError:
        return
    root = ET.fromstring(body)
    assert keys == [element.text or "" for element in root.iterfind("{*}Object/{*}Key")], body
    for key in keys:
        refusal(key, writes=True)


def drawn(seed: int, count: int) -> Iterator[tuple[bytes, bytes, list[bytes]]]:
    """Yield request lines, bodies and headers: corpus entries that are changed, and pieces that are put together."""
    random_, kept = random.Random(seed), corpus()
    for _ in range(count):
        line = b"".join(random_.choices(PIECES, k=random_.randint(1, 9)))
        if kept and random_.random() < 0.3:
            changed = bytearray(random_.choice(kept))
            changed[random_.randrange(len(changed))] = random_.randrange(256)
            line = bytes(changed)
        body = b"".join(random_.choices(BODIES, k=random_.randint(0, 8)))
        yield line, body, random_.choices(HEADERS, k=random_.randint(0, 4))


def corpus() -> list[bytes]:
    return [line for file in sorted(CORPUS.iterdir()) for line in file.read_bytes().split(b"\n") if line]


def fuzz(seed: int, count: int) -> int:
    """Read drawn requests, each with five methods; return how many."""
    for line, body, headers in drawn(seed, count):
        one(line, headers)
        batch(body)
        refused_source(line.decode("latin-1"))
    return count * len(METHODS)


def served(seed: int, count: int) -> int:
    """Send drawn requests to the front over HTTP; return how many."""
    return asyncio.run(_served(seed, count))


async def _served(seed: int, count: int) -> int:
    random_, store = random.Random(seed), Scripted(special=_answers)
    store.has("/b/a", "/b/m/")
    store.below("/b/x")
    async with fronted(store) as port:
        for line, body, headers in drawn(seed, count):
            method, target = random_.choice(METHODS), b"/" + _DROPPED.sub(b"", line).lstrip(b"/")
            sent = _sent(method, target, body, headers, chunked=random_.random() < 0.2)
            store.seen.clear()
            status = await asyncio.wait_for(_status(port, sent), 60)
            # The store always answers, so 500 and 503 are mistakes of the front.
            assert 200 <= status < 500 or status == 501, sent
            for seen in store.changes():
                key = unquote_to_bytes(seen.target.partition("?")[0]).decode().partition("/")[2].partition("/")[2]
                assert seen.method != "PUT" or not key or refusal(key, writes=False) is None, sent
                assert seen.body.strip(b" ") == body.strip(b" "), sent
    return count


async def _answers(seen: Seen, writer: asyncio.StreamWriter) -> bool:
    """Answer where the front reads the body: an empty listing, and an upload that has begun."""
    listing = seen.method == "GET" and "Credential=own/" in seen.headers.get("authorization", "")
    begun = seen.method == "POST" and "uploads" in seen.target
    if listing or begun:
        writer.write(answer(200, b'<Answer xmlns="x"><UploadId>1</UploadId></Answer>'))
    return listing or begun


def _sent(method: str, target: bytes, body: bytes, headers: list[bytes], *, chunked: bool) -> bytes:
    head = [method.encode() + b" " + target + b" HTTP/1.1", b"host: store", *headers]
    if chunked:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        head.append(b"transfer-encoding: chunked")
    elif body or method in ("PUT", "POST"):
        head.append(b"content-length: %d" % len(body))
    return b"\r\n".join(head) + b"\r\n\r\n" + body


async def _status(port: int, sent: bytes) -> int:
    """Return the status of the final answer; 400 where the server ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 100"):
                return int(head.split(b" ")[1])
    except (asyncio.IncompleteReadError, ConnectionError):
        return 400
    finally:
        writer.transport.abort()


def test_the_corpus_is_read_or_refused() -> None:
    for line in corpus():
        one(line)


def test_five_thousand_hostile_requests_are_read_or_refused() -> None:
    assert fuzz(1, 1000) == 5000


def test_hostile_requests_over_http_are_answered() -> None:
    assert served(1, 150) == 150


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_million_hostile_requests_are_read_or_refused() -> None:
    """Each line is read with five methods; every fiftieth request goes over HTTP."""
    assert fuzz(2, 196_000) + served(2, 20_000) == 1_000_000
