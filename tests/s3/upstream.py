"""A store that answers by a script, and the front before it: both on loopback sockets in one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import uvicorn

from vellum.workloads.s3.app import Front
from vellum.workloads.s3.sign import Signer
from vellum.workloads.s3.store import Store
from vellum.workloads.s3.upstream import Upstream

MALFORMED = b"<Error><Code>MalformedXML</Code></Error>"
DENIED = b"<Error><Code>AccessDenied</Code></Error>"


@dataclass
class Seen:
    """One request as the store received it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    whole: bool = True
    """Whether the whole body arrived."""


@dataclass
class Scripted:
    """Keys and markers of one bucket, as the store answers for them; ``special`` answers before all else."""

    heads: dict[str, dict[str, str]] = field(default_factory=dict)
    """From a path to the headers of its HEAD."""
    allows: bool = True
    special: Callable[[Seen, asyncio.StreamWriter], Awaitable[bool]] | None = None
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    open: list[asyncio.StreamWriter] = field(default_factory=list)

    def has(self, *paths: str) -> None:
        """Make keys, and markers where a path ends with a slash."""
        for path in paths:
            length = "0" if path.endswith("/") else "3"
            self.heads[path] = {"content-length": length, "etag": '"d41d8cd98f00b204e9800998ecf8427e"'}

    def below(self, path: str) -> None:
        """Make keys below a path: the store answers for the path and a slash as for an empty object."""
        self.heads[f"{path}/"] = {"content-length": "0", "etag": '"d41d8cd98f00b204e9800998ecf8427e-0"'}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.append(writer)
        try:
            while True:
                seen = await _read(reader)
                self.seen.append(seen)
                if "expect" in seen.headers:
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                if seen.headers.get("transfer-encoding", "") == "chunked":
                    seen.body = await _chunked(reader)
                else:
                    length = int(seen.headers.get("content-length", "0"))
                    seen.body, seen.whole = await _body(reader, length)
                if _is_stranger(seen) or not (self.allows or _is_own(seen)):
                    # The real store also answers only after the body.
                    writer.write(answer(403, DENIED, {"connection": "close"}))
                    await writer.drain()
                    writer.close()
                    return
                if seen.whole and self.special is not None and await self.special(seen, writer):
                    continue
                writer.write(self._answer(seen))
                await writer.drain()
        except (OSError, EOFError):
            writer.transport.abort()

    async def close(self) -> None:
        for writer in self.open:
            writer.transport.abort()
        await asyncio.sleep(0.01)

    def _answer(self, seen: Seen) -> bytes:
        path, _, query = seen.target.partition("?")
        if seen.method == "HEAD":
            result = self.heads.get(path)
            return answer(404) if result is None else answer(200, headers=result)
        if seen.method == "POST" and not seen.body.strip():
            return answer(400, MALFORMED)
        if seen.headers.get("if-match") == '"0"':
            return answer(412)
        return answer(200, b"done" if query else b"")

    def changes(self) -> list[Seen]:
        """Return what would have changed the bucket."""
        return [
            seen
            for seen in self.seen
            if seen.method in ("PUT", "DELETE", "POST")
            and seen.whole
            and "if-match" not in seen.headers
            and (seen.method != "POST" or seen.body.strip())
        ]


def _is_stranger(seen: Seen) -> bool:
    return seen.headers.get("authorization") == "stranger"


def _is_own(seen: Seen) -> bool:
    return "Credential=own/" in seen.headers.get("authorization", "")


def answer(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    """Return an answer as it goes over the wire."""
    fields = {"content-length": str(len(body)), **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} x\r\n{lines}\r\n".encode() + body


async def _read(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    return Seen(method, target, headers, b"")


async def _body(reader: asyncio.StreamReader, length: int) -> tuple[bytes, bool]:
    """Return the body, and whether it is whole. Spaces are not kept, for a test that measures memory."""
    kept = b""
    while length:
        part = await reader.read(min(length, 1 << 16))
        if not part:
            return kept, False
        length -= len(part)
        kept += part.strip(b" ")
    return kept, True


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    whole = b""
    while length := int(await reader.readline(), 16):
        whole += (await reader.readexactly(length + 2))[:-2]
    await reader.readline()
    return whole


@asynccontextmanager
async def fronted(store: Scripted) -> AsyncIterator[int]:
    """Yield the front's port."""
    server = await asyncio.start_server(store.serve, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with before(address) as port:
        try:
            yield port
        finally:
            await store.close()
            server.close()


@asynccontextmanager
async def before(address: str) -> AsyncIterator[int]:
    """Yield the port of a front that stands before an address."""
    upstream = Upstream(address)
    front = Front(upstream, Store(upstream, Signer("own", "secret"), lambda: datetime.now(UTC)))
    config = uvicorn.Config(
        front, port=0, http="httptools", lifespan="off", ws="none", log_config=None, timeout_graceful_shutdown=0
    )
    serving = uvicorn.Server(config)
    task = asyncio.create_task(serving.serve())
    while not serving.started:  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield serving.servers[0].sockets[0].getsockname()[1]
    finally:
        serving.should_exit = True
        await task
        upstream.close_idle()
        await asyncio.sleep(0.01)


async def ask(port: int, request: bytes) -> tuple[int, bytes]:
    """Send a request on a connection of its own, and return status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or "0")
        body = b"" if request.startswith(b"HEAD") else await reader.readexactly(length)
    finally:
        writer.close()
        await writer.wait_closed()
    return int(head.split(" ")[1]), body


def request(method: str, target: str, body: bytes = b"", *headers: str) -> bytes:
    """Return a request as it goes over the wire."""
    length = (f"content-length: {len(body)}",) if body or method in ("PUT", "POST") else ()
    lines = "".join(f"{line}\r\n" for line in ("host: store", *length, *headers))
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + body


def deleted(*keys: str) -> bytes:
    """Return a request of DeleteObjects as it goes over the wire."""
    entries = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
    return request("POST", "/b?delete", f"<Delete>{entries}</Delete>".encode())


def code(body: bytes) -> str:
    """Return the code of an error, or an empty text."""
    return body.decode().partition("<Code>")[2].partition("</Code>")[0]
