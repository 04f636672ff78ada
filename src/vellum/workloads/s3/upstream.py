"""HTTP to the store: kept connections, streamed bodies, early answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11

Headers = Sequence[tuple[bytes, bytes]]
_CHUNK = 1 << 18
_KEPT = 32
"""Idle connections that are kept."""
_LONGEST_ERROR = 1 << 20
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 60.0
"""For the next bytes: while the store takes a body, sends one, or owes the head of an answer to a question."""
WORK_SECONDS = 600.0
"""For the head of an answer to PUT and POST once the body is sent: the store copies, or puts parts together."""
_OF_ONE_HOP = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"))
_FRAMED = _OF_ONE_HOP | {b"transfer-encoding"}
"""For an answer: the server frames the body itself."""


class UpstreamError(Exception):
    """The store does not answer, or does not speak HTTP."""


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    protocol: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT, 1 << 16))
    proceed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the body may be sent: immediately, or after the store's ``100 Continue`` if the client waits for it."""

    async def event(self, seconds: float | None) -> h11.Event | type[h11.PAUSED]:
        """Return what comes next; the store may be silent for so long."""
        while True:
            event = self.protocol.next_event()
            if isinstance(event, h11.Event) or event is h11.PAUSED:
                return event
            async with asyncio.timeout(seconds):
                self.protocol.receive_data(await self.reader.read(_CHUNK))

    async def send(self, event: h11.Event) -> None:
        """Send a part of the request; fail if the store reads nothing for too long."""
        data = self.protocol.send(event)
        if data:
            self.writer.write(data)
            async with asyncio.timeout(SILENCE_SECONDS):
                await self.writer.drain()

    def close(self) -> None:
        """Close the connection."""
        self.writer.close()


@dataclass(slots=True)
class Answer:
    """What the store answers: its head, and a body to read once."""

    status: int
    headers: list[tuple[bytes, bytes]]
    _connection: _Connection

    @property
    def named(self) -> dict[str, str]:
        """Headers by name in small letters."""
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.headers}

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        try:
            while True:
                event = await self._connection.event(SILENCE_SECONDS)
                if isinstance(event, h11.Data):
                    yield bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    return
                else:
                    raise UpstreamError("the store ended in the middle of its answer")
        except TimeoutError as wrong:
            raise UpstreamError(f"the store's answer stands still for {SILENCE_SECONDS:.0f} s") from wrong
        except (OSError, h11.RemoteProtocolError) as wrong:
            raise UpstreamError(f"the store's answer broke off: {wrong}") from wrong

    async def read(self, most: int) -> bytes:
        """Return the whole body.

        Raises:
            UpstreamError: it is longer than ``most`` bytes, or breaks off.
        """
        whole = bytearray()
        async for part in self.body():
            whole += part
            if len(whole) > most:
                raise UpstreamError(f"the store's answer has more than {most} bytes")
        return bytes(whole)


