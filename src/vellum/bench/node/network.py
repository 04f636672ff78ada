"""The node's own network: a namespace without a route out, and ports of the machine's loopback that lead into it.

A listening socket stays in the namespace in which it was opened. So the process opens these ports first. Then it enters
its own network, and makes all later connections there.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path

from vellum.bench.node.support import PATH
from vellum.errors import BenchError

ADDRESS = "10.10.0.1"
"""The node's address, at which pods reach the API server and the registry."""
PODS, SERVICES = "10.244.0.0/24", "10.96.0.0/16"
_CLONE_NEWNET = 0x40000000
_SETTINGS = {
    "ipv4/ip_forward": "1",
    # kube-proxy's rules must also apply to packets between two pods of one bridge.
    "bridge/bridge-nf-call-iptables": "1",
}
"""Each network namespace has its own values of these sysctls."""
_COMMANDS = (
    "link set lo up",
    "link add node0 type bridge",
    f"addr add {ADDRESS}/24 dev node0",
    "link set node0 up",
    # The node's own programs need a route to a Service's address before kube-proxy's rules replace it. Without a
    # default route, a connection to another machine fails immediately.
    f"route add {SERVICES} dev node0",
)
_CHUNK = 65536


class Forwarder:
    """Forwards ports of the machine's loopback to the same ports of the node's network."""

    def __init__(self, ports: Iterable[int]) -> None:
        """Listen on 127.0.0.1 in the current network namespace.

        Raises:
            OSError: a port is taken.
        """
        self._sockets = [socket.create_server(("127.0.0.1", port)) for port in ports]

    def start(self) -> None:
        """Forward in a separate thread, to the network in which the caller is."""
        threading.Thread(target=asyncio.run, args=(self._serve(),), name="forwarder", daemon=True).start()

    async def _serve(self) -> None:
        servers = [await asyncio.start_server(_forward, sock=listening) for listening in self._sockets]
        await asyncio.gather(*(server.serve_forever() for server in servers))


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    port = writer.get_extra_info("sockname")[1]
    try:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        writer.close()
        return
    try:
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
    finally:
        far_writer.close()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        # Only this direction has ended: kubectl may still read the answer.
        writer.write_eof() if writer.can_write_eof() else writer.close()


def enter() -> None:
    """Move this thread, and all threads and processes that it starts, into a new network namespace.

    Raises:
        BenchError: the kernel refuses (VEL908).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise _refused(os.strerror(ctypes.get_errno()))
    for command in _COMMANDS:
        argv = ["ip", *command.split()]
        done = subprocess.run(argv, env={"PATH": PATH}, capture_output=True, text=True, check=False)
        if done.returncode:
            raise _refused(f"`ip {command}` ended with {done.returncode}: {done.stderr.strip()}")
    for name, value in _SETTINGS.items():
        (Path("/proc/sys/net") / name).write_text(value)


def _refused(why: str) -> BenchError:
    what = f"this machine cannot run a node: its network namespace: {why}"
    return BenchError("VEL908", what, where="--node", fix="run it as root, outside a container or in a privileged one")
