"""The release guard's decisions: a pure function of its memory, its view, and the time.

The rules were measured on provider-helm 1.3.0. One change of a Release's ``patchesFrom`` is exactly one ``helm
upgrade``, which restores missing and edited objects. An edited custom resource is restored only if the wrong value is
first written into Helm's record, because for those Helm 3 compares two manifests and never the live object. While Helm
works the Release is left alone: a conflict on its status costs one more upgrade.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from vellum.compose.helm.records import DEPLOYED, FAILED
from vellum.kube.objects import stamp
from vellum.model.repair import Faults, GuardMemory, Receipt, Repair, seconds_between


@dataclass(frozen=True, slots=True)
class Rules:
    """The guard's limits, in seconds unless they are counts."""

    watch: int = 7
    """Between two looks at everything: Crossplane 2.3 does not call the function when a required object changes."""
    grace: int = 2
    """How long a fault must last: during a rollout objects come and go."""
    pause: int = 5
    """Between two repairs of one release."""
    cooldown: int = 20
    """Between two repairs of the same faults, doubled each time."""
    retry: int = 60
    """Before a failed upgrade is retried, doubled each time; provider-helm itself would retry immediately."""
    tries: int = 3
    """Consecutive repairs of the same faults before the guard gives up: then another actor wants the change."""
    hourly: int = 20
    """The most repairs of one release within an hour, for any faults."""
    forget: int = 300
    """After this time without a fault, the next fault counts as new."""


RULES = Rules()
HOUR = 3600
HEALTHY, NOTICED, REPAIRING, CONTENDED, BUSY = "Healthy", "Noticed", "Repairing", "Contended", "Busy"
OFF = "Off"
WRITE, RECORD, HELD = "write", "record", "held"
"""Steps of a write-through: the patch is stored; Helm records it; the upgrade that undoes it failed and is retried
later. Until then the Release keeps the patch, because any other patch would be retried without end."""


@dataclass(frozen=True, slots=True)
class Look:
    """One pass's view of a release."""

    record: str
    """Helm's state in the record of the newest revision; absent if there is none."""
    revision: int
    faults: Faults = field(default_factory=dict)
    """All faults, in words."""
    patch: str = ""
    """The key of the patch that writes the live values of edited custom resources into the record; empty if none is."""
    patch_stored: bool = False
    """Whether the patch of the memory is already in the API server's ConfigMap."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The new memory, the time of the next look, and the receipts."""

    memory: GuardMemory
    again: int
    receipts: tuple[Receipt, ...] = ()


def plan(component: str, memory: GuardMemory, look: Look, now: datetime, rules: Rules = RULES) -> Plan:
    """Return the decision. Equal input gives an equal memory, so a settled platform writes nothing.

    Args:
        component: the release's component, for the receipts.
        memory: the memory of the last pass.
        look: the view of this pass.
        now: the time, in UTC.
        rules: the limits.
    """
    if look.record not in (DEPLOYED, FAILED):
        # Helm works, or is stuck, which rollbackLimit ends; faults in that time mean nothing.
        return Plan(memory.but(phase=BUSY, since={}, faults={}), rules.watch)
    memory = memory.but(installed=memory.installed or look.record == DEPLOYED)
    if memory.step == HELD and memory.last:
        return _held(memory, memory.last, look, now, rules)
    if memory.step:
        return _written_through(memory, look, now, rules)
    if look.record == FAILED and memory.last and _is_its_own(memory.last, look):
        return _undone(memory, memory.last, rules)
    if not look.faults:
        return _healthy(component, memory, look, now, rules)
    return _faulty(component, memory, look, now, rules)


def off(memory: GuardMemory, *, deployed: bool) -> GuardMemory:
    """Return the memory while the guard is switched off: it keeps what was done, or Helm would do it again."""
    memory = memory.but(phase=OFF, since={}, faults={}, installed=memory.installed or deployed)
    if memory.step == RECORD:
        # A patch left behind would never be undone, and every upgrade would render the wrong value again.
        return memory.but(step="", patch="", nonce=memory.nonce + 1)
    return memory.but(step="", patch="") if memory.step == WRITE else memory


def _is_its_own(last: Repair, look: Look) -> bool:
    return last.open and not last.undone and look.revision > last.revision


def _undone(memory: GuardMemory, last: Repair, rules: Rules) -> Plan:
    """Turn the Release back to the patches of the last success: a written-through value, or the earlier flip.

    provider-helm repeats a failed upgrade without end while its patches differ from those of the last success. It rolls
    back, a few times, only when they are equal (``hasUpdates`` and ``shouldRollBack`` in its 1.3.0).
    """
    step = HELD if memory.patch else ""
    memory = memory.but(phase=REPAIRING, nonce=memory.nonce - 1, step=step, last=replace(last, undone=True))
    return Plan(memory, rules.watch)


def _healthy(component: str, memory: GuardMemory, look: Look, now: datetime, rules: Rules) -> Plan:
    last = memory.last
    receipts: tuple[Receipt, ...] = ()
    if last and last.open and not _over(last, look, now, rules):
        return Plan(memory.but(since={}, faults={}), 1)
    if last and last.open:
        receipts = _came_back(component, last, look, now)
        last = replace(last, open=False)
    forgotten = last is not None and seconds_between(last.at, now) > rules.forget
    recent = _within_an_hour(memory, now) if forgotten else memory.recent
    tries = 0 if forgotten else memory.tries
    memory = memory.but(phase=HEALTHY, since={}, faults={}, patch="", last=last, recent=recent, tries=tries)
    return Plan(memory, rules.watch, receipts)


