"""End the children of a dead supervisor. This is a separate process of 8 MB that waits on a pipe.

``python -I -S reaper.py PROCESSES_JSON SUPERVISOR_PID``; standard input ends when the supervisor does, in any way. A
line ``stay`` before that means that it stopped everything itself. Standard library only; run by path.

The record has, for each child, its pid, when it started, and which supervisor started it. Each child leads a session,
so the processes it left behind are found by its number, even after its own end. Processes that also left the session
are found by a variable of their environment, which all descendants of a child inherit.
"""

import contextlib
import json
import os
import re
import signal
import stat
import sys
import time

GRACE_SECONDS = 3.0
FAMILY = "VELLUM_FAMILY"
"""The variable that marks a process family; each supervisor uses a new value for each process that it runs."""
FAMILY_SECONDS = 2.0
LOOKS = 2
MOST_BYTES = 4 * 2**20
"""The most bytes of a record."""
_STARTED = re.compile(r"[0-9a-f-]{0,8} [0-9]{1,20}", re.ASCII)
_HIGHEST_PID = 2**31 - 1


def _boot() -> str:
    """Return an id of this boot of the machine: pids and start times start again with each boot."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:  # noqa: PTH123  # pathlib costs 10 ms here
            return file.read(8)
    except OSError:
        return ""


def stat_of(path: str) -> list[str]:
    """Return the fields of a process's or thread's stat from the state on (proc(5)); none if it has ended."""
    try:
        with open(path) as file:  # noqa: PTH123  # pathlib costs 10 ms here
            return file.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return []


def _stat(pid: int) -> list[str]:
    fields = stat_of(f"/proc/{pid}/stat")
    if not fields:
        return []
    # In a container whose first process does not reap, dead processes stay on the list forever.
    return [] if fields[0] in "ZX" else fields


def started(pid: int) -> str:
    """Return when a process started, empty if it is gone: another process may have the same pid by now."""
    fields = _stat(pid)
    return f"{_boot()} {fields[19]}" if fields else ""


def is_stopped(pid: int) -> bool:
    """Return whether a signal stopped the process, so that it does nothing until SIGCONT."""
    return _stat(pid)[:1] == ["T"]


def _survivors(pid: int, since: str) -> bool:
    """Return whether a dead leader's session still has a process that started after the leader."""
    boot, _, ticks = since.partition(" ")
    for name in os.listdir("/proc") if boot == _boot() else ():  # noqa: PTH208  # pathlib costs 10 ms here
        fields = _stat(int(name)) if name.isdigit() else []
        if fields and fields[2] == fields[3] == str(pid) and int(fields[19]) >= int(ticks):
            return True
    return False


def _lives(pid: int, since: str) -> bool:
    now = started(pid)
    return bool(since) and (now == since if now else _survivors(pid, since))


def contents(path: str) -> "str | None":
    """Return the text of a file; None if it does not exist, or if it cannot be a record of a supervisor.

    A pipe in its place would make the reader wait forever, a device or a huge file would fill the memory.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123  # as above
            data = file.read(MOST_BYTES + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
        return None if data is None or len(data) > MOST_BYTES else data.decode()
    except (OSError, ValueError):
        return None


def parsed(path: str) -> object:
    """Return the JSON value in a file; None if there is none that can be read."""
    try:
        return json.loads(contents(path) or "null")
    except (ValueError, RecursionError):
        return None


def is_process(entry: object) -> bool:
    """Return whether this is a supervisor's entry of a process: its pid and when it started."""
    if not isinstance(entry, dict):
        return False
    pid, since = entry.get("pid"), entry.get("started")
    known = type(pid) is int and 1 < pid <= _HIGHEST_PID
    return known and isinstance(since, str) and bool(_STARTED.fullmatch(since))


def children(record: object) -> "dict[str, dict[str, object]]":
    """Return the entries of a record of children that a supervisor can have written."""
    if not isinstance(record, dict):
        return {}
    return {name: entry for name, entry in record.items() if is_process(entry) and type(entry.get("by")) is int}


def _record(path: str, by: int) -> dict[int, str]:
    """Return (pid, start) of the children that the supervisor ``by`` recorded; 0 means any supervisor."""
    entries = children(parsed(path)).values()
    return {int(str(entry["pid"])): str(entry["started"]) for entry in entries if by in (0, entry["by"])}


def _marks(path: str, by: int) -> list[str]:
    """Return the family marks of the recorded children."""
    entries = children(parsed(path)).values()
    marks = [entry.get("family") for entry in entries if by in (0, entry["by"])]
    return [mark for mark in marks if isinstance(mark, str) and mark]


def family(mark: str) -> list[int]:
    """Return the pids of live processes that inherited the mark; none without /proc (macOS)."""
    wanted, pids = f"\0{FAMILY}={mark}\0".encode(), []
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():  # noqa: PTH112, PTH208  # as above
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):
                with open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123  # as above
                    marked = wanted in b"\0" + file.read() + b"\0"
                if marked and _stat(int(name)):
                    pids.append(int(name))
    return pids


def end_family(mark: str, seconds: float = FAMILY_SECONDS) -> None:
    """Kill all processes that inherited the mark, also those that fork meanwhile."""
    deadline, looks = time.monotonic() + seconds, 0
    # Twice: during exec a process has no environment for an instant.
    while looks < LOOKS and time.monotonic() < deadline:
        left = family(mark)
        looks = 0 if left else looks + 1
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def recorded(path: str) -> list[int]:
    """Return the pids in the record that are still the recorded processes, or that left some behind."""
    return [pid for pid, since in _record(path, 0).items() if _lives(pid, since)]


def end(path: str, by: int = 0) -> None:
    """Send the recorded process groups SIGTERM, and SIGKILL after a pause."""
    # Read once: while this waits, the next supervisor writes the same file, and its children must not be ended.
    left, marks = _record(path, by), _marks(path, by)
    for sign in (signal.SIGTERM, signal.SIGKILL):
        left = {pid: since for pid, since in left.items() if _lives(pid, since)}
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, sign)
                # A process that a signal stopped must continue before it can end in order.
                os.killpg(pid, signal.SIGCONT)
        deadline = time.monotonic() + GRACE_SECONDS
        while any(_lives(pid, since) for pid, since in left.items()) and time.monotonic() < deadline:
            time.sleep(0.05)
    for mark in marks:
        end_family(mark)


def main() -> None:
    """Wait for the supervisor's end, then end its children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.stdin.read().strip() != "stay":
        end(sys.argv[1], int(sys.argv[2]))


if __name__ == "__main__":
    main()
