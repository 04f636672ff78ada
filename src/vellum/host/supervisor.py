"""Keep the wanted processes running, and start a reaper that ends them if this process is killed.

Invariants: a process runs exactly while its value is wanted; every child is recorded before it becomes the program, so
that the reaper can end it after a SIGKILL of this process. No method waits for a process, except ``remove`` and
``close``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from vellum.host import reaper
from vellum.host.child_watch import Patience
from vellum.host.files import write_json
from vellum.host.process_thread import ProcessThread
from vellum.host.state import State
from vellum.model.process import Process, Running

LOG = logging.getLogger(__name__)
REAPER_PAUSE = 1.0
"""Seconds between two tries to start a reaper that ends immediately; without one a killed supervisor leaves orphans."""


class Supervisor:
    """All processes of one installation."""

    def __init__(
        self,
        state: State,
        *,
        changed: Callable[[str], None],
        repaired: Callable[[str, str, datetime, datetime], None],
        patience: Patience | None = None,
    ) -> None:
        """Begin empty; first end what a killed supervisor left running.

        Args:
            state: where logs and records go.
            changed: gets the name of a process whose readiness changed, or that is gone; called from its thread.
            repaired: gets (process, what was wrong, seen, back) when a dead process answers again.
            patience: how many seconds each step may take.
        """
        self._state, self.changed, self.repaired = state, changed, repaired
        self.patience = patience or Patience()
        self._token = secrets.token_hex(8)
        self._threads: dict[str, ProcessThread] = {}
        self._mutex = threading.RLock()
        reaper.end(str(state.processes))
        self._record: dict[str, dict[str, object]] = {}
        write_json(state.processes, self._record)
        self._closing = threading.Event()
        self._reaper = self._start_reaper()
        self._keeper = threading.Thread(target=self._keep_reaper, name="reaper", daemon=True)
        self._keeper.start()

    # For controllers

    def ensure(self, process: Process) -> Running:
        """Run the process, or replace it when its value changed; return its state."""
        with self._mutex:
            thread = self._threads.get(process.name)
            if thread is None:
                thread = self._threads[process.name] = ProcessThread(process, self)
                thread.start()
            thread.want(process)
            return thread.status

    def status(self, name: str) -> Running:
        """Return the state of a process; one that is not wanted is not ready."""
        with self._mutex:
            thread = self._threads.get(name)
            return thread.status if thread else Running(ready=False, message="")

    def end(self, name: str) -> bool:
        """Begin to stop the process; return True if it has ended, else ``changed`` is called once it has."""
        with self._mutex:
            thread = self._threads.get(name)
            if thread is not None:
                thread.want(None)
            return thread is None

    def remove(self, name: str) -> None:
        """Stop the process and wait until it is gone."""
        with self._mutex:
            thread = self._threads.get(name)
            self.end(name)
        if thread is not None:
            thread.join()

    def running(self) -> dict[str, tuple[Process, Running, int]]:
        """Return every process, its state, and its pid (0 while it is down)."""
        with self._mutex:
            return {name: (thread.process, thread.status, thread.pid) for name, thread in sorted(self._threads.items())}

    def close(self) -> None:
        """Stop all processes at the same time, then the reaper."""
        with self._mutex:
            threads = list(self._threads.values())
            for thread in threads:
                thread.want(None)
        for thread in threads:
            thread.join()
        self._closing.set()
        with self._mutex:
            _dismiss(self._reaper, b"stay")
            # A reaper that a signal stopped would never read that line.
            self._reaper.send_signal(signal.SIGCONT)
        self._keeper.join()

    # For the processes' threads

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self._state.log(name)

    def family(self, name: str) -> str:
        """Return the mark of all descendants of a process."""
        return f"{self._token}.{name}"

    def record(self, name: str, pid: int) -> None:
        """Record a child, 0 for none."""
        with self._mutex:
            self._record.pop(name, None)
            if pid:
                since = reaper.started(pid)
                self._record[name] = {"pid": pid, "started": since, "by": os.getpid(), "family": self.family(name)}
            write_json(self._state.processes, self._record)

    def let_go(self, thread: ProcessThread) -> bool:
        """Forget the thread if its process is still unwanted; one that is wanted again continues in the same thread."""
        with self._mutex:
            if thread.wanted is not None:
                return False
            del self._threads[thread.process.name]
            return True

    # The reaper

    def _start_reaper(self) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-I", "-S", str(Path(reaper.__file__)), str(self._state.processes), str(os.getpid())]
        return subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, bufsize=0
        )

    def _keep_reaper(self) -> None:
        """Replace a reaper that was killed."""
        while True:
            self._reaper.wait()
            with self._mutex:
                if self._closing.is_set():
                    return
                LOG.warning("the reaper ended; a new one starts")
                _dismiss(self._reaper)
                try:
                    self._reaper = self._start_reaper()
                except OSError as error:
                    LOG.warning("the reaper does not start: %s", error)
            self._closing.wait(REAPER_PAUSE)

    @property
    def reaper_pid(self) -> int:
        """The reaper's pid."""
        return self._reaper.pid


def _dismiss(process: subprocess.Popen[bytes], line: bytes = b"") -> None:
    if process.stdin:
        with contextlib.suppress(OSError):
            process.stdin.write(line)
        process.stdin.close()
