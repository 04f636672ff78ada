"""Named ports on loopback: the same ones every day, the next free one when somebody took them, then remembered."""

from __future__ import annotations

import socket
import threading
from itertools import chain
from pathlib import Path

from vellum.errors import LaptopError
from vellum.laptop import records
from vellum.laptop.state import read_json, write_json

FIRST, LAST, HIGHEST = 18000, 27999, 32767
"""Below 32768: above it the kernel hands out client ports, and a client can take a server's port or meet itself."""


FIRST_OF_TWINS = 19000
"""The twin of the first port that has one, 10000 above, shall not be the gateway's, which is 28000 or little more."""


def is_free(port: int) -> bool:
    """Tell whether nobody listens on the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def next_free(port: int, *, own: int = 0, last: int = HIGHEST) -> int:
    """Return the port, or the next free one; ``own`` is one that the asker has already.

    Raises:
        LaptopError: no port up to ``last`` is free (VEL403).
    """
    for candidate in range(port, last + 1):
        if candidate == own or is_free(candidate):
            return candidate
    raise _none_free(port, last)


def _first_free(wanted: int, taken: set[int], twin: int) -> int:
    """Return the wanted port, or the next one of ours that is free and nobody's; after the last comes the first."""
    last = min(LAST, HIGHEST - twin)
    start = wanted if FIRST <= wanted <= last else FIRST
    for port in chain(range(start, last + 1), range(FIRST, start)):
        if port not in taken and is_free(port) and (not twin or is_free(port + twin)):
            return port
    raise _none_free(FIRST, last)


def _none_free(first: int, last: int) -> LaptopError:
    return LaptopError(
        "VEL403", f"no free port from {first} to {last}", where="127.0.0.1", fix="stop what listens there"
    )


class Ports:
    """The ports of one installation; each is checked once when its owner starts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, int] = records.ports(read_json(path, {}))
        self._checked: set[str] = set()
        self._mutex = threading.Lock()

    def get(self, name: str, *, twin: int = 0) -> int:
        """Return the port of that name, free at the first call, and so is the one that lies ``twin`` above it.

        Raises:
            LaptopError: none of our ports is free (VEL403).
        """
        with self._mutex:
            return self._get(name, twin)

    def _get(self, name: str, twin: int) -> int:
        if name not in self._checked:
            taken = {port for other, port in self._known.items() if other != name}
            port = _first_free(self._known.get(name, FIRST_OF_TWINS if twin else FIRST), taken, twin)
            if self._known.get(name) != port:
                self._known[name] = port
                write_json(self._path, self._known)
            self._checked.add(name)
        return self._known[name]

    def recheck(self, name: str) -> None:
        """Look again at the next call: the owner could not start, as somebody else has the port."""
        self._checked.discard(name)
