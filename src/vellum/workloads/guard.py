"""Middleware before a model server: it limits names, origins, paths and sizes of requests."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 32 * 1024 * 1024
"""Bytes of one request, as in Qdrant."""
MOST_HELD = 4 * MOST_BYTES
"""Bytes of all request bodies that are held at the same time."""
SECONDS = 60.0
"""Seconds in which the body of one request must arrive."""
_NAMES = r"(?:127\.0\.0\.1|localhost|\[::1\])"
_OWN_HOST = re.compile(rf"{_NAMES}(:[0-9]+)?", re.IGNORECASE)
_OWN_ORIGIN = re.compile(rf"http://{_NAMES}(:[0-9]+)?", re.IGNORECASE)
_PROTOCOLS = r"/|/v1/models|/v1/models/[^/]+|/v2|/v2/health/(?:live|ready)|/v2/models(?:/.*)?"
_SERVED = re.compile(_PROTOCOLS)
_SERVED_IN_A_CLUSTER = re.compile(rf"{_PROTOCOLS}|/metrics")
"""Prometheus reads the metrics of every pod. A laptop does not serve them: every local user could read them."""
_BAD_REQUEST, _FORBIDDEN, _NOT_FOUND, _TIMEOUT, _TOO_LARGE, _MISDIRECTED, _BUSY = (400, 403, 404, 408, 413, 421, 503)


@dataclass(frozen=True)
class _RefusedError(Exception):
    status: int
    message: str


class Guard:
    """Passes on only requests of the inference protocols, and limits their bodies.

    KServe also serves its model repository, where any client can unload a model, and describes itself by OpenAPI.
    Vellum needs neither, so only the listed paths are passed on.

    On loopback it checks two more headers. A web page may point its own name at a loopback address; the browser then
    treats this server as a part of that page's site and shows it the answers (DNS rebinding): ``Host`` reveals that.
    A page may also send a simple request here without seeing the answer: ``Origin`` reveals that.
    Starlette's TrustedHostMiddleware cannot be used: it cuts the port off at the first colon, so ``[::1]`` never fits.
    """

    def __init__(self, app: ASGIApp, *, loopback: bool, most_bytes: int = MOST_BYTES) -> None:
        self._app, self._loopback, self._most_bytes = app, loopback, most_bytes
        self._served = _SERVED if loopback else _SERVED_IN_A_CLUSTER
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it before the server sees it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._look(scope)
            body = await self._body(scope, receive)
        except _RefusedError as refused:
            await JSONResponse({"error": refused.message}, refused.status)(scope, receive, send)
            return
        try:
            await self._app(scope, _replayed(body, receive), send)
        finally:
            self._held -= len(body)

    def _look(self, scope: Scope) -> None:
        if self._loopback:
            host = _only(scope, b"host")
            if not _OWN_HOST.fullmatch(host or ""):
                text = "this model answers only to 127.0.0.1, localhost and [::1]; use its printed address"
                raise _RefusedError(_MISDIRECTED, text)
            if not _is_own(_only(scope, b"origin"), host or ""):
                raise _RefusedError(_FORBIDDEN, "a web page of another origin may not use this model")
        if not self._served.fullmatch(scope["path"]):
            text = f"{scope['path'][:200]} is not served; a model answers at /v1/models and /v2/models"
            raise _RefusedError(_NOT_FOUND, text)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Return the whole body; its bytes count as held until the request is answered."""
        self._allow(scope, 0)
        parts, size, more = [], 0, True
        try:
            async with asyncio.timeout(SECONDS):
                while more:
                    message = await receive()
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    self._held += len(parts[-1])
                    self._allow(scope, size, left=message["type"] == "http.disconnect")
                    more = message.get("more_body", False)
        except TimeoutError:
            self._held -= size
            raise _RefusedError(_TIMEOUT, f"the body did not arrive within {SECONDS:.0f} seconds") from None
        except BaseException:
            self._held -= size
            raise
        return b"".join(parts)

    def _allow(self, scope: Scope, size: int, *, left: bool = False) -> None:
        """Refuse a body whose length is too large, or whose received bytes are too many."""
        announced = _only(scope, b"content-length") or "0"
        if not announced.isdecimal() or max(int(announced), size) > self._most_bytes:
            text = f"the body is larger than {self._most_bytes} bytes; send fewer rows in one request"
            raise _RefusedError(_TOO_LARGE, text)
        if self._held > MOST_HELD:
            raise _RefusedError(_BUSY, "too many bytes are being sent at the same time; try again in a moment")
        if left:
            raise _RefusedError(_BAD_REQUEST, "the client closed the connection before the whole body arrived")


def _only(scope: Scope, name: bytes) -> str | None:
    """Return a header's value; None if it is not sent. Repeated headers are joined and match no pattern."""
    values = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    return ", ".join(values) if values else None


def _is_own(origin: str | None, host: str) -> bool:
    """Return whether no page sent the request, or a page of a loopback name and the same port."""
    if origin is None:
        return True
    match, asked = _OWN_ORIGIN.fullmatch(origin), _OWN_HOST.fullmatch(host)
    return match is not None and asked is not None and match[1] == asked[1]


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a receive function that gives the body as one message, then the connection's messages."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        """Return the body first, then the connection's messages."""
        return waiting.pop() if waiting else await receive()

    return again
