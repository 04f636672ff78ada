"""Become a service: ask Linux for a death signal, then exec the program. Run by path, isolated.

``python -I -S launch.py PARENT_PID [--at-most=SECONDS] [--keep=SECONDS] [--env-from=FOLDER ...] PROGRAM [ARGUMENT
...]``; exec keeps the pid and replaces Python. A service first waits for one byte on standard input. The
supervisor sends it once the pid is recorded, so its SIGKILL never leaves an unrecorded service behind. A program that
ends by itself gets a time limit instead, and its standard input: the alarm survives exec and ends a program that
hangs, even without a parent.

``--keep=SECONDS`` stays and runs the program as its child; SECONDS is the time between SIGTERM and SIGKILL. Processes
that the program leaves behind, even by two forks and setsid, become children of this process (Linux). It kills them
before it ends with the program's status.

``--env-from`` names a mounted Secret: its keys become variables of the program, unless it has them already.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LIMIT, KEEP, SECRET = "--at-most=", "--keep=", "--env-from="
ORPHANED_SECONDS = 2.0
"""Seconds between SIGTERM and SIGKILL after the supervisor ends: the reaper kills this process after 3 s."""
KILL_SECONDS = 5.0


def main(argv: list[str]) -> None:
    """Replace this process by the program; end before it begins if the parent is already gone."""
    parent, program, limit, grace = int(argv[0]), argv[1:], 0, -1.0
    if program[0].startswith(LIMIT):
        limit, program = int(program[0].removeprefix(LIMIT)), program[1:]
    if program[0].startswith(KEEP):
        grace, program = float(program[0].removeprefix(KEEP)), program[1:]
    folders = []
    while program[0].startswith(SECRET):
        folders.append(program[0].removeprefix(SECRET))
        program = program[1:]
    watched = os.environ.pop("VELLUM_NO_DEATH_SIGNAL", "") != "1"
    if watched:
        _control(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent or not (limit or os.read(0, 1)):
        sys.exit(1)
    signal.alarm(limit)
    if not limit:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for folder in folders:
        for name, value in variables(folder).items():
            os.environ.setdefault(name, value)
    if grace >= 0:
        _keep(program, grace, parent)
    _become(program)


def _control(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def _become(program: list[str]) -> None:
    # Python ignores SIGPIPE, but a program expects it, and exec would keep Python's setting.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(program[0], program)  # noqa: S606  # no shell is wanted
    except OSError as error:
        sys.exit(f"{program[0]} cannot be started: {error.strerror}")


def _keep(program: list[str], grace: float, parent: int) -> None:
    """Run the program, forward SIGTERM, and end with its status once all its processes have ended."""
    _control(PR_SET_CHILD_SUBREAPER, 1)
    waked, wakes = os.pipe()
    os.set_blocking(waked, False)
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    asked: list[float] = []
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: asked.append(time.monotonic()))
    keeper, pid = os.getpid(), os.fork()
    if not pid:
        for sign in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(sign, signal.SIG_DFL)
        _control(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == keeper:
            _become(program)
        os._exit(1)
    told, status = False, None
    while (status := _reaped(pid)) is None:
        if asked and not told:
            told = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        patience = grace if os.getppid() == parent else min(grace, ORPHANED_SECONDS)
        left = asked[0] + patience - time.monotonic() if asked else None
        if left is not None and left <= 0:
            break
        # Also checked at intervals: not every kernel sends a signal when the parent ends.
        select.select([waked], [], [], 1.0 if left is None else min(left, 1.0))
        with contextlib.suppress(BlockingIOError):
            os.read(waked, 4096)
        if os.getppid() != parent and not asked:
            asked.append(time.monotonic())
    status = _killed_all(pid, status)
    _end_as(status)


def _reaped(pid: int, status: "int | None" = None) -> "int | None":
    """Reap all children that ended; return the status of ``pid`` if it is among them, else the given one."""
    with contextlib.suppress(ChildProcessError):
        while True:
            child, code = os.waitpid(-1, os.WNOHANG)
            if not child:
                break
            status = code if child == pid else status
    return status


def _killed_all(pid: int, status: "int | None") -> "int | None":
    """Kill all descendants, also those that fork meanwhile; return the status of ``pid``."""
    deadline = time.monotonic() + KILL_SECONDS
    with contextlib.suppress(ProcessLookupError):
        if status is None:
            os.kill(pid, signal.SIGKILL)
    # An orphan becomes a child of this process, so without children no descendant is left. The loop has no pause: a
    # process that forks and ends every millisecond would escape a slower loop.
    while time.monotonic() < deadline:
        family = _children()
        for member in family:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(member, signal.SIGKILL)
        status = _reaped(pid, status)
        if not family and status is not None:
            break
    return status


def _children() -> list[int]:
    """Return the pids of this process's own children, by the fastest interface that the kernel has."""
    own = os.getpid()
    try:
        with open(f"/proc/{own}/task/{own}/children") as file:  # noqa: PTH123  # pathlib costs 10 ms
            return [int(word) for word in file.read().split()]
    except OSError:
        return descendants(own)


def descendants(ancestor: int) -> list[int]:
    """Return the pids of all descendants that have not ended; none without /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():  # noqa: PTH112, PTH208  # pathlib costs 10 ms
        if name.isdigit():
            with contextlib.suppress(OSError):
                with open(f"/proc/{name}/stat") as file:  # noqa: PTH123  # as above
                    state, parent = file.read().rsplit(")", 1)[1].split()[:2]
                if state not in "ZX":
                    children.setdefault(int(parent), []).append(int(name))
    pids, ahead = [], [ancestor]
    while ahead:
        ahead = [child for parent_pid in ahead for child in children.get(parent_pid, ())]
        pids += ahead
    return pids


def _end_as(status: "int | None") -> None:
    """End with the program's exit code, or by the signal that ended it."""
    if status is not None and os.WIFSIGNALED(status):
        import resource

        # A core dump, if any, came from the program.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        sign = os.WTERMSIG(status)
        with contextlib.suppress(OSError):
            signal.signal(sign, signal.SIG_DFL)
        os.kill(os.getpid(), sign)
    os._exit(1 if status is None else os.waitstatus_to_exitcode(status) & 0xFF)


def variables(secret: str) -> dict[str, str]:
    """Return the values of a mounted Secret, all old or all new; empty if it does not exist."""
    link = f"{secret}/..data"
    while True:
        place, values = os.path.realpath(link), {}
        try:
            for name in os.listdir(place):  # noqa: PTH208  # pathlib costs 8 ms
                if name.isidentifier():
                    with open(f"{place}/{name}", encoding="utf-8") as file:  # noqa: PTH123  # as above
                        values[name] = file.read()
        except OSError:
            values = {}
        # The folder never changes; when the link stands for another one, it is removed.
        if os.path.realpath(link) == place:
            return values


if __name__ == "__main__":
    main(sys.argv[1:])
