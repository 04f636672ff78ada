"""The settings in the environment of the process; without a key it does not start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vellum.errors import WorkloadError

_FIX = "start it with `vellum up`, which sets the environment"
_MAX_PORT = 65535
LOOPBACK = "127.0.0.1"
"""The address on a laptop; in a pod ``VELLUM_QDRANT_ADDRESS`` is 0.0.0.0."""


@dataclass(frozen=True)
class Settings:
    """Where the collections are, the port and address, and the two keys (an empty second key does not exist)."""

    directory: Path
    port: int
    api_key: bytes
    read_only_key: bytes
    address: str = LOOPBACK

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        """Read the environment.

        Raises:
            WorkloadError: no folder (VEL510), no port (VEL511) or no key (VEL512).
        """
        directory = environment.get("VELLUM_QDRANT_DIR", "")
        if not directory:
            raise WorkloadError("VEL510", "no folder for the collections", where="VELLUM_QDRANT_DIR", fix=_FIX)
        key = environment.get("QDRANT__SERVICE__API_KEY", "")
        if not key:
            raise WorkloadError(
                "VEL512", "no key: it would serve everybody", where="QDRANT__SERVICE__API_KEY", fix=_FIX
            )
        read_only = environment.get("QDRANT__SERVICE__READ_ONLY_API_KEY", "")
        address = environment.get("VELLUM_QDRANT_ADDRESS", LOOPBACK)
        return cls(Path(directory), _port(environment), key.encode(), read_only.encode(), address)

    def __repr__(self) -> str:
        return f"Settings({self.directory}, {self.port}, keys hidden)"


def _port(environment: Mapping[str, str]) -> int:
    text = environment.get("VELLUM_QDRANT_PORT", "")
    if text.isascii() and text.isdigit() and 0 < int(text) <= _MAX_PORT:
        return int(text)
    raise WorkloadError("VEL511", f"not a port: {text!r}", where="VELLUM_QDRANT_PORT", fix=_FIX)