class Upstream:
    """The store, at HOST:PORT or at a Unix socket."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._idle: deque[_Connection] = deque(maxlen=_KEPT)
        self.host = "localhost" if address.startswith("/") else address

    @asynccontextmanager
    async def ask(
        self, method: bytes, target: bytes, headers: Headers, body: AsyncIterator[bytes] | None = None
    ) -> AsyncIterator[Answer]:
        """Send a request and return its answer; a kept connection that is closed is replaced once.

        Raises:
            UpstreamError: the store does not answer.
        """
        request = h11.Request(method=method, target=target, headers=_passed_on(headers, _OF_ONE_HOP))
        connection, answer, sending = await self._answered(request, body)
        try:
            yield answer
        except BaseException:
            connection.close()
            raise
        finally:
            if sending is not None and not sending.done():
                sending.cancel()
            self._keep(connection)

    async def without_body(self, method: bytes, target: bytes, headers: Headers) -> tuple[int, bytes]:
        """Send a request without its body; return the status and body of the answer.

        The store checks the client first, and notices the missing body only afterwards (measured on SeaweedFS 4.48).

        Raises:
            UpstreamError: the store does not answer.
        """
        connection = await self._connected()
        try:
            await connection.send(h11.Request(method=method, target=target, headers=_passed_on(headers, _OF_ONE_HOP)))
            connection.writer.write_eof()
            async with asyncio.timeout(SILENCE_SECONDS):
                answer = await _final(connection)
            return answer.status, await answer.read(_LONGEST_ERROR)
        except (OSError, h11.RemoteProtocolError, EOFError) as wrong:
            raise UpstreamError(f"the store does not answer: {wrong}") from wrong
        finally:
            connection.close()

    async def _answered(
        self, request: h11.Request, body: AsyncIterator[bytes] | None
    ) -> tuple[_Connection, Answer, asyncio.Task[None] | None]:
        while True:
            kept = self._kept()
            connection = kept or await self._connected()
            sending = None
            try:
                if _waits(request):
                    connection.proceed.clear()
                else:
                    connection.proceed.set()
                await connection.send(request)
                sending = asyncio.create_task(_send(connection, body))
                seconds = WORK_SECONDS if request.method in (b"PUT", b"POST") else SILENCE_SECONDS
                return connection, await _head(connection, sending, seconds), sending
            except (OSError, h11.RemoteProtocolError, EOFError) as wrong:
                if sending is not None:
                    sending.cancel()
                connection.close()
                self.close_idle()
                # A request can be sent again only if none of its body was read.
                if kept is None or body is not None or isinstance(wrong, TimeoutError):
                    raise UpstreamError(f"the store does not answer: {wrong}") from wrong
            except BaseException:
                if sending is not None:
                    sending.cancel()
                connection.close()
                raise

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.reader.at_eof() and not connection.writer.is_closing():
                return connection
            connection.close()
        return None

    def close_idle(self) -> None:
        """Close all kept connections: after one failure the others are likely dead too."""
        while self._idle:
            self._idle.pop().close()

    async def _connected(self) -> _Connection:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                if self._address.startswith("/"):
                    reader, writer = await asyncio.open_unix_connection(self._address, limit=_CHUNK)
                else:
                    host, _, port = self._address.rpartition(":")
                    reader, writer = await asyncio.open_connection(host, int(port), limit=_CHUNK)
        except TimeoutError as wrong:
            self.close_idle()
            raise UpstreamError(f"the store takes no connection within {CONNECT_SECONDS:.0f} s") from wrong
        except OSError as wrong:
            raise UpstreamError(f"the store does not answer: {wrong}") from wrong
        return _Connection(reader, writer)

    def _keep(self, connection: _Connection) -> None:
        protocol = connection.protocol
        if connection.writer.is_closing():
            return
        if protocol.our_state is h11.DONE and protocol.their_state is h11.DONE and len(self._idle) < _KEPT:
            protocol.start_next_cycle()
            self._idle.append(connection)
        else:
            connection.close()


async def _send(connection: _Connection, body: AsyncIterator[bytes] | None) -> None:
    if body is not None:
        async with asyncio.timeout(SILENCE_SECONDS):
            await connection.proceed.wait()
        async for part in body:
            if part:
                await connection.send(h11.Data(data=part))
    await connection.send(h11.EndOfMessage())


async def _head(connection: _Connection, sending: asyncio.Task[None], seconds: float) -> Answer:
    """Wait for the head of the answer, for so long once the body is sent; a body that breaks off ends the waiting."""
    reading = asyncio.ensure_future(_final(connection))
    try:
        await asyncio.wait({reading, sending}, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            failed = sending.exception() if sending.done() and not sending.cancelled() else None
            if failed is not None and not isinstance(failed, OSError):
                raise failed
            # A store that refuses early closes during the body; its answer can still be read.
            await asyncio.wait({reading}, timeout=CONNECT_SECONDS if failed else seconds)
            if not reading.done():
                raise TimeoutError(
                    "the store accepted no body and gave no answer" if failed else f"no answer in {seconds:.0f} s"
                )
        return reading.result()
    finally:
        reading.cancel()
        with contextlib.suppress(BaseException):
            if sending.done():
                sending.exception()


async def _final(connection: _Connection) -> Answer:
    while True:
        event = await connection.event(None)
        if isinstance(event, h11.Response):
            return Answer(event.status_code, _passed_on(event.headers.raw_items(), _FRAMED), connection)
        if isinstance(event, h11.InformationalResponse):
            connection.proceed.set()
        if isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            raise EOFError("it closed the connection")


def _waits(request: h11.Request) -> bool:
    return any(name == b"expect" and b"100-continue" in value.lower() for name, value in request.headers)


def _passed_on(headers: Headers, without: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in without]
