"""Why a process does not answer, as the kernel sees it: stopped by a signal, at work, or neither.

A slow answer is not a hang. On a loaded machine every thread of a healthy service waits for the processor or the disk,
and those are the two states that no hanging service is in: one that hangs sleeps.
"""

from __future__ import annotations

import os

from vellum.laptop.reaper import is_stopped, stat_of

WORKING_SHARE = 0.05
"""Of one processor: less is what the timers of an idle runtime take."""
_TICKS = os.sysconf("SC_CLK_TCK")


def used(pid: int) -> float:
    """Return the seconds of processor time that all threads of a process took so far; 0 if nobody knows."""
    found = stat_of(f"/proc/{pid}/stat")
    return (int(found[11]) + int(found[12])) / _TICKS if found else 0.0


def works(pid: int, since: float, seconds: float) -> bool:
    """Tell whether a process is at work: it took processor time, or waits for the processor or the disk.

    Args:
        pid: the process.
        since: what it had ``used`` so many ``seconds`` ago.
        seconds: how long ago that was.
    """
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208  # names only
    except OSError:
        # Where the kernel does not tell (macOS), doubt is in favour of the process.
        return True
    states = {
        found[0] for found in (stat_of(f"/proc/{pid}/task/{thread}/stat") for thread in threads) if found
    }
    return bool(states & {"R", "D"}) or used(pid) - since > WORKING_SHARE * seconds


__all__ = ["is_stopped", "used", "works"]
