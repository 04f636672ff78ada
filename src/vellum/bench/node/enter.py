"""Run a program in the holder's namespaces: ``python -I -S enter.py PID_FILE PROGRAM [ARGUMENT ...]``.

Standard library only, run by path. The program is a child of this process, because only children enter a process
namespace. It gets SIGTERM when this process gets it, and SIGKILL when this process ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

CLONE_NEWNS, CLONE_NEWPID, PR_SET_PDEATHSIG = 0x00020000, 0x20000000, 1
WAIT_SECONDS = 5.0
FAMILY = "VELLUM_FAMILY"
"""The variable by which the supervisor finds a program's descendants. It would end all pods with containerd."""
_libc = ctypes.CDLL(None, use_errno=True)


def main(pid_file: str, program: list[str]) -> None:
    """Run the program and end with its exit code."""
    if _libc.setns(_holder(pid_file), CLONE_NEWNS | CLONE_NEWPID):
        sys.exit(f"setns: {os.strerror(ctypes.get_errno())}")
    os.environ.pop(FAMILY, None)
    # With the supervisor's umask 077, runc would create folders in images that a pod's user cannot enter.
    os.umask(0o022)
    child = os.fork()
    if not child:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # Python ignores SIGPIPE, and the program would inherit that.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execv(program[0], program)  # noqa: S606  # no shell is wanted
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    _, status = os.waitpid(child, 0)
    sys.exit(max(os.waitstatus_to_exitcode(status), 0) or int(status != 0))


def _holder(pid_file: str) -> int:
    """Return a descriptor of the holder's process; another process may have its pid by now."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            with open(pid_file) as file:  # noqa: PTH123  # without site-packages, so as little as possible
                pid = int(file.read())
            descriptor = os.pidfd_open(pid)
            with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123  # as above
                if os.fsencode(pid_file) in file.read().split(b"\0"):
                    return descriptor
        except (OSError, ValueError):
            pass
        time.sleep(0.02)
    sys.exit("the holder of the node's namespaces does not run")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
