"""HTTP around the calls: keys, limits, query strings, and errors in Qdrant's form."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import Executor
from typing import Any
from urllib.parse import parse_qsl

import orjson

from vellum.workloads.qdrant import space
from vellum.workloads.qdrant.collections import Collections
from vellum.workloads.qdrant.refused import RefusedError, refused
from vellum.workloads.qdrant.request import Request
from vellum.workloads.qdrant.routes import Route, find
from vellum.workloads.qdrant.settings import Settings

MAX_BODY = 32 * 1024 * 1024
"""Bytes of one request, as in Qdrant."""
VERSION = "1.20.0"
"""The Qdrant whose REST is spoken: the client compares it with its own."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger(__name__)
_OPEN = {
    "/": orjson.dumps(
        {"title": "qdrant - vector search engine", "version": VERSION, "commit": "Vellum's stand-in on qdrant-edge"}
    ),
    "/healthz": b"healthz check passed",
    "/livez": b"livez check passed",
    "/readyz": b"all shards are ready",
}
"""Paths that need no key, as in Qdrant."""
_HARMLESS: dict[str, Callable[[str], bool]] = {
    "wait": lambda value: value in ("true", "false"),
    "timeout": lambda value: re.fullmatch("[1-9][0-9]{0,8}", value) is not None,
    "consistency": lambda value: value in ("all", "majority", "quorum") or (value.isascii() and value.isdigit()),
    "ordering": lambda value: value in ("weak", "medium", "strong"),
}
"""Parameters without effect on one process with one copy; only ``wait`` is read."""


class App:
    """The ASGI application.

    All calls run in one thread of ``worker``: qdrant-edge holds the GIL for the whole of every call (measured), so
    more threads would gain nothing. One thread makes each call atomic without a lock, also deletions against reads.
    """

    def __init__(self, settings: Settings, collections: Collections, worker: Executor) -> None:
        self._settings = settings
        self._collections = collections
        self._worker = worker

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == "http", "uvicorn is started without lifespan and websockets"
        path, method = scope["path"], scope["method"]
        if method == "GET" and path in _OPEN:
            kind = "application/json" if path == "/" else "text/plain"
            await _send(send, 200, _OPEN[path], kind)
            return
        begun = time.perf_counter()
        try:
            result = await self._answer(scope, receive)
        except RefusedError as error:
            await _refuse(send, error)
            return
        answer = {"result": result, "status": "ok", "time": time.perf_counter() - begun}
        await _send(send, 200, orjson.dumps(answer), "application/json")

    async def _answer(self, scope: Message, receive: Receive) -> object:
        headers = dict(scope["headers"])
        may_write = self._may_write(headers)
        route, values = find(scope["method"], scope.get("raw_path") or scope["path"].encode())
        if route.writes and not may_write:
            raise RefusedError(403, "Forbidden: the read-only key may only read")
        wait = _wait(scope["query_string"])
        body = await _body(headers, receive)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self._call, route, values, body, wait)

    def _call(self, route: Route, values: Mapping[str, str], raw: bytes, wait: bool) -> object:  # noqa: FBT001
        try:
            if route.writes and not route.frees:
                space.check(self._settings.directory, len(raw))
            return route.call(Request(self._collections, values, _parse(route, raw), wait))
        except RefusedError:
            raise
        except Exception as error:
            raise _translated(error) from error
        except BaseException as error:
            # A panic of the core arrives as pyo3's PanicException, which does not derive from Exception.
            _log.exception("the core failed on %s %s", route.method, route.template)
            raise RefusedError(500, "Service internal error: the core failed") from error

    def _may_write(self, headers: dict[bytes, bytes]) -> bool:
        """Return whether the key may write; always compare both keys, in constant time."""
        bearer = headers.get(b"authorization", b"")
        given = headers.get(b"api-key") or (bearer[7:] if bearer[:7].lower() == b"bearer " else b"")
        if not given:
            raise RefusedError(401, "Must provide an API key or an Authorization bearer token")
        full = hmac.compare_digest(given, self._settings.api_key)
        read_only = hmac.compare_digest(given, self._settings.read_only_key)
        if not full and not read_only:
            raise RefusedError(401, "Invalid API key or JWT")
        return full


def _translated(error: Exception) -> RefusedError:
    """Return the answer for an error of the core; log an error that the request did not cause."""
    message = str(error).partition("\n")[0]
    if type(error) is ValueError:
        return RefusedError(400, f"Wrong input: {message}")
    if type(error) is Exception and not message.startswith("Service"):
        return RefusedError(404 if message.startswith("No point with id") else 400, f"Wrong input: {message}")
    _log.error("a call failed", exc_info=error)
    return RefusedError(500, f"Service internal error: {message}")


def _wait(query_string: bytes) -> bool:
    wait = False
    for name, value in parse_qsl(query_string.decode("ascii", "replace"), keep_blank_values=True):
        check = _HARMLESS.get(name)
        if check is None:
            raise refused(f"query parameter `{name}` is unknown or not supported")
        if not check(value):
            raise refused(f"query parameter `{name}` cannot be {value!r}")
        wait = value == "true" if name == "wait" else wait
    return wait


async def _body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """Return the body; refuse one that announces too much before it is read."""
    length = headers.get(b"content-length", b"0")
    if int(length) > MAX_BODY:
        raise _too_large()
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "Wrong input: the caller left")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            raise _too_large()
        more = message.get("more_body", False)
    return b"".join(parts)


def _too_large() -> RefusedError:
    return RefusedError(413, f"Payload error: the body is larger than {MAX_BODY} bytes")


def _parse(route: Route, raw: bytes) -> object:
    if not route.body:
        if raw:
            raise refused(f"{route.method} {route.template} takes no body")
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, f"Format error in JSON body: {error}") from error


async def _refuse(send: Send, error: RefusedError) -> None:
    if error.status == 401:  # noqa: PLR2004  # Qdrant's guard answers in plain text
        await _send(send, error.status, error.message.encode(), "text/plain")
        return
    answer = {"status": {"error": error.message}, "time": 0.0}
    await _send(send, error.status, orjson.dumps(answer), "application/json")


async def _send(send: Send, status: int, body: bytes, kind: str) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
