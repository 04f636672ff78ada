"""The one exception that becomes an HTTP answer in Qdrant's form."""

from __future__ import annotations


class RefusedError(Exception):
    """A request is answered with ``status`` and ``{"status": {"error": message}, "time": 0.0}``."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def refused(message: str) -> RefusedError:
    """Return the answer 400 in Qdrant's words."""
    return RefusedError(400, f"Wrong input: {message}")


def absent(message: str) -> RefusedError:
    """Return the answer 404 in Qdrant's words."""
    return RefusedError(404, f"Not found: {message}")
