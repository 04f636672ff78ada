"""Watch one child by probes and by the kernel: whether it is ready, why not, and whether it must be restarted."""

from __future__ import annotations

import time
from dataclasses import dataclass

from vellum.host.child import INCOMPLETE, SILENCE, wrong_with
from vellum.host.load import is_stopped, used, works
from vellum.model.process import Probe


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds each step may take.

    A service that does not answer turns not ready after ``silence``, or three times that while it is at work. It is
    restarted after ``hang``, or after ``busy`` while it is at work: see ``load``.
    """

    start_probe: float = 0.02
    live_probe: float = 1.0
    """Between two probes, before and after the first answer."""
    answer: float = 5.0
    """For one answer while it starts."""
    silence: float = 2.0
    """For one answer once it was ready."""
    stopped: float = 3.0
    """Until a process that SIGSTOP stopped is restarted; it turns not ready immediately."""
    hang: float = 8.0
    refuses: float = 15.0
    """Until a process that answers with a wrong status is restarted."""
    busy: float = 60.0
    slow_start: float = 20.0
    """Until a start counts as slow."""
    longest_pause: float = 10.0


class Watch:
    """The state of one child, by its probes and the kernel."""

    def __init__(self, pid: int, patience: Patience) -> None:
        self._pid, self._patience = pid, patience
        self.ready, self._stopped, self._works, self._status = False, False, True, SILENCE
        self._began = self._heard = time.monotonic()
        self._used = 0.0

    def look(self, probe: Probe | None) -> bool:
        """Send one probe; return True if the answer is right, or if the process has no probe."""
        patience = self._patience
        self._stopped = is_stopped(self._pid)
        if self._stopped:
            return False
        asked = time.monotonic()
        wrong = wrong_with(probe, patience.silence if self.ready else patience.answer) if probe else None
        if wrong is None:
            self.ready, self._heard, self._used = True, asked, used(self._pid)
            return True
        self._status = wrong
        self._works = works(self._pid, self._used, self._silent())
        return False

    def _silent(self) -> float:
        return time.monotonic() - self._heard

    def why(self) -> str:
        """Return why it is not ready; empty while a late answer is still in time, and while it starts."""
        patience, silent = self._patience, self._silent()
        if self._stopped:
            return "is stopped by a signal (SIGSTOP)"
        if not self.ready:
            slow = silent > patience.slow_start
            return f"has not answered in the {patience.slow_start:.0f} s since it was started" if slow else ""
        if silent < patience.silence * (3 if self._works and self._status == SILENCE else 1):
            return ""
        if self._status != SILENCE:
            return f"answers with {self._refusal()}"
        return "does not answer, and is at work" if self._works else "does not answer any more"

    def is_over(self) -> bool:
        """Return whether it must be restarted."""
        patience, silent = self._patience, self._silent()
        if self._stopped:
            return silent > patience.stopped
        if not self.ready:
            return False
        if self._status != SILENCE:
            return silent > patience.refuses
        return silent > (patience.busy if self._works else patience.hang)

    def wrong(self) -> str:
        """Return why it was restarted."""
        silent = self._silent()
        if self._stopped:
            return f"was stopped by a signal for {silent:.0f} s"
        if self._status != SILENCE:
            return f"answered with {self._refusal()} for {silent:.0f} s"
        return f"did not answer for {silent:.0f} s"

    def _refusal(self) -> str:
        incomplete = self._status == INCOMPLETE
        return "a status in which a part is missing" if incomplete else f"the HTTP status {self._status}"
