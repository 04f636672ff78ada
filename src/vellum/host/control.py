"""The control socket: one line of JSON in, one line of JSON out, in a private folder.

One thread reads all connections, so an idle connection costs no thread; a few threads answer. Every request gets an
answer: an invalid one gets an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from vellum.errors import LaptopError, UsageError

LOG = logging.getLogger(__name__)
LONGEST_REQUEST = 4 * 2**20
BACKLOG = 1024
"""Connections that the kernel queues until the server accepts them."""
MOST_CONNECTIONS = 256
"""Further connections get VEL420: each costs a descriptor, and a process has about a thousand."""
WORKERS = 8
IDLE_SECONDS = 30.0
"""Seconds after which an idle connection is closed."""
BUSY, BUSY_SECONDS = "VEL420", 1.0

Answer = Mapping[str, Any]
Respond = Callable[[Mapping[str, Any]], Answer]


def refused(what: str) -> Answer:
    """Return the answer to an invalid request."""
    error = UsageError("VEL701", what, where="the control socket", fix="use the `vellum` of the same version")
    return {"error": error.as_dict()}


def answer(line: bytes, respond: Respond) -> Answer:
    """Return the answer to one line of any content."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        return refused(f"a request is one JSON object on one line: {str(error)[:200] or type(error).__name__}")
    if not isinstance(request, dict):
        return refused(f"a request is a JSON object, and this is {type(request).__name__}")
    try:
        return respond(request)
    except Exception as error:
        # The caller needs an answer too. Without one it would wait, and then report the supervisor as dead.
        LOG.exception("the request %.100r failed", request.get("op"))
        return refused(f"the request failed: {type(error).__name__}: {str(error)[:200]}")


class Server:
    """Answers on a socket until it is closed, from threads of its own."""

    def __init__(self, path: Path, respond: Respond) -> None:
        """Listen; when this returns the socket is open.

        Raises:
            OSError: the socket cannot be made.
        """
        self._path, self._respond, self._count = path, respond, 0
        self._loop = asyncio.new_event_loop()
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="answer")
        path.unlink(missing_ok=True)
        self._server = self._loop.run_until_complete(
            asyncio.start_unix_server(self._serve, str(path), backlog=BACKLOG, limit=LONGEST_REQUEST)
        )
        self._thread = threading.Thread(target=self._loop.run_forever, name="commands", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Accept no more connections, close the open ones, and remove the socket."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._path.unlink(missing_ok=True)

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count += 1
        try:
            with contextlib.suppress(
                OSError, TimeoutError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError
            ):
                if self._count > MOST_CONNECTIONS:
                    await _say(writer, _busy())
                    # If the server closed before it read the request, the kernel would discard the answer.
                    await asyncio.wait_for(reader.readuntil(b"\n"), BUSY_SECONDS)
                    return
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._count -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one line; return False when the connection is done."""
        try:
            line = await asyncio.wait_for(reader.readuntil(b"\n"), IDLE_SECONDS)
        except asyncio.IncompleteReadError as end:
            line = end.partial
            if not line:
                return False
        except asyncio.LimitOverrunError:
            await _say(writer, refused(f"a request is longer than {LONGEST_REQUEST} bytes"))
            # If the server closed now, the kernel would discard the answer while the client still writes.
            while await asyncio.wait_for(reader.read(LONGEST_REQUEST), IDLE_SECONDS):
                pass
            return False
        await _say(writer, await self._loop.run_in_executor(self._pool, answer, line, self._respond))
        return True


async def _say(writer: asyncio.StreamWriter, message: Answer) -> None:
    writer.write(json.dumps(message).encode() + b"\n")
    await asyncio.wait_for(writer.drain(), IDLE_SECONDS)


def _busy() -> Answer:
    error = LaptopError(
        BUSY,
        f"the supervisor has {MOST_CONNECTIONS} connections already",
        where="the control socket",
        fix="try again in a moment",
    )
    return {"error": error.as_dict()}


def serve(path: Path, respond: Respond) -> Server:
    """Open the socket (in a 0700 folder) and answer in the background."""
    return Server(path, respond)
