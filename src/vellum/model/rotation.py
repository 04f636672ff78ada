"""Generations of keys: which are valid now, and what a status remembers of a rotation between two passes.

Every key is derived from its generation (``model.keys``), so the number says all of it and tells nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vellum.kube.objects import DOMAIN, Obj

GENERATION = f"{DOMAIN}/key-generation"
"""On what holds or uses keys: whose key it has. Another number rolls its pods. Without it, the first."""
ENVIRONMENT = "VELLUM_KEY_GENERATION"
"""The same where annotations do not roll pods; see ``components.notebook``."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The generations that are composed in one pass."""

    using: int = 1
    """In the hands of everybody who uses keys."""
    valid: tuple[int, ...] = (1,)
    """What opens the bucket: the one in use, one that is on its way, and those whose overlap is not over."""
    single: int = 1
    """Of servers that take one key at a time."""


FIRST = Keys()
"""Before the first rotation."""


def mark(generation: int) -> dict[str, str]:
    """Return the annotation of what holds keys of a generation; none for the first, so that no upgrade rolls pods."""
    return {GENERATION: str(generation)} if generation > 1 else {}


def marked(obj: Mapping[str, Any]) -> int:
    """Return the generation whose keys an observed object holds; 0 where somebody wrote nonsense."""
    said = str((obj["metadata"].get("annotations") or {}).get(GENERATION, "1"))
    return int(said) if said.isdecimal() and len(said) < len(str(2**31)) else 0


@dataclass(frozen=True, slots=True)
class Previous:
    """A generation that is not handed out any more and still accepted; since when."""

    generation: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of a composite's keys; 0 means none."""

    using: int = 0
    coming: int = 0
    """On its way to be used."""
    single: int = 0
    """What servers were told that take one key at a time."""
    previous: tuple[Previous, ...] = ()
    removed: int = 0
    """Up to here all are gone for good: a late look at one that is being deleted must not bring it back."""

    @property
    def newest(self) -> int:
        """The highest generation that was ever asked for."""
        return max(self.using, self.coming, self.single)


def remembered(said: Mapping[str, Any]) -> Memory:
    """Read a status's ``keys``; an entry that somebody spoiled is forgotten, and its key then seen anew."""
    found = ((int(one.get("generation") or 0), _time(one.get("since"))) for one in said.get("previous") or ())
    previous = tuple(Previous(generation, since) for generation, since in found if generation and since)
    using = int(said.get("generation") or 0)
    return Memory(
        using, int(said.get("coming") or 0), int(said.get("single") or using), previous, int(said.get("removed") or 0)
    )  # fmt: skip


def _time(text: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else None


def written(memory: Memory, until: Mapping[int, str], waits: str, held: Mapping[str, int]) -> Obj:
    """Return what ``remembered`` reads, and what people want to know.

    Args:
        memory: what is known.
        until: when each previous one ends.
        waits: what the coming one waits for.
        held: who holds keys, and of which generation.
    """
    said: Obj = {"generation": memory.using}
    if memory.coming:
        said |= {"coming": memory.coming, "waits": waits}
    if memory.single != memory.using:
        said["single"] = memory.single
    if memory.previous:
        said["previous"] = [
            {
                "generation": one.generation,
                "since": one.since.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "until": until[one.generation],
            }
            for one in memory.previous
        ]
    if held and (memory.coming or memory.previous):
        said["held"] = [{"by": name, "generation": held[name]} for name in sorted(held)]
    if memory.removed:
        said["removed"] = memory.removed
    return said
