"""The control socket answers everybody: bursts, idle connections and input that makes no sense."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vellum.errors import LaptopError
from vellum.host import control, service
from vellum.host.client import Client
from vellum.host.state import State

HOSTILE = {
    "null": b"null",
    "list": b"[]",
    "number": b"5",
    "text": b'"ping"',
    "empty object": b"{}",
    "no JSON": b"ping",
    "empty line": b"",
    "deep list": b"[" * 200_000,
    "deep object": b'{"op":' * 100_000,
    "not UTF-8": b'{"op": "\xff\xfe"}',
    "NUL": b"\0" * 100,
    "half a pair": b'{"op": "\\ud800"}',
    "op is a list": b'{"op": ["ping"]}',
    "op is null": b'{"op": null}',
    "huge number": b'{"op": ' + b"9" * 10_000 + b"}",
    "other arguments": b'{"op": "ping", "x": 1}',
    "TLS": b"\x16\x03\x01\x02\x00\x01",
    "HTTP": b"GET / HTTP/1.1\r",
}


def respond(request: Any) -> Any:
    if request.get("op") != "ping":
        return control.refused(f"unknown operation {request.get('op')!r}")
    arguments = {name: value for name, value in request.items() if name != "op"}
    return {"ok": service.ping(**arguments)}


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """Return a state whose socket answers pings."""
    folder = Path(tempfile.mkdtemp(prefix="vellum-test-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    result = State.open(folder / "state")
    result.open_runtime()
    result.hold()
    server = control.serve(result.socket, respond)
    yield result
    server.close()
    shutil.rmtree(folder)


def asked(state: State, line: bytes, seconds: float = 10) -> Any:
    """Send one line; return what is answered."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(str(state.socket))
        connection.sendall(line + b"\n")
        return json.loads(connection.makefile("rb").readline())


@pytest.mark.parametrize("name", HOSTILE)
def test_input_that_makes_no_sense_gets_an_error(state: State, name: str) -> None:
    assert asked(state, HOSTILE[name])["error"]["code"] == "VEL701"
    assert Client(state).alive()


def test_a_line_of_a_hundred_megabytes_gets_an_error_and_costs_little(state: State) -> None:
    before = Path("/proc/self/statm").read_text().split()[1]
    assert "longer than" in asked(state, b"x" * 100_000_000)["error"]["what"]
    assert int(Path("/proc/self/statm").read_text().split()[1]) - int(before) < 60_000  # pages, of the sender's too
    assert Client(state).alive()


@given(st.binary(max_size=300) | st.text(max_size=50).map(str.encode))
def test_any_line_gets_an_answer(line: bytes) -> None:
    assert set(control.answer(line, respond)) in ({"ok"}, {"error"})


def test_sixty_four_clients_at_once_are_all_answered(state: State) -> None:
    def pings(_: int) -> int:
        return sum(bool(Client(state).ask("ping")["pid"]) for _ in range(10))

    with ThreadPoolExecutor(64) as pool:
        assert sum(pool.map(pings, range(64))) == 640


def test_idle_connections_make_nobody_wait(state: State) -> None:
    idle = [socket.socket(socket.AF_UNIX) for _ in range(200)]
    for connection in idle:
        connection.connect(str(state.socket))
    began = time.monotonic()
    assert Client(state).alive()
    assert time.monotonic() - began < control.IDLE_SECONDS / 2
    for connection in idle:
        connection.close()


def test_more_connections_than_there_is_room_for_are_told_so(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MOST_CONNECTIONS", 4)
    idle = [socket.socket(socket.AF_UNIX) for _ in range(4)]
    for connection in idle:
        connection.connect(str(state.socket))
    with pytest.raises(LaptopError, match="VEL420: the supervisor has 4 connections"):
        Client(state).ask("ping", seconds=0.5)
    threading.Timer(0.3, idle[0].close).start()
    assert Client(state).ask("ping", seconds=10)["pid"] == os.getpid()
    for connection in idle[1:]:
        connection.close()


def test_an_idle_connection_is_closed_in_the_end(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "IDLE_SECONDS", 0.2)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(state.socket))
        assert connection.recv(1) == b""


def test_a_full_queue_is_not_a_dead_supervisor(state: State) -> None:
    """The kernel refuses a connection with EAGAIN while others wait to be accepted."""
    state.socket.unlink()
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(str(state.socket))
        busy.listen(0)
        first.connect(str(state.socket))
        with pytest.raises(LaptopError, match="VEL420: the supervisor is busy"):
            Client(state).ask("ping", seconds=0.5)


def test_a_stopped_supervisor_is_said_long_before_a_request_ends(state: State) -> None:
    words = "import sys; from vellum.host.state import State; from pathlib import Path; State(Path(sys.argv[1])).hold(); print(flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", words, str(state.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout
    holder.stdout.readline()
    state.socket.unlink()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(state.socket))
        silent.listen()
        os.kill(holder.pid, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(LaptopError, match=rf"VEL421: the supervisor \(process {holder.pid}\) is stopped") as error:
            Client(state).ask("list")
        assert time.monotonic() - began < 20, "a request has 60 s"
    assert f"kill -CONT {holder.pid}" in error.value.fix
    holder.kill()
    holder.communicate()
