"""Assign named ports on loopback: each name keeps its port, or gets the next free one if its port is taken.

Seconds pass between the check of a port and the program that binds it. So each port is reserved while the installation
runs. The reservation holds against every other installation on this machine, also those of other users.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterable
from functools import cache
from itertools import chain
from pathlib import Path
from typing import IO

from vellum.errors import LaptopError
from vellum.host import records
from vellum.host.files import read_json, write_json

FIRST, LAST, HIGHEST = 18000, 27999, 32767
"""Below 32768: above it the kernel hands out client ports, and a client can take a server's port or meet itself."""


FIRST_OF_TWINS = 19000
"""The first port with a twin 10000 above it; the twin must not be the gateway's port, which is 28000 or little more."""


def is_free(port: int) -> bool:
    """Return whether no process listens on the port at any loopback address.

    Both families: browsers ask ``[::1]`` first for ``localhost`` and every name below it.
    """
    return all(_binds(address, port) for address in loopback())


@cache
def loopback() -> tuple[str, ...]:
    """Return the loopback addresses that this machine has; 127.0.0.1 is always the first."""
    return ("127.0.0.1", "::1") if _binds("::1", 0) else ("127.0.0.1",)


def _binds(address: str, port: int) -> bool:
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError:
        return False
    return True


_HELD: dict[int, tuple[Path, IO[bytes] | socket.socket]] = {}
"""This process's reservations: the owner, and a socket or lock that the kernel frees when the process ends."""
_HOLDING = threading.Lock()


def reserve(port: int, owner: Path) -> bool:
    """Reserve a port for an installation; return False while another one has it."""
    with _HOLDING:
        if port not in _HELD and (mark := _mark(port)) is not None:
            _HELD[port] = (owner, mark)
        return port in _HELD and _HELD[port][0] == owner


def release(owner: Path, ports: Iterable[int] | None = None) -> None:
    """Free these ports of an installation, or all of its ports."""
    with _HOLDING:
        for port in list(_HELD if ports is None else ports):
            if port in _HELD and _HELD[port][0] == owner:
                _HELD.pop(port)[1].close()


def _mark(port: int) -> IO[bytes] | socket.socket | None:
    """Return an exclusive reservation of the port on this machine; None if another process has it."""
    if sys.platform == "linux":
        # A name without a file, in the same network namespace as the port.
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0vellum-port-{port}")
        except OSError:
            name.close()
            return None
        return name
    folder = Path(tempfile.gettempdir()) / f"vellum-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = (folder / str(port)).open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _can_have(port: int, owner: Path | None) -> bool:
    return is_free(port) and (owner is None or reserve(port, owner))


def next_free(port: int, *, own: int = 0, last: int = HIGHEST, owner: Path | None = None) -> int:
    """Return the port, or the next free one, reserved for ``owner``; ``own`` is a port that the caller has already.

    Raises:
        LaptopError: no port up to ``last`` is free (VEL403).
    """
    for candidate in range(port, last + 1):
        if candidate == own or _can_have(candidate, owner):
            return candidate
    raise _none_free(port, last)


def _first_free(wanted: int, taken: set[int], twin: int, owner: Path) -> int:
    """Return the wanted port, or the next one that is free and not assigned; after the last port comes the first."""
    last = min(LAST, HIGHEST - twin)
    start = wanted if FIRST <= wanted <= last else FIRST
    for port in chain(range(start, last + 1), range(FIRST, start)):
        if port in taken or not _can_have(port, owner):
            continue
        if not twin or _can_have(port + twin, owner):
            return port
        release(owner, [port])
    raise _none_free(FIRST, last)


def _none_free(first: int, last: int) -> LaptopError:
    return LaptopError(
        "VEL403", f"no free port from {first} to {last}", where="127.0.0.1", fix="stop the programs that listen there"
    )


class Ports:
    """The ports of one installation; each is checked once when its owner starts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, int] = records.ports(read_json(path, {}))
        self._checked: set[str] = set()
        self._mutex = threading.Lock()

    def get(self, name: str, *, twin: int = 0) -> int:
        """Return the port of that name, free at the first call, together with the port ``twin`` above it.

        Raises:
            LaptopError: no port of the range is free (VEL403).
        """
        with self._mutex:
            return self._get(name, twin)

    def _get(self, name: str, twin: int) -> int:
        if name not in self._checked:
            taken = {port for other, port in self._known.items() if other != name}
            before = self._known.get(name, FIRST_OF_TWINS if twin else FIRST)
            port = _first_free(before, taken, twin, self._path.parent)
            if self._known.get(name) != port:
                release(self._path.parent, {before, before + twin} - {port, port + twin, *taken})
                self._known[name] = port
                write_json(self._path, self._known)
            self._checked.add(name)
        return self._known[name]

    def recheck(self, name: str) -> None:
        """Check the port again at the next call: its owner could not start, because another program has it."""
        self._checked.discard(name)
