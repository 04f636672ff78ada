"""Become a service: ask Linux to end us with the supervisor, then turn into the program. Run by path, isolated.

``python -I -S launch.py PARENT_PID [--at-most=SECONDS] PROGRAM [ARGUMENT ...]``; exec keeps the pid, so nothing of
Python stays. A service waits for one byte on standard input first: the supervisor sends it once the pid is recorded,
so that no moment exists in which its SIGKILL leaves a service that nobody knows. A program that ends by itself gets a
limit instead, and its standard input: the alarm outlives exec and ends what hangs, also where no parent is left.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
LIMIT = "--at-most="


def main(argv: list[str]) -> None:
    """Replace this process by the program; a parent that is gone already ends it before it begins."""
    parent, program, limit = int(argv[0]), argv[1:], 0
    if program[0].startswith(LIMIT):
        limit, program = int(program[0].removeprefix(LIMIT)), program[1:]
    if sys.platform == "linux" and os.environ.pop("VELLUM_NO_DEATH_SIGNAL", "") != "1":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent or not (limit or os.read(0, 1)):
        sys.exit(1)
    signal.alarm(limit)
    if not limit:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # Python ignores it, a program expects it, and exec would pass Python's choice on.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(program[0], program)  # noqa: S606  # no shell is wanted
    except OSError as error:
        sys.exit(f"{program[0]} cannot be started: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
