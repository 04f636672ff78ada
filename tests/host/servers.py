"""Tiny real servers for the supervisor, and a supervisor in a process of its own that tests may kill."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from vellum.host import reaper
from vellum.host.child_watch import Patience
from vellum.host.state import State
from vellum.host.supervisor import Supervisor
from vellum.model.process import Probe, Process

ROOT = Path(__file__).parents[2]
SERVER = """\
import json, os, signal, socket, subprocess, sys, time
port, modes = int(sys.argv[1]), sys.argv[2:]
print("begins", flush=True)
if "crash" in modes:
    sys.exit(3)
if "slow" in modes:
    time.sleep(600)
if "stubborn" in modes:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "family" in modes:
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    grandchild = subprocess.Popen([sys.executable, "-ISc", child], stdout=subprocess.PIPE)
    grandchild.stdout.readline()
    with open("grandchild", "w") as file:
        file.write(str(grandchild.pid))
with open("environment.json", "w") as file:
    json.dump(dict(os.environ), file)
with socket.create_server(("127.0.0.1", port)) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            if os.path.exists("hang"):
                time.sleep(600)
            while os.path.exists("busy"):
                pass
            if os.path.exists("refuse"):
                connection.sendall(b"HTTP/1.0 503 No\\r\\n\\r\\n")
                continue
            connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + (b"" if os.path.exists("partial") else b"whole"))
"""
QUICK = Patience(
    start_probe=0.01,
    live_probe=0.05,
    answer=0.2,
    silence=0.2,
    stopped=0.4,
    hang=0.4,
    refuses=0.6,
    busy=30,
    slow_start=1,
    longest_pause=0.5,
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def server(folder: Path, name: str, *modes: str, port: int = 0, **more: Any) -> Process:
    """Describe one tiny server; it listens on a port of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    script, port = folder / "server.py", port or free_port()
    script.write_text(SERVER)
    argv = (sys.executable, "-I", "-S", str(script), str(port), *modes)
    return Process(name, argv, folder / name, Probe(port, "/"), **more)


@dataclass
class Supervised:
    """A supervisor, its folder, and the changes that it reported."""

    folder: Path
    patience: Patience = QUICK
    told: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    """The messages of all processes, in order; some are true for less than a second."""
    repaired: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = State.open(self.folder / "state")
        self.supervisor = Supervisor(self.state, changed=self._changed, repaired=self._repaired, patience=self.patience)

    def _changed(self, name: str) -> None:
        self.told.append(name)
        self.messages.append(self.supervisor.status(name).message)

    def _repaired(self, name: str, wrong: str, seen: datetime, back: datetime) -> None:
        assert seen <= back
        self.repaired.append((name, wrong))

    def server(self, name: str, *modes: str, **more: Any) -> Process:
        return server(self.folder / "servers", name, *modes, **more)

    def started(self, name: str, *modes: str, **more: Any) -> Process:
        """Run a server and wait until it answers."""
        process = self.server(name, *modes, **more)
        self.supervisor.ensure(process)
        self.wait_ready(process)
        return process

    def wait_ready(self, process: Process) -> None:
        wait_for(lambda: self.supervisor.ensure(process).ready)

    def pid(self, name: str) -> int:
        return self.supervisor.running()[name][2]

    def log(self, name: str) -> str:
        return self.state.log(name).read_text()


def wait_for(done: Callable[[], Any], seconds: float = 12) -> Any:
    """Return the first true answer."""
    deadline = time.monotonic() + seconds
    while not (answer := done()):
        if time.monotonic() > deadline:
            pytest.fail(f"did not happen within {seconds} s")
        time.sleep(0.01)
    return answer


def alive(pid: int) -> bool:
    return bool(reaper.started(pid))


def host(folder: Path, *modes: str, **environment: str) -> tuple[subprocess.Popen[str], dict[str, int]]:
    """Start a supervisor of one server in its own process; return it and the pids of its children."""
    argv = [sys.executable, "-m", "tests.host.servers", str(folder), *modes]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    assert process.stdout
    return process, json.loads(process.stdout.readline())


def main(folder: Path, *modes: str) -> None:
    supervised = Supervised(folder)
    process = supervised.started("served", *modes)
    pids = {"reaper": supervised.supervisor.reaper_pid, "served": supervised.pid("served")}
    if "family" in modes:
        pids["grandchild"] = int((process.directory / "grandchild").read_text())
    sys.stdout.write(json.dumps(pids) + "\n")
    sys.stdout.flush()
    time.sleep(600)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
