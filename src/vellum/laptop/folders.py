"""What a laptop's platform adds to the state directory, beside the entries of ``host/state.py``.

seed                 32 random bytes (0600): every key derives from it
generations.json     the highest generation of keys that each team ever had
store.db             the objects (SQLite)
teams.json           which claim has which namespace, for ``vellum.connect("TEAM")``
connect/             makes ``import vellum`` work in every Python: ``vellum.connect`` alone
data/ingest/NS.NAME  logs and records of the last ingests of a claim
"""

from __future__ import annotations

import secrets
from pathlib import Path

from vellum.errors import LaptopError
from vellum.host.files import write
from vellum.host.records import entries
from vellum.host.state import Layout, State
from vellum.model.keys import SEED_BYTES, Seed

PAGE = "notebook.html"
"""The page that ``vellum open`` gives to the browser; it redirects to the notebook and holds its token."""
MOST_SEED_BYTES = 4096


def teams(value: object) -> dict[str, dict[str, str]]:
    """Return claim, as ``namespace/name``, to ``{"namespace": the team's}``."""
    return {
        claim: {"namespace": entry["namespace"]}
        for claim, entry in entries(value)
        if isinstance(entry, dict) and isinstance(entry.get("namespace"), str)
    }


LAYOUT = Layout(
    ("seed", "generations.json", "store.db", "store.db-wal", "store.db-shm", "store.lock", "teams.json"),
    {"teams.json": teams},
)


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
            "VEL402",
            "the seed is missing or cut, and every key was derived from it",
            where=str(path),
            fix="restore the seed file from a copy, or start anew with `vellum down --delete-data`",
        ) from cause
