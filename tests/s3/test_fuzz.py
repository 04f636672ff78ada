"""Send hostile bytes to the front: it reads or refuses every request. The corpus holds requests of earlier findings."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.s3.model import Question

from vellum.workloads.s3 import answers
from vellum.workloads.s3.batch import read as read_batch
from vellum.workloads.s3.keys import Refusal, refusal, refused_source
from vellum.workloads.s3.params import wanted
from vellum.workloads.s3.request import Asked, Kind, read
from vellum.workloads.s3.uploads import wanted_uploads

CORPUS = Path(__file__).with_name("corpus")
METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "")
PIECES = (
    b"/", b"//", b"b", b"/b/", b"a", b".", b"..", b"%", b"%2F", b"%2f", b"%00", b"%ff", b"%C3%BC", b"\\", b"?", b"&", b"=",
    b";", b"+", b"prefix=", b"delimiter=", b"marker=", b"max-keys=", b"max-keys=99999999999", b"list-type=2", b"uploads",
    b"versions", b"uploadId=", b"partNumber=", b"continuation-token=", b"start-after=", b"encoding-type=url", b"delete",
    b".uploads", b".versions", b"x" * 300, b"\xff", b"\x00", b"&#x0;", b"<", b"%f0%9f%98%80", b"%ed%a0%80",
)  # fmt: skip
BODIES = (
    b"<Delete>", b"</Delete>", b"<Object><Key>", b"</Key></Object>", b"a", b"&amp;", b"&#0;", b"<!DOCTYPE x>", b"<![CDATA[",
    b"]]>", b"\xff\xfe", b"<Delete xmlns='x'>", b"<?xml version='1.0'?>",
)  # fmt: skip


def one(line: bytes) -> None:
    """Parse one request; the result must match the request, and a refusal must be a valid answer."""
    path, _, query = line.partition(b"?")
    for method in METHODS[:5]:
        asked = read(method, path, query, {"content-length": "0"})
        if isinstance(asked, Refusal):
            assert 400 <= asked.status < 600
            assert answers.error(asked, "r", "1").startswith(b"<?xml")
            continue
        _planned(asked)


def _planned(asked: Asked) -> None:
    assert "/" not in asked.bucket
    if asked.kind in (Kind.WRITE, Kind.DELETE):
        assert refusal(asked.key, writes=True) is None
    for form in ("v1", "v2", "versions"):
        page = wanted(asked.query, form)
        if not isinstance(page, Refusal):
            assert 0 <= page.most <= 1000
            Question(page.prefix, page.delimiter, page.after, page.most)
    wanted_uploads(asked.query)


def batch(body: bytes) -> None:
    """Read a list of keys; it is one, or a ValueError."""
    try:
        keys = read_batch(body)
    except ValueError:
        return
    for key in keys:
        refusal(key, writes=True)


def drawn(seed: int, count: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield request lines and bodies: corpus entries that are changed, and pieces that are put together."""
    random_, kept = random.Random(seed), corpus()
    for _ in range(count):
        line = b"".join(random_.choices(PIECES, k=random_.randint(1, 9)))
        if kept and random_.random() < 0.3:
            changed = bytearray(random_.choice(kept))
            changed[random_.randrange(len(changed))] = random_.randrange(256)
            line = bytes(changed)
        yield line, b"".join(random_.choices(BODIES, k=random_.randint(1, 8)))


def corpus() -> list[bytes]:
    return [line for file in sorted(CORPUS.iterdir()) for line in file.read_bytes().split(b"\n") if line]


def fuzz(seed: int, count: int) -> None:
    for line, body in drawn(seed, count):
        one(line)
        batch(body)
        refused_source(line.decode("latin-1"))


def test_the_corpus_is_read_or_refused() -> None:
    for line in corpus():
        one(line)


def test_five_thousand_hostile_requests_are_read_or_refused() -> None:
    fuzz(1, 1000)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_million_hostile_requests_are_read_or_refused() -> None:
    """Each line is sent with five methods: 200,000 lines are a million requests."""
    fuzz(2, 200_000)
