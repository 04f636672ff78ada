"""Rotate a composite's keys: create, test and distribute a new generation, and later remove the old one. Pure.

Three rules make every order of passes safe, even after a crash, or with an old or lost status. An observed
generation stays until its overlap is over. A generation that is still in use stays longer. A removed one never returns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from vellum.api.keys import KeysSpec
from vellum.compose.prerequisites import first
from vellum.kube.objects import Key, Obj, stamp
from vellum.model.component import AnyComponent, Wish
from vellum.model.rotation import KeyMemory, Keys, Previous, marked
from vellum.model.state import READY, Composed, Observed, Ready, undecided

NEAR_SECONDS = 5
"""Crossplane calls up to a tenth later than requested (2.3.4), so near the end the intervals are short."""
SHORTEST_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Seen:
    """The observed state of one composite's keys."""

    generations: Collection[int]
    """The generations that have a key in the object store."""
    held: Mapping[str, int]
    """The generation of each holder of keys, by its description."""
    opens: Callable[[int], Ready]
    """Tells whether keys of a generation open the services that accept several at a time."""
    turned: Callable[[int], Ready]
    """Tells whether the services that accept one key at a time accept the key of a generation."""


def seen(parts: Sequence[tuple[AnyComponent, Wish[Any]]], observed: Observed, holders: Sequence[str] = ()) -> Seen:
    """Return the observed keys of the parts; ``holders`` hold keys besides the parts' own, by resource name."""

    def accepted(generation: int, *, one_key: bool) -> Ready:
        """Tell whether the services of this kind accept keys of the generation."""
        return first(*(part.accepts(wish, generation) for part, wish in parts if part.one_key == one_key))

    names = (*holders, *(name for part, _ in parts for name in part.holders))
    live = (observed.resources.get(name) for name in names)
    return Seen(
        generations={generation for part, wish in parts for generation in part.generations(wish)},
        held={str(Key.of(obj)): marked(obj) for obj in live if obj},
        opens=partial(accepted, one_key=False),
        turned=partial(accepted, one_key=True),
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision of one pass."""

    keys: Keys
    status: Obj
    again: float | None = None
    """Seconds until the next decision."""


def lowered(wanted: int | None, memory: KeyMemory, lowest: int = 1) -> Composed | None:
    """Refuse a generation whose keys were already replaced; ``lowest`` is the first valid one of a new owner."""
    newest = memory.newest or lowest
    if wanted is None or wanted >= newest:
        return None
    return undecided(
        "KeysLowered",
        f"the keys are of generation {newest}, but spec.keys.generation is {wanted}, whose keys were replaced; "
        f"write {newest} or more",
    )


def turn(keys: KeysSpec, status: Mapping[str, Any], world: Seen, now: datetime, lowest: int) -> Plan | Composed:
    """Return the decision for the keys in a spec and in a status, or the answer that refuses them."""
    memory = KeyMemory.read(status)
    refused = lowered(keys.generation, memory, lowest)
    return refused or plan(keys.generation, keys.time, memory, world, now, lowest=lowest)


def plan(  # noqa: PLR0913  # each is something else
    wanted: int | None, overlap: timedelta, memory: KeyMemory, world: Seen, now: datetime, *, lowest: int = 1
) -> Plan:
    """Return which generations are valid and which is used.

    Args:
        wanted: the generation in the spec; without one, the current generation.
        overlap: how long an old generation stays after a new one is in use.
        memory: the memory in the last status.
        world: the observed keys.
        now: the time in UTC.
        lowest: the first valid generation of an owner that was made again; lower ones were replaced.
    """
    seen_now = {generation for generation in world.generations if generation > memory.removed}
    if not memory.newest and not seen_now:
        memory = replace(memory, removed=max(memory.removed, lowest - 1))
    if seen_now == {memory.using} and wanted in (None, memory.using) and _is_settled(memory):
        # Every pass outside a rotation ends here.
        return Plan(_keys(memory), memory.as_status({}, "", {}))
    memory = _with_strays(_begun(wanted, memory, seen_now), seen_now, now)
    memory, waits = _brought_in(memory, world, now) if memory.coming else (memory, READY)
    held = world.held if memory.coming or memory.previous else {}
    memory = _without_the_expired(memory, overlap, held.values(), now)
    until = {previous.generation: previous.since + overlap for previous in memory.previous}
    status = memory.as_status({name: stamp(end) for name, end in until.items()}, waits.reason, held)
    # A generation whose overlap is over is still held; the holder's change is an event.
    ahead = [end - now for end in until.values() if end > now]
    return Plan(_keys(memory), status, _again(min(ahead)) if ahead else None)


def _is_settled(memory: KeyMemory) -> bool:
    return not memory.coming and not memory.previous and memory.single == memory.using


def _keys(memory: KeyMemory) -> Keys:
    valid = {memory.using, *(item.generation for item in memory.previous)} | ({memory.coming} - {0})
    return Keys(memory.using, tuple(sorted(valid)), memory.single)


def _begun(wanted: int | None, memory: KeyMemory, seen: Collection[int]) -> KeyMemory:
    """Return the memory with the wanted generation; also for a new composite, or one whose status was lost."""
    # Start with the oldest that exists, which locks no client out; a newer one takes over once it works.
    using = memory.using or min(seen, default=wanted or memory.removed + 1)
    newest = max([using, memory.coming, wanted or 0, *seen])
    if using < memory.single < newest and memory.single in seen:
        # Servers with a single key accept only this one now, so it comes into use before a newer one is begun.
        newest = memory.single
    return replace(memory, using=using, coming=newest if newest > using else 0, single=memory.single or using)


def _with_strays(memory: KeyMemory, seen: Collection[int], now: datetime) -> KeyMemory:
    """Give each observed generation that is not in the memory its own overlap."""
    known = {memory.using, memory.coming, *(item.generation for item in memory.previous)}
    strays = [Previous(item, _second(now)) for item in sorted(seen) if item not in known and item < max(known)]
    return replace(memory, previous=(*memory.previous, *strays))


def _brought_in(memory: KeyMemory, world: Seen, now: datetime) -> tuple[KeyMemory, Ready]:
    """Continue the coming generation: it opens the bucket, then single servers change to it, then all use it."""
    coming = memory.coming
    opens = world.opens(coming)
    if not opens and memory.single != coming:
        return memory, opens
    memory = replace(memory, single=coming)
    turned = opens and world.turned(coming)
    if not turned:
        return memory, turned
    previous = (*memory.previous, Previous(memory.using, _second(now)))
    return replace(memory, using=coming, coming=0, previous=previous), READY


def _without_the_expired(memory: KeyMemory, overlap: timedelta, held: Collection[int], now: datetime) -> KeyMemory:
    # A clock that was set back must not make an overlap longer.
    previous = tuple(replace(item, since=min(item.since, _second(now))) for item in memory.previous)
    gone = [item for item in previous if item.since + overlap <= now and item.generation not in held]
    removed = max([memory.removed, *(item.generation for item in gone)])
    return replace(memory, previous=tuple(item for item in previous if item not in gone), removed=removed)


def _second(now: datetime) -> datetime:
    """Return the next whole second: a status has whole seconds, and no overlap may be shorter than promised."""
    whole = now.replace(microsecond=0)
    return whole if whole == now else whole + timedelta(seconds=1)


def _again(left: timedelta) -> float:
    seconds = left.total_seconds()
    return seconds * 0.9 if seconds > NEAR_SECONDS else max(seconds, SHORTEST_SECONDS)
