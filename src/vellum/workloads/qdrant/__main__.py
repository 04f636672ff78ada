"""The server process: ``python -m vellum.workloads.qdrant``, configured by its environment (``settings``)."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from vellum.errors import WorkloadError
from vellum.workloads.qdrant.settings import Settings

if TYPE_CHECKING:
    from vellum.workloads.qdrant.collections import Collections


def main() -> int:
    """Serve until SIGTERM or SIGINT, then flush; return 0, or 1 with one line on stderr."""
    try:
        settings = Settings.of(os.environ)
        os.umask(0o077)
        _serve(settings, _listen(settings.address, settings.port))
    except WorkloadError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _listen(address: str, port: int) -> socket.socket:
    try:
        listener = socket.create_server((address, port), backlog=128)
    except OSError as error:
        fix = "stop what listens there, or give another VELLUM_QDRANT_PORT"
        raise WorkloadError("VEL513", "the port cannot be taken", where=f"{address}:{port}", fix=fix) from error
    # Inherited by every connection. asyncio sets it only on sockets whose protocol number is known, which is 0 here;
    # without it each answer waits 40 ms for the caller's delayed acknowledgement (measured).
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _serve(settings: Settings, listener: socket.socket) -> None:
    from vellum.workloads.qdrant.collections import Collections

    with listener, ThreadPoolExecutor(1, "qdrant") as worker:
        collections = worker.submit(Collections, settings.directory).result()
        try:
            # uvicorn raises the signal again at its end; the default handler would end this process before the flush.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: None)
            asyncio.run(_run(settings, collections, worker, listener))
        finally:
            worker.submit(collections.close).result()


async def _run(
    settings: Settings, collections: Collections, worker: ThreadPoolExecutor, listener: socket.socket
) -> None:
    import uvicorn

    from vellum.workloads.qdrant.indexing import Indexer
    from vellum.workloads.qdrant.server import App

    config = uvicorn.Config(
        App(settings, collections, worker),
        loop="asyncio",
        lifespan="off",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    indexer = asyncio.create_task(Indexer(collections, worker).run())
    await uvicorn.Server(config).serve(sockets=[listener])
    indexer.cancel()
    await asyncio.wait([indexer])


if __name__ == "__main__":
    sys.exit(main())
