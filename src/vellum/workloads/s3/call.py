"""One request of a client: its body as it comes, and the answer to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.types import Receive, Send

from vellum.workloads.s3.upstream import Headers

Message: TypeAlias = MutableMapping[str, Any]
_DRAINED = 8 << 20
"""Bytes of a refused body that are read, so that a client that is still sending gets the answer."""
DRAIN_SECONDS = 10.0
"""For the rest of a refused body to come; then the answer goes out, and the connection ends."""


class ClientGoneError(Exception):
    """The client closed its connection in the middle of its request."""


@dataclass(slots=True)
class Call:
    """One request of a client."""

    method: str
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    receive: Receive
    send: Send
    unread: bool = True
    """Whether some of the body may still come."""
    refused: Callable[[], None] = lambda: None
    """Called before the rest of a refused body is read: the client decides how long that takes."""

    @property
    def target(self) -> bytes:
        """Path and query as the client sent them."""
        return self.path + (b"?" + self.query if self.query else b"")

    @property
    def named(self) -> dict[str, str]:
        """Headers by name; Latin-1 stands for every byte."""
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.headers}

    @property
    def has_body(self) -> bool:
        """Whether the client announces a body."""
        named = self.named
        return named.get("content-length", "0") != "0" or "transfer-encoding" in named

    @property
    def only_reads(self) -> bool:
        """Whether nothing is lost when the request is given up in the middle."""
        return self.method in ("GET", "HEAD") and not self.has_body

    async def left(self) -> None:
        """Return when the client has closed its connection; only for a request without a body."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes; a client that waits for ``100 Continue`` gets it at the first step."""
        while self.unread:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            self.unread = message.get("more_body", False)
            yield message.get("body", b"")

    async def closing(self) -> Headers:
        """Read the rest of a short body before an early answer; a longer rest ends the connection."""
        self.refused()
        if not self.has_body or not self.unread:
            return []
        if "expect" not in self.named:
            size = 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    async for part in self.body():
                        size += len(part)
                        if size > _DRAINED:
                            break
        # Otherwise the rest of the body would be read as the next request.
        return [(b"connection", b"close")] if self.unread else []

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer."""
        whole = [*headers, *await self.closing(), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": whole})
        await self.send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else body})

    async def xml(self, body: bytes, status: int = 200, request_id: str = "") -> None:
        """Send an answer of XML."""
        headers = [(b"content-type", b"application/xml")]
        if request_id:
            headers.append((b"x-amz-request-id", request_id.encode()))
        await self.answer(status, headers, body)
