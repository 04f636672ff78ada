"""Generations of keys: which are valid now, and what a status records of a rotation between two passes.

Every key is derived from its generation (``model.keys``), so the number identifies the key without revealing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vellum.kube.objects import DOMAIN, Obj, stamp

GENERATION = f"{DOMAIN}/key-generation"
"""Annotation of an object that holds or uses keys: their generation, by default 1. A new number rolls its pods."""
ENVIRONMENT = "VELLUM_KEY_GENERATION"
"""The same for objects whose annotations do not roll pods; see ``components.notebook``."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The generations that are composed in one pass."""

    using: int = 1
    """The generation that all users of keys have."""
    valid: tuple[int, ...] = (1,)
    """The generations that open the bucket: the one in use, the coming one, and those whose overlap is not over."""
    single: int = 1
    """The generation of servers that accept one key at a time."""


FIRST = Keys()
"""The keys before the first rotation."""


def mark(generation: int) -> dict[str, str]:
    """Return the annotation of a holder of keys; none for the first generation, so that no upgrade rolls pods."""
    return {GENERATION: str(generation)} if generation > 1 else {}


def marked(obj: Mapping[str, Any]) -> int:
    """Return the generation whose keys an observed object holds; 0 if the annotation is not a number."""
    text = str((obj["metadata"].get("annotations") or {}).get(GENERATION, "1"))
    return int(text) if text.isdecimal() and len(text) < len(str(2**31)) else 0


@dataclass(frozen=True, slots=True)
class Previous:
    """A generation that is not given out any more but still accepted, and since when."""

    generation: int
    since: datetime


@dataclass(frozen=True, slots=True)
class KeyMemory:
    """What is known of a composite's keys; 0 means none."""

    using: int = 0
    coming: int = 0
    """The generation that will be used next."""
    single: int = 0
    """The generation of servers that accept one key at a time."""
    previous: tuple[Previous, ...] = ()
    removed: int = 0
    """The highest generation that is removed for good: a stale view of a deleted one must not bring it back."""

    @property
    def newest(self) -> int:
        """The highest generation that was ever wanted."""
        return max(self.using, self.coming, self.single)

    @classmethod
    def read(cls, status: Mapping[str, Any]) -> KeyMemory:
        """Return the memory in a status's ``keys``; a damaged entry is ignored, and its key is then observed again."""
        result = ((int(item.get("generation") or 0), _time(item.get("since"))) for item in status.get("previous") or ())
        return cls(
            using=(using := int(status.get("generation") or 0)),
            coming=int(status.get("coming") or 0),
            single=int(status.get("single") or using),
            previous=tuple(Previous(generation, since) for generation, since in result if generation and since),
            removed=int(status.get("removed") or 0),
        )

    def as_status(self, until: Mapping[int, str], waits: str, held: Mapping[str, int]) -> Obj:
        """Return the data that ``read`` takes, and further facts for people.

        Args:
            until: when each previous generation ends.
            waits: what the coming generation waits for.
            held: the holders of keys, each with its generation.
        """
        status: Obj = {"generation": self.using}
        if self.coming:
            status |= {"coming": self.coming, "waits": waits}
        if self.single != self.using:
            status["single"] = self.single
        if self.previous:
            status["previous"] = [
                {"generation": item.generation, "since": stamp(item.since), "until": until[item.generation]}
                for item in self.previous
            ]
        if held and (self.coming or self.previous):
            status["held"] = [{"by": name, "generation": held[name]} for name in sorted(held)]
        if self.removed:
            status["removed"] = self.removed
        return status


def _time(text: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else None
