"""Whether this machine can run a node. Reads a few files, so a refusal takes milliseconds."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from vellum.errors import BenchError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the machine's own programs are: root's PATH may lack the folders of system programs."""
FROM_DISTRIBUTION = {
    "ip": "iproute2",
    "iptables": "iptables",
    "containerd": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "runc": "runc",
}
"""The programs of the machine itself that a node needs, and Debian's package of each."""
PLUGINS = tuple(Path(folder) for folder in ("/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin"))
"""Where distributions put the CNI plugins."""
_ADMIN = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}


def check() -> None:
    """Return if this machine can run a node.

    Raises:
        BenchError: it cannot (VEL908).
    """
    for what, fix in _lacks():
        raise BenchError("VEL908", f"this machine cannot run a node: {what}", where="--node", fix=fix)


def _lacks() -> Iterator[tuple[str, str]]:
    """Yield (what is missing, how to get it)."""
    without = "leave out --node: the bench without a node runs as any user, on Linux and macOS"
    if sys.platform != "linux":
        yield f"containers need Linux, and this is {sys.platform}", without
        return
    if os.geteuid() != 0:
        yield "only root may make namespaces and cgroups", f"run the command as root, or {without}"
    held = _capabilities()
    if lacking := [name for name, bit in _ADMIN.items() if not held >> bit & 1]:
        yield f"root lacks {' and '.join(lacking)} here", "run it outside a container, or in a privileged one"
    absent = [package for name, package in FROM_DISTRIBUTION.items() if not shutil.which(name, path=PATH)]
    if not any((folder / "bridge").exists() for folder in PLUGINS):
        absent.append("containernetworking-plugins")
    if absent := list(dict.fromkeys(absent)):
        what = f"packages of the distribution are missing: {', '.join(absent)}"
        yield what, f"run `apt-get install {' '.join(absent)}`"
    if not Path("/proc/sys/net/bridge").is_dir():
        yield "the kernel's module br_netfilter is not loaded", "run `modprobe br_netfilter`"


def _capabilities() -> int:
    """Return this process's effective capabilities as bits."""
    match = re.search(r"CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_text())
    return int(match[1], 16) if match else 0
