"""Keeps processes running: starts, probes, restarts, and says how they are. One thread a process.

Invariants: a process runs exactly while its value is wanted; every start is recorded before it is probed, so that the
reaper can end it after our own SIGKILL; nothing of the user's environment that could leak a key is passed on.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vellum.laptop import reaper
from vellum.laptop.state import State, read_json, write, write_json
from vellum.model.component import Running
from vellum.model.process import Probe, Process

LOG = logging.getLogger(__name__)
HIDDEN = (
    "AWS_",
    "VELLUM_",
    "QDRANT",
    "JUPYTER",
    "KF_",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPATH",
    "PYTHONHOME",
)
"""The user's own keys must not reach a team's processes, nor switch off the bytecode that makes starts quick."""
START_PROBE, LIVE_PROBE, HANG_SECONDS = 0.02, 1.0, 15.0
LOG_LIMIT = 10 * 2**20
LONGEST_PAUSE = 10.0


@dataclass(slots=True)
class _Life:
    """What is known of one process."""

    process: Process
    thread: threading.Thread | None = None
    stop: bool = False
    ready: bool = False
    message: str = "starting"
    restarts: int = 0
    died: datetime | None = None
    why: str = ""
    pid: int = 0


class Supervisor:
    """All processes of one installation."""

    def __init__(
        self,
        state: State,
        *,
        changed: Callable[[str], None],
        repaired: Callable[[str, str, datetime, datetime], None],
    ) -> None:
        """Begin empty; leftovers of a killed supervisor are ended first.

        Args:
            state: where logs and records go.
            changed: told the name of a process whose readiness changed; called from its thread.
            repaired: told (process, what was wrong, seen, back) when a dead process answers again.
        """
        self._state, self._changed, self._repaired = state, changed, repaired
        self._lives: dict[str, _Life] = {}
        self._mutex = threading.RLock()
        reaper.end(str(state.processes))
        self._record: dict[str, dict[str, object]] = {}
        write_json(state.processes, self._record)
        self._closing = False
        self._reaper = self._start_reaper()
        threading.Thread(target=self._keep_reaper, daemon=True).start()

    # What controllers ask

    def ensure(self, process: Process) -> Running:
        """Run the process, or replace it when its value changed; return how it is."""
        with self._mutex:
            life = self._lives.get(process.name)
            if life is not None and life.process == process:
                return _said(life)
        if life is not None:
            self.remove(process.name)
        fresh = _Life(process)
        with self._mutex:
            self._lives[process.name] = fresh
        fresh.thread = threading.Thread(target=self._live, args=(fresh,), name=process.name, daemon=True)
        fresh.thread.start()
        return _said(fresh)

    def remove(self, name: str) -> None:
        """Stop the process and wait until it is gone."""
        with self._mutex:
            life = self._lives.pop(name, None)
        if life is None or life.thread is None:
            return
        life.stop = True
        life.thread.join()

    def running(self) -> dict[str, tuple[Process, Running, int]]:
        """Return every process, how it is, and its pid (0 while it is down)."""
        with self._mutex:
            return {name: (life.process, _said(life), life.pid) for name, life in sorted(self._lives.items())}

    def close(self) -> None:
        """Stop everything, all at once, and let the reaper go in peace."""
        with self._mutex:
            lives = list(self._lives.values())
        for life in lives:
            life.stop = True
        for life in lives:
            if life.thread is not None:
                life.thread.join()
        self._closing = True
        if self._reaper.stdin:
            with contextlib.suppress(OSError):
                self._reaper.stdin.write(b"stay")
                self._reaper.stdin.close()
        self._reaper.wait()

    # One process's life

    def _live(self, life: _Life) -> None:
        pause = 0.0
        while not life.stop:
            began = time.monotonic()
            try:
                child = self._start(life.process)
            except OSError as error:
                self._tell(life, ready=False, message=f"cannot start: {error}")
                pause = min(LONGEST_PAUSE, max(0.5, 2 * pause))
                _sleep(life, pause)
                continue
            life.pid = child.pid
            self._attend(life, child)
            life.pid = 0
            self._forget(life.process.name)
            if life.stop:
                return
            life.restarts += 1
            life.died = life.died or datetime.now(UTC)
            life.why = (
                f"exited with {child.returncode}"
                if child.returncode >= 0
                else f"killed by signal {-child.returncode}"
            )
            self._tell(
                life,
                ready=False,
                message=f"{life.why}; starting again; see `vellum logs {life.process.name}`",
            )
            quick = time.monotonic() - began < LONGEST_PAUSE
            pause = min(LONGEST_PAUSE, 2 * pause or 0.1) if quick and life.restarts > 1 else 0.0
            _sleep(life, pause)

    def _start(self, process: Process) -> subprocess.Popen[bytes]:
        process.directory.mkdir(parents=True, mode=0o700, exist_ok=True)
        for path, content in process.files.items():
            write(path, content)
        log = self._state.log(process.name)
        log.parent.mkdir(mode=0o700, exist_ok=True)
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        launcher = str(Path(__file__).with_name("launch.py"))
        argv = [sys.executable, "-I", "-S", launcher, str(os.getpid()), *process.argv]
        with os.fdopen(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), "ab") as output:
            child = subprocess.Popen(
                argv, cwd=process.directory, env=_environment(process), stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        with self._mutex:
            self._record[process.name] = {"pid": child.pid, "started": reaper.started(child.pid)}
            write_json(self._state.processes, self._record)
        return child

    def _attend(self, life: _Life, child: subprocess.Popen[bytes]) -> None:
        """Probe until the child is gone or no longer wanted."""
        exited = _Exit(child)
        last_answer = None
        try:
            while True:
                if life.stop:
                    _end(child, life.process.grace_seconds)
                    return
                if exited.within(START_PROBE if not life.ready else LIVE_PROBE, life):
                    child.wait()
                    _end_group(child.pid)
                    return
                if life.stop:
                    continue
                now = time.monotonic()
                if answers(life.process.probe):
                    last_answer = now
                    self._is_ready(life)
                elif life.ready and last_answer is not None and now - last_answer > HANG_SECONDS:
                    self._tell(life, ready=False, message="does not answer any more; it is restarted")
                    _end(child, life.process.grace_seconds)
        finally:
            exited.close()

    def _is_ready(self, life: _Life) -> None:
        if life.ready:
            return
        if life.died is not None:
            self._repaired(life.process.name, life.why, life.died, datetime.now(UTC))
            life.died = None
        self._tell(life, ready=True, message="")

    def _tell(self, life: _Life, *, ready: bool, message: str) -> None:
        life.ready, life.message = ready, message
        if not life.stop:
            self._changed(life.process.name)

    def _forget(self, name: str) -> None:
        with self._mutex:
            self._record.pop(name, None)
            write_json(self._state.processes, self._record)

    # The reaper

    def _start_reaper(self) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-I", "-S", str(Path(reaper.__file__)), str(self._state.processes)]
        return subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        )

    def _keep_reaper(self) -> None:
        while not self._closing:
            self._reaper.wait()
            if not self._closing:
                LOG.warning("the reaper was killed; a new one starts")
                self._reaper = self._start_reaper()

    @property
    def reaper_pid(self) -> int:
        """The reaper's pid."""
        return self._reaper.pid


