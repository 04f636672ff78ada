"""Ask the kernel why a process does not answer: it is stopped by a signal, busy, or neither.

A slow answer is not a hang. On a loaded machine every thread of a healthy service waits for the processor or the disk.
A service that hangs sleeps instead.
"""

from __future__ import annotations

import os

from vellum.host.reaper import is_stopped, stat_of

WORKING_SHARE = 0.05
"""Share of one processor; the timers of an idle runtime use less."""
_TICKS = os.sysconf("SC_CLK_TCK")


def used(pid: int) -> float:
    """Return the seconds of processor time that all threads of a process have used; 0 if that is unknown."""
    fields = stat_of(f"/proc/{pid}/stat")
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def works(pid: int, since: float, seconds: float) -> bool:
    """Return whether a process is at work: it used processor time, or waits for the processor or the disk.

    Args:
        pid: the process.
        since: the value of ``used`` that many ``seconds`` ago.
        seconds: how long ago that was.
    """
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208  # names only
    except OSError:
        # If the kernel does not tell (macOS), the process counts as at work.
        return True
    states = {fields[0] for fields in (stat_of(f"/proc/{pid}/task/{thread}/stat") for thread in threads) if fields}
    return bool(states & {"R", "D"}) or used(pid) - since > WORKING_SHARE * seconds


__all__ = ["is_stopped", "used", "works"]
