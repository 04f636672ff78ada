"""The process ``python -m vellum.workloads.s3``; environment variables configure it."""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from vellum.errors import WorkloadError

_CONNECTIONS = 512
"""Each may hold 64 KiB of an unread body; further connections get 503."""


def main() -> int:
    """Serve until SIGTERM; return 0, or 1 with one line on stderr.

    Environment: ``VELLUM_S3_STORE`` is the store's HOST:PORT, or the path of its Unix socket.
    ``VELLUM_S3_IDENTITIES`` is a file of identities, of which the first is the front's. ``VELLUM_S3_PORT`` is where to
    listen (8333), on the interface ``VELLUM_BIND`` (all). After SIGTERM, requests have ``VELLUM_S3_GRACE`` seconds (3)
    to end.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        _serve()
    except WorkloadError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _serve() -> None:
    import uvicorn

    from vellum.workloads.s3.app import Front
    from vellum.workloads.s3.sign import Signer
    from vellum.workloads.s3.store import Store
    from vellum.workloads.s3.upstream import Upstream

    place = os.environ.get("VELLUM_S3_IDENTITIES", "")
    try:
        signer = Signer.of(Path(place).read_text())
    except (OSError, ValueError) as wrong:
        raise WorkloadError(
            "VEL561",
            f"the front's key cannot be read: {wrong}",
            where=place or "VELLUM_S3_IDENTITIES",
            fix="point VELLUM_S3_IDENTITIES to a file of identities",
        ) from None
    upstream = Upstream(os.environ["VELLUM_S3_STORE"])
    front = Front(upstream, Store(upstream, signer, lambda: datetime.now(UTC)))
    uvicorn.run(
        front,
        host=os.environ.get("VELLUM_BIND", "0.0.0.0"),  # noqa: S104  # in a pod; a laptop says 127.0.0.1
        port=int(os.environ.get("VELLUM_S3_PORT", "8333")),
        http="httptools",
        loop="auto",
        lifespan="off",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(os.environ.get("VELLUM_S3_GRACE", "3")),
        limit_concurrency=_CONNECTIONS,
    )


if __name__ == "__main__":
    sys.exit(main())
