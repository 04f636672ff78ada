"""Changes that the store could mix up wait for each other, but never for one that the store refuses."""

from __future__ import annotations

import asyncio
import time

import pytest
from tests.s3.upstream import Scripted, Seen, ask, code, deleted, fronted, request

from vellum.workloads.s3 import places


@pytest.mark.parametrize(("first", "second"), [("/b/a", "/b/a/"), ("/b/a/", "/b/a")])
def test_a_key_and_a_marker_of_its_name_are_not_written_at_the_same_time(first: str, second: str) -> None:
    """The store would answer 200 to both and keep one. The second write waits until it can see the first."""
    store, begun, go_on = Scripted(), asyncio.Event(), asyncio.Event()

    async def slowly(seen: Seen, _: asyncio.StreamWriter) -> bool:
        if (seen.method, seen.target) == ("PUT", first):
            begun.set()
            await go_on.wait()
            store.has(first)
        return False

    async def both() -> tuple[tuple[int, bytes], tuple[int, bytes]]:
        store.special = slowly
        async with fronted(store) as port:
            item = asyncio.create_task(ask(port, request("PUT", first)))
            await begun.wait()
            two = asyncio.create_task(ask(port, request("PUT", second)))
            await asyncio.wait({two}, timeout=0.2)
            go_on.set()
            return await item, await two

    (status, _), (refused, body) = asyncio.run(asyncio.wait_for(both(), 10))
    assert (status, refused, code(body)) == (200, 409, "InvalidRequest")
    assert [seen.target for seen in store.changes()] == [first]


@pytest.mark.parametrize(
    "second",
    [
        request("PUT", "/b/a/"),
        request("DELETE", "/b/a/"),
        deleted("a/", "c"),
        request("PUT", "/b/a/x/y"),
        request("POST", "/b/a/x?uploadId=1"),
    ],
)
def test_a_change_does_not_wait_for_ever_for_the_other_key(monkeypatch: pytest.MonkeyPatch, second: bytes) -> None:
    monkeypatch.setattr(places, "WAIT_SECONDS", 0.2)

    begun = asyncio.Event()

    async def slowly(seen: Seen, _: asyncio.StreamWriter) -> bool:
        first = (seen.method, seen.target) == ("PUT", "/b/a")
        if first:
            begun.set()
        return first

    async def both() -> tuple[int, bytes]:
        async with fronted(Scripted(special=slowly)) as port:
            item = asyncio.create_task(ask(port, request("PUT", "/b/a")))
            await begun.wait()
            two = await ask(port, second)
            item.cancel()
            return two

    status, body = asyncio.run(asyncio.wait_for(both(), 10))
    assert (status, code(body)) == (409, "OperationAborted")


@pytest.mark.parametrize("second", [request("PUT", "/b/a"), request("PUT", "/b/ab/c"), request("PUT", "/c/a/")])
def test_changes_that_do_not_meet_do_not_wait(second: bytes) -> None:
    """The same key too: of two writes of one key the last stays, as in S3."""
    begun = asyncio.Event()

    async def silent(seen: Seen, _: asyncio.StreamWriter) -> bool:
        first = seen.target == "/b/a" and not begun.is_set() and seen.method == "PUT"
        if first:
            begun.set()
        return first

    async def both() -> tuple[int, bytes]:
        async with fronted(Scripted(special=silent)) as port:
            item = asyncio.create_task(ask(port, request("PUT", "/b/a")))
            await begun.wait()
            two = await asyncio.wait_for(ask(port, second), 5)
            item.cancel()
            return two

    assert asyncio.run(asyncio.wait_for(both(), 10)) == (200, b"")


def test_a_refused_client_that_sends_its_body_slowly_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key, a client could otherwise stop the writes of another team below any folder."""
    monkeypatch.setattr(places, "WAIT_SECONDS", 1.0)

    async def both() -> tuple[int, bytes]:
        store = Scripted(allows=False)
        async with fronted(store) as port:
            item = asyncio.create_task(ask(port, request("PUT", "/b/a", bytes(10))[:-10]))
            while not store.changes():  # noqa: ASYNC110  # the store has no event for it
                await asyncio.sleep(0.01)
            two = await ask(port, request("PUT", "/b/a/x"))
            item.cancel()
            return two

    status, body = asyncio.run(asyncio.wait_for(both(), 10))
    assert (status, code(body)) == (403, "AccessDenied")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_stranger_who_waits_keeps_no_other_waiting(method: str) -> None:
    """A client without a key waits for the first change. The last change must not wait for that client."""

    stranger = request(method, "/b/a/", b"", "authorization: stranger")

    async def all_three() -> tuple[int, bytes]:
        async with fronted(store := Scripted()) as port:
            item = asyncio.create_task(ask(port, request("PUT", "/b/a", bytes(10))[:-10]))
            while not store.changes():  # noqa: ASYNC110  # the store has no event for it
                await asyncio.sleep(0.01)
            two = asyncio.create_task(ask(port, stranger))
            await asyncio.wait({two}, timeout=0.2)
            three = await ask(port, request("PUT", "/b/a"))
            item.cancel()
            two.cancel()
            return three

    began = time.monotonic()
    assert asyncio.run(asyncio.wait_for(all_three(), 10)) == (200, b"")
    assert time.monotonic() - began < places.WAIT_SECONDS / 2
