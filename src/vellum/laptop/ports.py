"""Named ports on loopback: the same ones every day, the next free one when somebody took them, then remembered."""

from __future__ import annotations

import socket
from pathlib import Path

from vellum.errors import LaptopError
from vellum.laptop.state import read_json, write_json

FIRST, LAST = 18000, 27999
"""Below 32768: above it the kernel hands out client ports, and a client can take a server's port or meet itself."""


def is_free(port: int) -> bool:
    """Tell whether nobody listens on the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def next_free(port: int, *, last: int = 32767) -> int:
    """Return the port, or the next free one.

    Raises:
        LaptopError: no port up to ``last`` is free (VEL403).
    """
    for candidate in range(port, last + 1):
        if is_free(candidate):
            return candidate
    raise LaptopError(
        "VEL403", f"no free port from {port} to {last}", where="127.0.0.1", fix="stop what listens there"
    )


class Ports:
    """The ports of one installation; each is checked once when its owner starts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, int] = read_json(path, {})
        self._checked: set[str] = set()

    def get(self, name: str) -> int:
        """Return the port of that name, free at the first call."""
        if name not in self._checked:
            taken = {port for other, port in self._known.items() if other != name}
            port = self._known.get(name, FIRST)
            while port in taken or not is_free(port):
                port = next_free(FIRST if port >= LAST else port + 1, last=LAST)
            self._checked.add(name)
            if self._known.get(name) != port:
                self._known[name] = port
                write_json(self._path, self._known)
        return self._known[name]

    def recheck(self, name: str) -> None:
        """Look again at the next call: the owner could not start on it."""
        self._checked.discard(name)
