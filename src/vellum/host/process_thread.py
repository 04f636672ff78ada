"""Start, probe, restart, replace and end one process, in a thread of its own, so that no caller waits.

The thread outlives each of its children: Linux sends the death signal when the thread that started a child ends, not
the process (prctl(2)).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from vellum.host.child import Bell, Child, rotate
from vellum.host.child_watch import Patience, Watch
from vellum.host.log_tail import last_message
from vellum.host.ports import is_free
from vellum.model.process import Process, Running

LOG = logging.getLogger(__name__)
NOT_STARTED = 126
"""The exit code of a program that could not be started, as in a shell."""
LONGEST_SLEEP = 3600.0
FIRST_PAUSE = 0.1
"""Seconds before the second restart; the first comes immediately, since most deaths are accidents."""
LEFTOVER_SECONDS = 1.0
"""Seconds after a child's end in which killed processes of its own family may still hold its ports."""


class Callbacks(Protocol):
    """The part of the supervisor that a process's thread uses. The thread makes all calls."""

    patience: Patience

    def log(self, name: str) -> Path:
        """Return the log file of the process."""

    def family(self, name: str) -> str:
        """Return the mark of all descendants of the process."""

    def record(self, name: str, pid: int) -> None:
        """Record a child, 0 for none, before it becomes the program."""

    def changed(self, name: str) -> None:
        """Take note that readiness changed."""

    def repaired(self, name: str, wrong: str, seen: datetime, back: datetime) -> None:
        """Take note that a dead process answers again."""

    def let_go(self, thread: ProcessThread) -> bool:
        """Forget the thread if its process is still unwanted; return whether it was."""


class ProcessThread:
    """The process of one name, across all its values and restarts."""

    def __init__(self, process: Process, callbacks: Callbacks) -> None:
        self.process, self.pid = process, 0
        self.wanted: Process | None = process
        self.turn, self.ended = 0, float("-inf")
        self.callbacks, self.bell = callbacks, Bell()
        self.status = Running(ready=False, message="starting")
        self._mutex = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=process.name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self) -> None:
        """Wait until the process is gone and was let go."""
        self._thread.join()

    def want(self, process: Process | None) -> None:
        """Set the process to run, or None to end it; return immediately. Do not call it after ``let_go``."""
        with self._mutex:
            if process == self.wanted:
                return
            self.wanted = process
            self.turn += 1
            self.process = process or self.process
            self.status = Running(ready=False, message="starting" if process else "stopping")
        self.bell.ring()

    def tell(self, turn: int, running: Running) -> None:
        """Store the state, unless something else is wanted by now: the old process's readiness is not the new one's."""
        with self._mutex:
            if self.turn != turn:
                return
            self.status = running
        self.call(lambda: self.callbacks.changed(self.process.name))

    def call(self, listener: Callable[[], None]) -> None:
        """Call a listener; its errors must not end this thread, because nothing would start it again."""
        try:
            listener()
        except Exception:
            LOG.exception("a listener failed for %s", self.process.name)

    def _run(self) -> None:
        while not self.callbacks.let_go(self):
            with self._mutex:
                process, turn = self.wanted, self.turn
            if process is not None:
                _Value(self, process, turn).keep()
        self.bell.close()
        self.call(lambda: self.callbacks.changed(self.process.name))


