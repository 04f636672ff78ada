"""End the children of a supervisor that is gone. A process of its own, 8 MB, that waits on a pipe.

``python -I -S reaper.py PROCESSES_JSON``; standard input ends when the supervisor does, however it ended. A line
``stay`` before the end means that the supervisor stopped everything itself. Standard library only; run by path.
"""

import contextlib
import json
import os
import signal
import sys
import time

GRACE_SECONDS = 3.0


def started(pid: int) -> str:
    """Return the kernel's start time of a process, empty if it is gone: a pid alone may be somebody else's by now."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123  # pathlib costs 10 ms here
            return file.read().rsplit(")", 1)[1].split()[19]
    except OSError:
        return ""


def recorded(path: str) -> list[int]:
    """Return the pids in the record that are still the processes that were recorded."""
    try:
        with open(path) as file:  # noqa: PTH123  # pathlib costs 10 ms here
            entries = json.load(file)
    except (OSError, ValueError):
        return []
    return [
        entry["pid"]
        for entry in entries.values()
        if entry["started"] and started(entry["pid"]) == entry["started"]
    ]


def end(path: str) -> None:
    """Ask the recorded process groups to stop, then make them."""
    pids = recorded(path)
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, sign)
        deadline = time.monotonic() + GRACE_SECONDS
        while any(pid in pids for pid in recorded(path)) and time.monotonic() < deadline:
            time.sleep(0.05)


def main() -> None:
    """Wait for the supervisor's end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.stdin.read().strip() != "stay":
        end(sys.argv[1])


if __name__ == "__main__":
    main()
