"""The first process of the node's process namespace. When it ends, the kernel ends all others and their mounts.

``python -I -S holder.py PID_FILE DISK KEEP...``: standard library only, run by path. DISK is the folder that takes what
programs write to /var/lib and /var/log. /run is in memory, as on a real machine. The folders KEEP stay where
they are, even if one of these hides them. ``enter.py`` starts the node's programs in its namespaces.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from typing import NoReturn

CLONE_NEWNS, CLONE_NEWPID = 0x00020000, 0x20000000
MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED = 0x1000, 0x4000, 0x40000, 0x100000
PR_SET_PDEATHSIG = 1
TUNABLES = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""The sysctls of the machine that the kubelet would change (pkg/kubelet/cm/container_manager_linux.go, v1.36.3).

The kubelet reads each one first, and here it reads a file that already has the value.
"""
_libc = ctypes.CDLL(None, use_errno=True)


def main(pid_file: str, disk: str, keep: list[str]) -> None:
    """Run until SIGTERM; then kill the namespace."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(pid_file)  # noqa: PTH108  # without site-packages, so as little as possible
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    _checked(_libc.unshare(CLONE_NEWNS | CLONE_NEWPID), "unshare")
    mounted, done = os.pipe()
    child = os.fork()
    if not child:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _mounts(disk, keep)
        os.write(done, b"!")
        os.close(done)
        _reap()
    os.close(done)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGKILL))
    # Only now, because programs may enter once the file is there.
    if os.read(mounted, 1):
        with open(f"{pid_file}.new", "w") as file:  # noqa: PTH123  # as above
            file.write(str(child))
        os.replace(f"{pid_file}.new", pid_file)  # noqa: PTH105  # as above
    os.waitpid(child, 0)
    sys.exit(1)


def _mounts(disk: str, keep: list[str]) -> None:
    """Create the mounts of the namespace; outside it they do not exist."""
    held = {path: os.open(path, os.O_PATH) for path in keep}
    _mount("", "/", "", MS_REC | MS_PRIVATE)
    _mount("tmpfs", "/run", "tmpfs", 0)
    for place in ("/var/lib", "/var/log"):
        source = disk + place
        os.makedirs(source, exist_ok=True)  # noqa: PTH103  # as above
        _mount(source, place, "", MS_BIND)
    for path, descriptor in held.items():
        os.makedirs(path, exist_ok=True)  # noqa: PTH103  # as above
        if not os.path.samestat(os.stat(path), os.fstat(descriptor)):  # noqa: PTH116  # as above
            _mount(f"/proc/self/fd/{descriptor}", path, "", MS_BIND | MS_REC)
        os.close(descriptor)
    _mount("proc", "/proc", "proc", 0)
    for name, value in TUNABLES.items():
        file = f"{disk}/sysctl.{name.replace('/', '.')}"
        with open(file, "w") as stand_in:  # noqa: PTH123  # as above
            stand_in.write(value + "\n")
        _mount(file, f"/proc/sys/{name}", "", MS_BIND)
    # The kubelet's mounts for a pod must propagate to containerd, and containerd's to the kubelet.
    _mount("", "/", "", MS_REC | MS_SHARED)


def _reap() -> NoReturn:
    """Reap orphans for ever: the kernel makes this process their parent."""
    while True:
        signal.sigwait({signal.SIGCHLD})
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    _checked(_libc.mount(source.encode(), target.encode(), kind.encode(), flags, None), f"mount {target}")


def _checked(result: int, what: str) -> None:
    if result:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
