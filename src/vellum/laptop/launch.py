"""Become a service: ask Linux to end us with the supervisor, then turn into the program. Run by path, isolated.

``python -I -S launch.py PARENT_PID PROGRAM [ARGUMENT ...]``; exec keeps the pid, so nothing of Python stays.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Replace this process by the program; a parent that is gone already ends it before it begins."""
    parent, program = int(argv[0]), argv[1:]
    if sys.platform == "linux" and os.environ.pop("VELLUM_NO_DEATH_SIGNAL", "") != "1":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
