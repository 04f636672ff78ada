"""The parts of the state directory that only a laptop's platform has: the seed and folders that users meet."""

from __future__ import annotations

import secrets
from pathlib import Path

from vellum.errors import LaptopError
from vellum.host.files import write
from vellum.host.state import State
from vellum.model.keys import SEED_BYTES, Seed

PAGE = "notebook.html"
"""The page that ``vellum open`` gives to the browser; it redirects to the notebook and holds its token."""
MOST_SEED_BYTES = 4096


def connect_folder(state: State) -> Path:
    """Return the folder with ``vellum.connect`` for users' own Pythons; the installation writes it."""
    return state.root / "connect"


def ingest_folder(state: State, claim: str) -> Path:
    """Return the folder of logs, listings and records of the last ingests of a claim, ``namespace/name``."""
    return state.data("ingest", claim.replace("/", "."))


def seed(state: State) -> Seed:
    """Return the installation's seed, drawn once.

    Raises:
        LaptopError: the seed is missing or cut but its data exists; new keys would lock out every team (VEL402).
    """
    path = state.root / "seed"
    if not path.exists() and not state.store.exists():
        write(path, secrets.token_bytes(SEED_BYTES), durable=True)
    try:
        with path.open("rb") as file:
            material = file.read(MOST_SEED_BYTES + 1)
        return Seed(material if len(material) <= MOST_SEED_BYTES else b"")
    except (FileNotFoundError, ValueError) as cause:
        raise LaptopError(
            "VEL402", "the seed is missing or cut, and every key was derived from it", where=str(path),
            fix="restore the seed file from a copy, or start anew with `vellum down --delete-data`",
        ) from cause  # fmt: skip
