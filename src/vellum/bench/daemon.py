"""The bench's process: ``python -m vellum.bench.daemon TREE|--node``, started by ``vellum bench up``; left running."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vellum.bench import programs
from vellum.bench.bench import Bench
from vellum.bench.node.bench import NodeBench
from vellum.bench.stages import Stages
from vellum.host import service
from vellum.host.control import Answer, refused
from vellum.host.state import State


class Commands:
    """The operations that the socket offers."""

    def __init__(self, bench: Stages, stop: threading.Event) -> None:
        self._bench, self._stop = bench, stop

    def answer(self, request: Mapping[str, Any]) -> Answer:
        """Return the answer to one request."""
        operations: dict[str, Callable[[], Answer]] = {
            "ping": service.ping,
            "status": self.status,
            "install": self.install,
            "stop": self.stop,
        }
        operation = operations.get(str(request.get("op")))
        if operation is None:
            return refused(f"unknown operation {request.get('op')!r}")
        return {"ok": operation()}

    def status(self) -> Answer:
        """Return how far the start is, which processes run, and their addresses."""
        bench = self._bench
        return {
            "node": isinstance(bench, NodeBench),
            "ready": bench.ready,
            "error": bench.error.as_dict() if bench.error else None,
            "steps": bench.steps,
            "kubeconfig": str(bench.kubeconfig),
            "kubectl": str(bench.kubectl),
            "s3": bench.s3,
            "registry": bench.machine.registry,
            "processes": service.processes(bench.supervisor, bench.state),
        }

    def install(self) -> Answer:
        """Apply the tree again; the status shows when that is done."""
        self._bench.install()
        return service.ping()

    def stop(self) -> Answer:
        """End this process and all its children soon."""
        self._stop.set()
        return service.ping()


def begin(state: State, stop: threading.Event) -> tuple[Stages, Commands]:
    """Prepare the bench; its programs start in the background."""
    bench: Stages
    if sys.argv[1] == "--node":
        bench = NodeBench(state, programs.ensure(lambda _: None, programs.NODE))
    else:
        bench = Bench(state, programs.ensure(lambda _: None), Path(sys.argv[1]))
    return bench, Commands(bench, stop)


if __name__ == "__main__":
    sys.exit(service.run(begin))
