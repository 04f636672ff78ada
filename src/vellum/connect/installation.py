"""This machine's installation: its state directory, whether it runs, and which of its claims have a name."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

MARK = ".vellum"
"""The file in every state directory that a running supervisor has locked."""
PART = "VELLUM_PART"
"""The variable with the name of a process's part; a supervisor sets it for every process."""
_BINDING_DEPTH = 3
"""The path of a mounted binding is ROOT/secrets/NAMESPACE/NAME."""


def state_root() -> Path:
    """Return the state directory that the environment names; inside a part of an installation, that installation's."""
    if asked := os.environ.get("VELLUM_STATE"):
        return Path(asked).absolute()
    # A notebook or a job has its own home. Its installation is the one from which its binding is mounted.
    if os.environ.get(PART) and (root := root_of(os.environ.get("VELLUM_BINDING_DIR", ""))):
        return root
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "vellum"


def root_of(binding: str) -> Path | None:
    """Return the state directory that has the folder of a binding; None if none on this machine has it."""
    parents = Path(binding).absolute().parents
    if not binding or len(parents) < _BINDING_DEPTH or parents[1].name != "secrets":
        return None
    root = parents[_BINDING_DEPTH - 1]
    return root if (root / MARK).is_file() else None


def is_held(root: Path) -> bool:
    """Return whether a supervisor holds the lock of the state directory; False if this user cannot read it."""
    try:
        with opened(root / MARK) as mark:
            fcntl.flock(mark, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def opened(path: Path) -> IO[bytes]:
    """Return the open file; opening does not wait if a pipe has its place."""
    return open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: PTH123  # a descriptor


def matching(team: str | None, claims: Iterable[str]) -> list[str]:
    """Return the claims, each ``namespace/name``, that have this full name or name; all of them without one."""
    return [claim for claim in claims if team in (None, claim, claim.rpartition("/")[2])]
