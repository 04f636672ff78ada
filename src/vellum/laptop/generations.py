"""Keep the highest generation of keys that each team ever had beside the seed, also after the team is deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from vellum.errors import LaptopError
from vellum.host.files import read_json, write_json
from vellum.kube.objects import Obj
from vellum.model.keys import Seed
from vellum.model.rotation import KeyMemory
from vellum.model.state import Composed, Observed

Compose: TypeAlias = Callable[[Obj, Observed, datetime], Composed]
Pass: TypeAlias = Callable[[Obj, Observed, Seed, datetime], Composed]


class Generations:
    """The file beside the seed; it is written before a new generation is used."""

    def __init__(self, path: Path, seed: Seed) -> None:
        """Read the file.

        Raises:
            LaptopError: the file is damaged (VEL402).
        """
        self._path, self._seed = path, seed
        self._known: dict[str, int] = read_json(path, {}) if path.exists() else {}
        if path.exists() and not (self._known and all(isinstance(item, int) for item in self._known.values())):
            raise LaptopError(
                "VEL402",
                "the generations of keys that were in use cannot be read",
                where=str(path),
                fix="restore the file from a copy; without it, a team that is made again begins with its oldest keys",
            )

    def composing(self, one_pass: Pass, owner: Callable[[Obj], str]) -> Compose:
        """Return the pass with the seed and these generations; it records new generations before it answers."""

        def compose(composite: Obj, observed: Observed, now: datetime) -> Composed:
            """Compose with the recorded generations, then record new ones."""
            composed = one_pass(composite, observed, replace(self._seed, generations=self._known), now)
            self._note(owner(composite), KeyMemory.read(composed.status.get("keys") or {}).newest)
            return composed

        return compose

    def _note(self, owner: str, newest: int) -> None:
        if newest > max(self._known.get(owner, 1), 1):
            self._known = {**self._known, owner: newest}
            write_json(self._path, self._known, durable=True)