def _within_an_hour(memory: GuardMemory, now: datetime) -> tuple[str, ...]:
    return tuple(at for at in memory.recent if seconds_between(at, now) < HOUR)


def _over(last: Repair, look: Look, now: datetime, rules: Rules) -> bool:
    """Tell whether the upgrade was seen: before it, a written-through value in the record looks healthy."""
    return look.revision > last.revision or seconds_between(last.at, now) > rules.cooldown


def _faulty(component: str, memory: GuardMemory, look: Look, now: datetime, rules: Rules) -> Plan:
    since = {name: memory.since.get(name, stamp(now)) for name in look.faults}
    memory = memory.but(since=since, faults=dict(look.faults))
    # A failed upgrade hides the faults for which it was made; afterwards they are the same.
    same = memory.last is not None and (memory.last.faults == look.faults or look.record == FAILED)
    tries = memory.tries if same else 0
    recent = _within_an_hour(memory, now)
    if tries >= rules.tries or len(recent) >= rules.hourly:
        # The last repair also gets its time before the guard decides that it did not last.
        over = memory.last is None or seconds_between(memory.last.at, now) > rules.cooldown
        return Plan(memory.but(phase=CONTENDED if over else REPAIRING), rules.watch)
    wait = _due_in(memory, look, tries, now, rules)
    if wait > 0:
        phase = REPAIRING if memory.last and memory.last.open else NOTICED
        return Plan(memory.but(phase=phase), max(1, min(rules.watch, round(wait + 0.5))))
    receipts = _came_back(component, memory.last, look, now)
    repair = Repair(stamp(now), dict(look.faults), _earliest(memory, since), look.revision)
    memory = memory.but(
        phase=REPAIRING, tries=tries + 1, last=repair, recent=(*recent, stamp(now)), repairs=memory.repairs + 1
    )
    if look.patch:
        return Plan(memory.but(step=WRITE, patch=look.patch), 1, receipts)
    return Plan(memory.but(patch="", nonce=memory.nonce + 1), rules.watch, receipts)


def _came_back(component: str, last: Repair | None, look: Look, now: datetime) -> tuple[Receipt, ...]:
    """Return the receipts of the faults that an open repair ended."""
    if last is None or not last.open or look.record == FAILED:
        return ()
    return tuple(
        Receipt(
            component,
            name,
            fault,
            last.since[name],
            stamp(now),
            round(seconds_between(last.since[name], now)),
            look.revision,
        )
        for name, fault in sorted(last.faults.items())
        if name not in look.faults
    )


def _earliest(memory: GuardMemory, since: Mapping[str, str]) -> Mapping[str, str]:
    """Return when each fault was first seen; a fault that an open repair did not end keeps its time."""
    before = memory.last.since if memory.last and memory.last.open else {}
    return {name: before.get(name, at) for name, at in since.items()}


def _due_in(memory: GuardMemory, look: Look, tries: int, now: datetime, rules: Rules) -> float:
    """Return the seconds until the next repair is allowed."""
    failed = look.record == FAILED
    grace, cooldown = (rules.retry, rules.retry) if failed else (rules.grace, rules.cooldown)
    waits = [grace - seconds_between(min(memory.since.values()), now)]
    if memory.last:
        pause = cooldown * 2 ** (tries - 1) if tries else rules.pause
        waits.append(pause - seconds_between(memory.last.at, now))
    return max(waits)


def _written_through(memory: GuardMemory, look: Look, now: datetime, rules: Rules) -> Plan:
    """Continue a write-through: first the patch is stored, then Helm records it, then an upgrade runs without it."""
    last = memory.last
    if last and memory.step == RECORD and look.revision > last.revision and look.record == DEPLOYED:
        last = replace(last, revision=look.revision)
        return Plan(memory.but(step="", nonce=memory.nonce + 1, last=last), rules.watch)
    failed = last is not None and look.record == FAILED and look.revision > last.revision
    if last is None or failed or seconds_between(last.at, now) > rules.cooldown:
        # Helm did not take the patch, and the Release is as before. The faults remain, and the next try counts.
        return Plan(memory.but(step="", patch="", last=last and replace(last, undone=True)), 1)
    if memory.step == WRITE and look.patch_stored:
        memory = memory.but(step=RECORD)
    return Plan(memory, 1)


def _held(memory: GuardMemory, last: Repair, look: Look, now: datetime, rules: Rules) -> Plan:
    """Retry the second upgrade of a write-through, slowly.

    Meanwhile Helm's record has the wrong value, so the earlier faults still count. A new difference from that record
    is a new fault, and arms the guard again.
    """
    tries = 0 if look.record == DEPLOYED and look.faults else memory.tries
    recent = _within_an_hour(memory, now)
    memory = memory.but(faults=last.faults, since=last.since)
    if tries >= rules.tries or len(recent) >= rules.hourly:
        return Plan(memory.but(phase=CONTENDED), rules.watch)
    wait = rules.retry * 2 ** max(0, tries - 1) - seconds_between(last.at, now)
    if wait > 0:
        return Plan(memory.but(phase=REPAIRING), max(1, min(rules.watch, round(wait + 0.5))))
    at = stamp(now)
    memory = memory.but(
        phase=REPAIRING,
        step="",
        nonce=memory.nonce + 1,
        tries=tries + 1,
        recent=(*recent, at),
        repairs=memory.repairs + 1,
        last=replace(last, at=at, revision=look.revision, undone=False),
    )
    return Plan(memory, rules.watch)
