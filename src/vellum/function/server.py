"""The function's process: gRPC with mTLS, health and metrics; a stop finishes the calls in progress."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
from crossplane.function import runtime
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from prometheus_client import Counter, Histogram, start_http_server

from vellum.errors import FunctionError
from vellum.function import kinds
from vellum.function.answer import answer_bytes
from vellum.function.kinds import Discovery
from vellum.model.state import Known

LOG = logging.getLogger(__name__)
SERVICES = ("apiextensions.fn.proto.v1.FunctionRunnerService", "apiextensions.fn.proto.v1beta1.FunctionRunnerService")
"""The two names are equal on the wire; Crossplane uses the second where the server does not know the first."""
MOST_BYTES = 32 * 2**20
"""Above gRPC's default of 4 MiB, because managedFields of other managers make the observed objects large."""
GRACE_SECONDS = 5
CALLS = Histogram(
    "vellum_function_call_seconds",
    "Time of one call, from bytes to bytes",
    ("kind",),
    buckets=(0.0005, 0.001, 0.0015, 0.002, 0.005, 0.01, 0.05, 0.1, 1),
)
FATALS = Counter("vellum_function_fatal_total", "Answers that told Crossplane to change nothing", ("kind",))


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to listen, and the folder of ``tls.crt``, ``tls.key`` and ``ca.crt`` (None: without TLS, for tests)."""

    address: str
    certificates: Path | None
    metrics: str = ""
    """``HOST:PORT`` of Prometheus' metrics; empty to serve none."""


async def run(raw: bytes, context: object, discovery: Discovery | None = None, known: Known | None = None) -> bytes:
    """Return the answer to one call; equal requests, times and served kinds give equal bytes."""
    del context
    began = time.perf_counter()
    served = await asyncio.to_thread(discovery.look) if discovery else None
    response, kind = answer_bytes(raw, datetime.now(UTC), served, known)
    answered = response.SerializeToString(deterministic=True)
    CALLS.labels(kind).observe(time.perf_counter() - began)
    if any(result.severity == 1 for result in response.results):
        FATALS.labels(kind).inc()
    return bytes(answered)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        FunctionError: a certificate cannot be read, or an address is taken (VEL801).
    """
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    # Without this option a second process would silently share the port, and answer every other call.
    options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", MOST_BYTES)]
    server = grpc.aio.server(options=options)
    discovery, known = kinds.find(), Known()

    async def call(raw: bytes, context: object) -> bytes:
        """Answer one call with the kinds that are served now."""
        return await run(raw, context, discovery, known)

    handler = grpc.unary_unary_rpc_method_handler(call)
    server.add_generic_rpc_handlers(_handlers(handler))
    alive = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(alive, server)
    _listen(server, settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    await server.start()
    for service in ("", *SERVICES):
        await alive.set(service, health_pb2.HealthCheckResponse.SERVING)
    LOG.info("the function listens on %s", settings.address)
    await stop.wait()
    await alive.enter_graceful_shutdown()
    await server.stop(GRACE_SECONDS)


def _handlers(handler: grpc.RpcMethodHandler) -> Sequence[grpc.GenericRpcHandler]:
    return [grpc.method_handlers_generic_handler(service, {"RunFunction": handler}) for service in SERVICES]


def _listen(server: grpc.aio.Server, settings: Settings) -> None:
    try:
        if settings.certificates is None:
            server.add_insecure_port(settings.address)
        else:
            server.add_secure_port(settings.address, runtime.load_credentials(str(settings.certificates)))
        if settings.metrics:
            host, _, port = settings.metrics.rpartition(":")
            start_http_server(int(port), host)
    except (OSError, RuntimeError, ValueError) as cause:
        raise FunctionError(
            "VEL801",
            f"the function cannot listen: {cause}",
            where=settings.address,
            fix="free the address, or check tls.crt, tls.key and ca.crt in the certificates' folder",
        ) from cause
