"""The bench's process: ``python -m vellum.bench.daemon TREE``, started by ``vellum bench up`` and left running."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vellum import __version__
from vellum.bench import programs
from vellum.bench.bench import Bench
from vellum.errors import VellumError
from vellum.laptop import daemon
from vellum.laptop.state import State, default_root

LOG = logging.getLogger(__name__)


class Commands:
    """What may be asked through the socket."""

    def __init__(self, bench: Bench, stop: threading.Event) -> None:
        self._bench, self._stop = bench, stop

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer one request."""
        operations: dict[str, Callable[[], Any]] = {
            "ping": self.ping,
            "status": self.status,
            "stop": self.stop,
        }
        operation = operations.get(str(request.get("op")))
        return (
            {"ok": operation()}
            if operation
            else daemon.refused(f"there is no operation {request.get('op')!r}")
        )

    def ping(self) -> Mapping[str, Any]:
        """Say who answers."""
        return {"pid": os.getpid(), "version": __version__}

    def status(self) -> Mapping[str, Any]:
        """Say how far the start is, what runs, and where."""
        bench = self._bench
        return {
            "ready": bench.ready,
            "error": bench.error.as_dict() if bench.error else None,
            "steps": bench.steps,
            "kubeconfig": str(bench.kubeconfig),
            "kubectl": str(bench.machine.programs["kubectl"]),
            "processes": daemon.processes(bench.supervisor, bench.state),
        }

    def stop(self) -> Mapping[str, Any]:
        """End this process and all its children soon."""
        self._stop.set()
        return self.ping()


def main() -> int:
    """Run until stopped."""
    tree = Path(sys.argv[1])

    def started(state: State) -> tuple[daemon.Runs, Callable[[threading.Event], daemon.Answers]]:
        bench = Bench(state, programs.ensure(LOG.info), tree)
        return bench, lambda stop: Commands(bench, stop)

    return daemon.serve_until_stopped(State.open(default_root()), started)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VellumError as error:
        sys.exit(str(error))
