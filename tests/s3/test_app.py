"""The front as it serves, over real sockets before a store that answers by a script."""

from __future__ import annotations

import asyncio
import re
import socket
import time
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest
from tests.s3.upstream import Scripted, Seen, answer, ask, before, code, deleted, fronted, request

from vellum.workloads.s3 import app, call, upstream

PARTS = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>1</ETag></Part></CompleteMultipartUpload>"


def run(store: Scripted, *requests: bytes) -> list[tuple[int, bytes]]:
    """Return the front's answers, one request after the other."""

    async def asked() -> list[tuple[int, bytes]]:
        async with fronted(store) as port:
            return [await ask(port, item) for item in requests]

    return asyncio.run(asyncio.wait_for(asked(), 20))


def test_a_multipart_upload_is_not_completed_over_keys_below_it() -> None:
    """The keys below came after the upload had begun: the store answers 500, and clients try again."""
    store = Scripted()
    store.below("/b/model")
    store.has("/b/model/config.json")
    [(status, body)] = run(store, request("POST", "/b/model?uploadId=1", PARTS))
    assert (status, code(body)) == (409, "InvalidRequest")
    assert store.changes() == []


def test_a_put_with_a_parameter_for_multipart_uploads_is_a_plain_write() -> None:
    """SeaweedFS begins an upload only for POST: `PUT ?uploads` would overwrite the other key."""
    store = Scripted()
    store.has("/b/a")
    [(status, body)] = run(store, request("PUT", "/b/a/?uploads"))
    assert (status, code(body)) == (409, "InvalidRequest")
    assert store.changes() == []


def test_a_conditional_deletion_is_refused_before_the_store_sees_it() -> None:
    """The store reads only If-Match on a deletion, so a check with another condition would delete the key."""
    store = Scripted()
    [(status, body)] = run(store, request("DELETE", "/b/a", b"", 'if-match: "e1"'))
    assert (status, code(body), store.seen) == (501, "NotImplemented", [])


def test_a_multipart_upload_is_not_completed_over_a_marker() -> None:
    store = Scripted()
    store.has("/b/model/")
    [(status, body)] = run(store, request("POST", "/b/model?uploadId=1", PARTS))
    assert (status, code(body)) == (409, "InvalidRequest")
    assert store.changes() == []


def test_a_multipart_upload_without_keys_below_is_completed() -> None:
    store = Scripted()
    store.has("/b/model", "/b/modelling")
    assert run(store, request("POST", "/b/model?uploadId=1", PARTS)) == [(200, b"done")]
    assert [seen.body for seen in store.changes()] == [PARTS]


def test_a_stranger_is_not_told_why_an_upload_cannot_be_completed() -> None:
    store = Scripted(allows=False)
    store.has("/b/model/")
    [(status, body)] = run(store, request("POST", "/b/model?uploadId=1", PARTS))
    assert (status, code(body)) == (403, "AccessDenied")


@pytest.mark.parametrize("target", ["/b/m", "/b/m?versionId=null", "/b/m?versionId="])
def test_a_deletion_never_takes_the_marker_of_that_name(target: str) -> None:
    store = Scripted()
    store.has("/b/m/")
    assert run(store, request("DELETE", target)) == [(204, b"")]
    assert store.changes() == []


@pytest.mark.parametrize("target", ["/b/a/", "/b/a/?versionId=null"])
def test_a_deletion_of_a_marker_never_takes_the_key_of_that_name(target: str) -> None:
    """The store deletes `a` for `a/?versionId=null`, and for `a/` where `a` is empty."""
    store = Scripted()
    store.has("/b/a")
    assert run(store, request("DELETE", target)) == [(204, b"")]
    assert store.changes() == []


def test_a_version_that_is_not_deleted_is_not_said_to_be() -> None:
    """The store deletes the marker for any version, where the bucket has none."""
    store = Scripted()
    store.has("/b/m/")
    [(status, body)] = run(store, request("DELETE", "/b/m?versionId=abc"))
    assert (status, code(body)) == (409, "InvalidRequest")
    assert store.changes() == []


@pytest.mark.parametrize(
    ("there", "named"), [(("/b/n/",), ("x", "n")), (("/b/n",), ("n/",)), (("/b/n",), ("x", "n/", "y"))]
)
def test_a_batch_never_takes_a_key_that_it_does_not_name(there: tuple[str, ...], named: tuple[str, ...]) -> None:
    store = Scripted()
    store.has(*there)
    [(status, body)] = run(store, deleted(*named))
    assert (status, code(body)) == (409, "InvalidRequest")
    assert f"'{there[0].removeprefix('/b/')}'".encode() in body
    assert not any(b"<Key>n" in seen.body for seen in store.seen)


