"""The base class of both benches: it starts programs in stages, reports its steps, and applies objects."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from vellum.bench import certificates
from vellum.bench.machine import LOOPBACK, Machine
from vellum.bench.programs import ROOT
from vellum.cluster.api import Api
from vellum.cluster.store import wait_for
from vellum.errors import BenchError, VellumError
from vellum.host.ports import Ports
from vellum.host.state import State
from vellum.host.supervisor import Supervisor
from vellum.kube.objects import Key, Obj, current, make
from vellum.model.process import Process

LOG = logging.getLogger(__name__)
STAGE_SECONDS = 60
FIX = "look at `vellum bench status` and the logs that it names"
_IN_CLUSTER = ("10.96.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
"""The API server's names for pods: the first address of the Services, and the Service's names."""
FUNCTION_PYTHON = ROOT / ".venv-function" / "bin" / "python"


def clock() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


class Stages(ABC):
    """One bench, running in this process."""

    def __init__(self, state: State, programs: dict[str, Path], ports: Ports, node: str = "") -> None:
        """Prepare everything that needs no process.

        Args:
            state: the bench's own directory.
            programs: the paths that ``programs.ensure`` returned.
            ports: the bench's ports.
            node: the address of the node on which pods run; empty without one.
        """
        self.state, self.ports = state, ports
        server = f"https://127.0.0.1:{self.ports.get('bench/apiserver')}"
        also = (node, *_IN_CLUSTER) if node else ()
        self.certificates = certificates.make(state.root / "certificates", server, clock(), also)
        self.machine = Machine(state.root, programs, FUNCTION_PYTHON, self.certificates, self.ports, node or LOOPBACK)
        self.supervisor = Supervisor(state, changed=self._changed, repaired=lambda *_: None)
        self.kubectl = state.root / "bin" / "kubectl"
        self.steps: list[tuple[str, float]] = []
        self.error: VellumError | None = None
        self.ready = False
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self._began = time.monotonic()

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.certificates.kubeconfig("admin")

    @property
    def s3(self) -> str:
        """The address of the front of the object store; empty without one."""
        return ""

    def run(self, stop: threading.Event) -> None:
        """Start everything, work until ``stop`` is set, and end all processes."""
        self._stop = stop
        self._thread("start", self._start)
        stop.wait()
        # Everything that may still start a process ends before the processes do.
        for thread in self._threads:
            thread.join(STAGE_SECONDS)
        self.supervisor.close()

    def install(self) -> None:
        """Apply the rendered tree once more, in the background; nothing without a tree."""
        return

    @abstractmethod
    def _start(self) -> None:
        """Start everything, on a thread of its own."""

    def _changed(self, process: str) -> None:  # noqa: ARG002  # not every bench has controllers to wake
        """React to a change in the readiness of a process."""
        return

    def _thread(self, name: str, work: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments, name=name, daemon=True))
        self._threads[-1].start()

    def _attempt(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except VellumError as error:
            self.error = error
        except Exception as error:
            LOG.exception("the bench does not start")
            self.error = BenchError(
                "VEL905",
                f"the bench does not start: {type(error).__name__}: {error}",
                where=str(self.state.root),
                fix="read its log: logs/vellum.log in that folder",
            )

    def _clients(self) -> None:
        """Create the links with which a user runs kubectl and helm."""
        self.kubectl.parent.mkdir(mode=0o700, exist_ok=True)
        for name in ("kubectl", "helm"):
            link = self.kubectl.with_name(name)
            link.unlink(missing_ok=True)
            link.symlink_to(self.machine.programs[name])

    def _report(self, what: str) -> None:
        self.steps.append((what, round(time.monotonic() - self._began, 1)))

    def _process(self, name: str) -> Process:
        return self.machine.process(name)

    def _stage(self, names: tuple[str, ...]) -> None:
        processes = [self._process(name) for name in names]
        for process in processes:
            self.supervisor.ensure(process)
        deadline = time.monotonic() + STAGE_SECONDS
        for process in processes:
            while not self._stop.is_set() and not self.supervisor.ensure(process).ready:
                if time.monotonic() > deadline:
                    raise BenchError(
                        "VEL906",
                        f"{process.name} does not answer: {self.supervisor.ensure(process).message}",
                        where=str(self.state.log(process.name)),
                        fix="read that log",
                    )
                time.sleep(0.02)
        self._report(f"{', '.join(names)} {'answers' if len(names) == 1 else 'answer'}")

    def _apply(self, api: Api, objects: list[Obj]) -> None:
        for obj in objects:
            api.apply(obj, manager="vellum-bench")
        for obj in objects:
            if obj["kind"] == "CustomResourceDefinition":
                self._until(api, Key.of(obj), "Established")

    def _until(self, api: Api, key: Key, kind: str, seconds: float = STAGE_SECONDS) -> None:
        def is_true() -> bool:
            """Return whether the condition is True."""
            return (current(api.get(key) or make("v1", "None", ""), kind) or {}).get("status") == "True"

        wait_for(lambda: self._stop.is_set() or is_true(), seconds, f"{key} is {kind}", FIX)