class _Exit:
    """Waits for a child's end without polling where Linux lets us (pidfd)."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self._descriptor = os.pidfd_open(child.pid) if hasattr(os, "pidfd_open") else -1

    def within(self, seconds: float, life: _Life) -> bool:
        """Tell whether the child ends within the time; returns early when it is no longer wanted."""
        deadline = time.monotonic() + seconds
        while not life.stop:
            left = min(0.1, deadline - time.monotonic())
            if left <= 0:
                return False
            if self._descriptor >= 0:
                if select.select([self._descriptor], [], [], left)[0]:
                    return True
            else:
                time.sleep(min(left, 0.05))
                if self._child.poll() is not None:
                    return True
        return False

    def close(self) -> None:
        """Close the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)


def answers(probe: Probe) -> bool:
    """Ask once; anything but an expected HTTP status, also an answer that is not HTTP, means no."""
    connection = http.client.HTTPConnection("127.0.0.1", probe.port, timeout=5)
    try:
        connection.request("GET", probe.path, headers=dict(probe.headers))
        return connection.getresponse().status in probe.ok
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _environment(process: Process) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(HIDDEN)}
    if os.environ.get("VELLUM_NO_DEATH_SIGNAL") == "1":
        inherited["VELLUM_NO_DEATH_SIGNAL"] = "1"
    return {**inherited, "PYTHONUNBUFFERED": "1", **process.env}


def _end(child: subprocess.Popen[bytes], grace: float) -> None:
    """Ask the child to stop, then make its whole group."""
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(grace)
    _end_group(child.pid)
    child.wait()


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _said(life: _Life) -> Running:
    return Running(ready=life.ready, message=life.message, restarts=life.restarts)


def _sleep(life: _Life, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not life.stop and time.monotonic() < deadline:
        time.sleep(0.05)


def leftovers(state: State) -> list[int]:
    """Return the pids of recorded children that still run."""
    return reaper.recorded(str(state.processes)) if read_json(state.processes, {}) else []