def test_a_stranger_is_not_told_what_a_batch_would_take() -> None:
    """The store reads a stranger's list, and then denies each key."""

    async def denies(seen: Seen, writer: asyncio.StreamWriter) -> bool:
        if b"<Key>" in seen.body:
            writer.write(answer(200, b"<DeleteResult><Error><Code>AccessDenied</Code></Error></DeleteResult>"))
        return b"<Key>" in seen.body

    answers = []
    for marker in ("/b/n/", "/b/other/"):
        store = Scripted(special=denies)
        store.has(marker)
        answers += run(store, deleted("n"))
    assert [status for status, _ in answers] == [200, 200]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("there", "named"),
    [
        (("/b/n/",), ("n", "n/")),
        (("/b/n",), ("n",)),
        ((), ("n", "m/")),
        (("/b/n/",), ("n/",)),
        ((), ("a.versions/x", "a.versions")),
    ],
)
def test_a_batch_that_takes_what_it_names_goes_through(there: tuple[str, ...], named: tuple[str, ...]) -> None:
    store = Scripted()
    store.has(*there)
    assert run(store, deleted(*named)) == [(200, b"done")]
    assert [seen.body for seen in store.changes()] == [deleted(*named).partition(b"\r\n\r\n")[2]]


def test_the_next_pages_of_a_list_of_uploads_are_not_read_again() -> None:
    """The store lists uploads in an order of its own, so the front reads all of them for the first page."""
    store, most = Scripted(special=_uploads), 600

    def pages(*markers: str) -> list[bytes]:
        asked = [request("GET", f"/b?uploads&max-uploads={most}&key-marker={marker}") for marker in markers]
        return [body for _, body in run(store, *asked)]

    results = [key for body in pages("", "k00599", "k01199") for key in re.findall(rb"<Key>(.*?)</Key>", body)]
    assert results == [f"k{n:05}".encode() for n in range(1500)]
    own = [seen.target for seen in store.seen if "Credential=own/" in seen.headers.get("authorization", "")]
    assert len(own) == 2


async def _uploads(seen: Seen, writer: asyncio.StreamWriter) -> bool:
    """Answer with pages of 1000 of 1500 uploads, in an order of the store's own."""
    after = re.search(r"[?&]key-marker=k(\d+)", seen.target)
    numbers = list(range(1499, -1, -1))
    shown = numbers[numbers.index(int(after[1])) + 1 :] if after else numbers[:1000]
    each = "".join(f"<Upload><Key>k{n:05}</Key><UploadId>{n}</UploadId><Initiated/></Upload>" for n in shown)
    more = "false" if after else "true"
    body = f'<L xmlns="x"><IsTruncated>{more}</IsTruncated>{each}</L>'
    writer.write(answer(200, body.encode()))
    return True


def test_old_keys_of_versions_can_be_deleted() -> None:
    store = Scripted()
    result = run(store, *(request("DELETE", f"/b/{key}") for key in ("a.versions/x", "a/.uploads/x")))
    assert [status for status, _ in result] == [200, 400]


@pytest.mark.parametrize(
    "twice",
    [
        ("content-type: text/plain", "content-type: multipart/form-data"),
        ("x-amz-copy-source: b/a", "x-amz-copy-source: b"),
        ("Host: other",),
        ("X-Amz-Decoded-Content-Length: 0", "x-amz-decoded-content-length: 1"),
    ],
)
def test_a_header_that_the_front_checks_is_allowed_once(twice: tuple[str, ...]) -> None:
    store = Scripted()
    [(status, _)] = run(store, request("PUT", "/b/k", b"1", *twice))
    assert status == 400
    assert store.seen == []


def test_a_form_is_refused_in_any_letters() -> None:
    store = Scripted()
    [(status, _)] = run(store, request("POST", "/b", b"1", "Content-Type: Multipart/Form-Data; boundary=x"))
    assert status == 501
    assert store.seen == []


@pytest.mark.parametrize(("allows", "most"), [(False, 16 << 20), (True, app.BATCHES * (5 << 20))])
def test_lists_of_keys_take_little_memory(*, allows: bool, most: int) -> None:
    """Forty clients send three of four megabytes each and wait; a stranger's bytes are not kept at all."""

    async def used() -> int:
        async with fronted(Scripted(allows=allows)) as port:
            head = request("POST", "/b?delete", bytes(4 << 20))[: -(4 << 20)]
            part = b"<Delete>" + b" " * (3 << 20)
            tracemalloc.start()
            writers = []
            for _ in range(40):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.transport.set_write_buffer_limits(0)
                writer.write(head)
                writers.append(writer)
            sending = [asyncio.create_task(_written(writer, part)) for writer in writers]
            await asyncio.wait(sending, timeout=3)
            held, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            for task in sending:
                task.cancel()
            for writer in writers:
                writer.transport.abort()
            return held

    assert asyncio.run(used()) < most


