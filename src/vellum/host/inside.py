"""Return whether this process runs outside the platform, or inside it as a notebook, a job or a model.

A laptop's supervisor gives every process the name of its part in ``VELLUM_PART``; a binding that is mounted from a
state directory says which installation that is. A cluster's pods have a mounted binding and a Kubernetes address.
Standard library only: every command asks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vellum.connect.installation import PART, root_of
from vellum.errors import UsageError


@dataclass(frozen=True, slots=True)
class Inside:
    """The platform's part that this process belongs to."""

    part: str
    """The name of the process on a laptop, or of the pod."""
    root: Path | None
    """The state directory of the installation around it; None if that is not on this machine."""

    def __str__(self) -> str:
        place = f"the installation in {self.root}" if self.root else "an installation that is not on this machine"
        return f"this is inside {self.part} of {place}"


def inside() -> Inside | None:
    """Return the part that this process belongs to; None in a user's own shell."""
    part, binding = os.environ.get(PART, ""), os.environ.get("VELLUM_BINDING_DIR", "")
    if part:
        return Inside(part, root_of(binding))
    if binding and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return Inside(f"pod {os.environ.get('HOSTNAME', '')}".rstrip(), None)
    return None


HERE = "what works here: vellum connect, vellum search, vellum ingest, and vellum.connect() in Python"


def refuse(command: str) -> None:
    """Refuse a command that starts, stops or deletes an installation, or parts of it.

    Raises:
        UsageError: this process is a part of an installation (VEL736).
    """
    if around := inside():
        raise UsageError(
            "VEL736",
            f"`vellum {command}` starts, stops or deletes parts of a platform, and {around}",
            where=str(Path.cwd()),
            fix=f"run it in a terminal of your machine; {HERE}" + (", vellum status" if around.root else ""),
        )