class _Value:
    """Run one specification of a process until another is wanted. Only the process's thread uses this."""

    def __init__(self, thread: ProcessThread, process: Process, turn: int) -> None:
        self._thread, self._process, self._turn, self._callbacks = thread, process, turn, thread.callbacks
        self._restarts = 0
        self._died: datetime | None = None
        self._why, self._code = "", 0
        self._begins = 0

    @property
    def _current(self) -> bool:
        # Counted, not compared: a process that was ended and is wanted again did not crash, and starts afresh.
        return self._thread.turn == self._turn

    def keep(self) -> None:
        """Run it while it is wanted; pause ever longer if it ends immediately or another program has its port."""
        pause, longest = 0.0, self._callbacks.patience.longest_pause
        while self._current:
            began = time.monotonic()
            if taken := self._taken():
                message = f"port {taken[0]} is taken by another program; the supervisor tries again"
            else:
                ended = f"{self._once()}{self._last_message()}"
                message = f"{ended}; starting again; see `vellum logs {self._process.name}`"
            if not self._current:
                return
            if self._process.once and not taken:
                self._rest()
                return
            self._tell(ready=False, message=message, taken=taken)
            quick = time.monotonic() - began < longest
            again = taken or self._restarts > 1
            pause = min(longest, 2 * pause or FIRST_PAUSE) if quick and again else 0.0
            self._sleep(pause)

    def _last_message(self) -> str:
        """Return the last error in its log; empty if there is none."""
        error = last_message(self._callbacks.log(self._process.name), self._begins, errors=True)
        return f": {error}" if error else ""

    def _rest(self) -> None:
        """Report how it ended, until something else is wanted."""
        status = Running(ready=False, message=self._why, restarts=self._restarts, ended=self._code)
        self._thread.tell(self._turn, status)
        while self._current:
            self._sleep(LONGEST_SLEEP)

    def _taken(self) -> tuple[int, ...]:
        """Return the ports that other programs have: their answers there would count as this process's own."""
        probe = self._process.probe
        ports = dict.fromkeys((*self._process.ports, *((probe.port,) if probe else ())))
        while taken := tuple(port for port in ports if not is_free(port)):
            if not self._current or time.monotonic() - self._thread.ended > LEFTOVER_SECONDS:
                return taken
            self._sleep(0.02)
        return ()

    def _once(self) -> str:
        """Run one child to its end; return why it ended."""
        # A client that reads that a port is taken looks for another one, and would find this child's own port taken.
        if self._thread.status.taken:
            self._tell(ready=False, message="starting")
        self._why = self._run()
        self._thread.ended = time.monotonic()
        self._restarts += 1
        self._died = self._died or datetime.now(UTC)
        return self._why

    def _run(self) -> str:
        name = self._process.name
        log = self._callbacks.log(name)
        self._begins = log.stat().st_size if log.exists() else 0
        try:
            family = self._callbacks.family(name)
            child = Child(
                self._process, self._callbacks.log(name), family, lambda pid: self._callbacks.record(name, pid)
            )
        except OSError as error:
            self._code = NOT_STARTED
            return f"cannot start: {error}"
        self._thread.pid, wrong = child.pid, ""
        try:
            wrong = self._attend(child)
        except Exception as error:  # without this thread nothing restarts the process
            LOG.exception("%s is restarted", name)
            wrong = f"could not be watched: {error}"
        finally:
            ended = child.end(self._process.grace_seconds)
            self._thread.pid, self._code = 0, child.code
            self._thread.call(lambda: self._callbacks.record(name, 0))
        return wrong or ended

    def _attend(self, child: Child) -> str:
        """Probe until the child is gone or no longer wanted; return what else was wrong with it."""
        patience, began = self._callbacks.patience, time.monotonic()
        watch = Watch(child.pid, patience)
        while self._current:
            # A slow start is probed less and less often: its answer may be noticed 5 % late.
            pause = max(patience.start_probe, (time.monotonic() - began) / 20)
            pause = patience.live_probe if watch.ready else min(pause, patience.live_probe)
            if child.exits_within(pause, self._thread.bell):
                return ""
            if watch.look(self._process.probe):
                self._answered()
                over = False
            else:
                # A job belongs to its owner, who may stop a training with SIGSTOP and resume it later.
                over = watch.is_over() and not self._process.once
                if why := watch.why():
                    self._tell_once(f"{why}; it is started again" if over else why)
            if over:
                return watch.wrong()
            rotate(self._callbacks.log(self._process.name))
        return ""

    def _tell_once(self, message: str) -> None:
        if (self._thread.status.ready, self._thread.status.message) != (False, message):
            self._tell(ready=False, message=message)

    def _answered(self) -> None:
        if self._thread.status.ready:
            return
        if (died := self._died) is not None:
            back = datetime.now(UTC)
            self._thread.call(lambda: self._callbacks.repaired(self._process.name, self._why, died, back))
            self._died = None
        self._tell(ready=True, message="")

    def _tell(self, *, ready: bool, message: str, taken: tuple[int, ...] = ()) -> None:
        self._thread.tell(self._turn, Running(ready=ready, message=message, restarts=self._restarts, taken=taken))

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._current and (left := deadline - time.monotonic()) > 0:
            self._thread.bell.wait(left)