async def _written(writer: asyncio.StreamWriter, part: bytes) -> None:
    for start in range(0, len(part), 1 << 16):
        writer.write(part[start : start + (1 << 16)])
        await writer.drain()


def test_a_list_of_keys_has_to_come_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "BATCH_SECONDS", 0.2)
    monkeypatch.setattr(call, "DRAIN_SECONDS", 0.1)

    async def asked() -> tuple[int, bytes]:
        async with fronted(Scripted()) as port:
            return await ask(port, request("POST", "/b?delete", b"<Delete>" + bytes(100))[:-100])

    status, body = asyncio.run(asyncio.wait_for(asked(), 10))
    assert (status, code(body)) == (400, "RequestTimeout")


def test_a_download_that_nobody_waits_for_is_given_up() -> None:
    """The client reads the beginning of a terabyte and leaves; the store must not be read to the end."""
    closed = asyncio.Event()

    async def endless(_: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(answer(200, headers={"content-length": str(1 << 40)}))
        try:
            while True:
                writer.write(bytes(1 << 16))
                await writer.drain()
                await asyncio.sleep(0.001)
        except OSError:
            closed.set()
            raise

    async def left() -> None:
        async with fronted(Scripted(special=endless)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request("GET", "/b/k"))
            await reader.readexactly(1 << 18)
            writer.close()
            await asyncio.wait_for(closed.wait(), 5)

    asyncio.run(left())


async def _silent(_: Seen, __: asyncio.StreamWriter) -> bool:
    return True


async def _stalls(_: Seen, writer: asyncio.StreamWriter) -> bool:
    writer.write(answer(200, headers={"content-length": "9"}) + b"123")
    return True


@pytest.mark.parametrize(
    "asked", [request("GET", "/b/k"), request("PUT", "/b/k", b"1"), request("GET", "/b?list-type=2")]
)
def test_a_store_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, asked: bytes) -> None:
    monkeypatch.setattr(upstream, "SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(upstream, "WORK_SECONDS", 0.3)
    began = time.monotonic()
    [(status, body)] = run(Scripted(special=_silent), asked)
    assert (status, code(body)) == (503, "ServiceUnavailable")
    assert time.monotonic() - began < 5


def test_an_answer_that_stands_still_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "SILENCE_SECONDS", 0.3)
    with pytest.raises(asyncio.IncompleteReadError):
        run(Scripted(special=_stalls), request("GET", "/b/k"))


def test_a_store_that_takes_no_connection_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its queue of connections is full, so the kernel leaves the next one without an answer."""
    monkeypatch.setattr(upstream, "CONNECT_SECONDS", 0.3)

    async def asked(port: int) -> tuple[int, bytes]:
        async with before(f"127.0.0.1:{port}") as front:
            return await ask(front, request("GET", "/b/k"))

    with socket.socket() as full, socket.socket() as item, socket.socket() as two:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (item, two):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        status, _ = asyncio.run(asyncio.wait_for(asked(full.getsockname()[1]), 10))
    assert status == 503


def test_connections_that_were_kept_go_with_the_first_that_fails() -> None:
    """Three are kept; the store ends each at its next request, and the front opens one new one."""
    store = Scripted()

    async def counted(asked: Callable[[], Awaitable[tuple[int, bytes]]]) -> tuple[int, int]:
        for _ in await asyncio.gather(asked(), asked(), asked()):
            pass
        kept = store.connections
        store.special = _ends_what_was_kept(store, kept)
        status, _ = await asked()
        return status, store.connections - kept

    async def served() -> tuple[int, int]:
        async with fronted(store) as port:
            return await counted(lambda: ask(port, request("DELETE", "/b/k?tagging")))

    assert asyncio.run(asyncio.wait_for(served(), 10)) == (200, 1)
    assert len([seen for seen in store.seen if seen.target == "/b/k?tagging"]) == 5


def _ends_what_was_kept(store: Scripted, kept: int) -> Callable[[Seen, asyncio.StreamWriter], Awaitable[bool]]:
    async def ends(_: Seen, writer: asyncio.StreamWriter) -> bool:
        if store.connections == kept:
            writer.transport.abort()
        return store.connections == kept

    return ends


def test_the_front_lives_while_the_store_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks whether the front lives would else kill it for the store's fault."""
    monkeypatch.setattr(upstream, "SILENCE_SECONDS", 0.3)
    result = run(Scripted(special=_silent), request("GET", "/.vellum/live"), request("GET", "/.vellum/ready"))
    assert [status for status, _ in result] == [200, 503]
