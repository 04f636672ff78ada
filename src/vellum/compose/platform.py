"""One pass over the platform: the parts of its profile, their objects, readiness and addresses. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from vellum.api.platform import Platform
from vellum.components import platform_components
from vellum.compose import gates, guard, images, releases, repair, rotation
from vellum.compose.order import in_order
from vellum.compose.release import Release
from vellum.kube.objects import Obj, stamp
from vellum.model.component import AnyPlatformComponent, Kind, Wish
from vellum.model.keys import PLATFORM_OWNER, Seed
from vellum.model.release import PROVIDER, RELEASE, Charts, ReleaseComponent
from vellum.model.repair import BLANK, GuardMemory, with_receipts
from vellum.model.rotation import FIRST, KeyMemory, Keys
from vellum.model.state import (
    READY,
    Composed,
    Desired,
    Event,
    Observed,
    Ready,
    Requirement,
    not_ready,
    parts_ready,
    waits,
)

SETTLED_SECONDS, WAITING_SECONDS = 300, 15
_WAITS = "waits for "


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the profile: the objects that it wants, and whether it may make them or what it waits for."""

    component: AnyPlatformComponent
    wish: Wish[Any]
    objects: Mapping[str, Obj]
    may: Ready
    ready: Ready
    release: Release | None = None
    memory: GuardMemory = BLANK
    plan: repair.Plan | None = None
    held: bool = False
    """Whether its Release keeps its current chart and values, or still changes to the composed ones."""


def compose_platform(platform: Platform, observed: Observed, seed: Seed, now: datetime) -> Composed:
    """Return everything that the platform object means now.

    A foreign namespace or Release with one of the platform's names composes nothing and changes nothing.
    """
    memory = KeyMemory.read(platform.rotation)
    if refused := rotation.lowered(platform.spec.keys.generation, memory, seed.lowest(PLATFORM_OWNER)):
        return refused
    turn = _turn(platform, observed, seed, memory, now)
    parts = _parts(platform, observed, seed, now, turn.keys)
    guarded = _guarded(parts)
    requirements = {**guard.questions(guarded), **_questions(platform, parts)}
    if guard.unanswered(guarded, observed.required):
        return Composed(fatal="looking for namespaces of the same names", requirements=requirements)
    if strangers := guard.foreign(guarded, observed.required, platform.uid):
        return replace(guard.refused(strangers), requirements=requirements)
    composed = _composed(platform, parts, observed, seed, now)
    ttl = min(composed.ttl_seconds, turn.again or SETTLED_SECONDS)
    status = {**composed.status, "keys": turn.status}
    return replace(composed, requirements=requirements, status=status, ttl_seconds=ttl)


def everything(platform: Platform, seed: Seed) -> list[Obj]:
    """Return all objects of the platform's parts as if nothing blocked them; rights must cover these."""
    # Without observed objects nothing depends on the time.
    parts = _parts(platform, Observed(), seed, datetime.fromtimestamp(0, UTC), FIRST)
    return [obj for part in parts for obj in part.objects.values()]


def _turn(
    platform: Platform, observed: Observed, seed: Seed, memory: KeyMemory, now: datetime
) -> rotation.Plan:
    wanted = [part for part in platform_components().values() if platform.wants(part)]
    facts = platform.facts
    parts = [(part, Wish(platform.detail(part), facts, seed, observed)) for part in wanted]
    keys = platform.spec.keys
    lowest = seed.lowest(PLATFORM_OWNER)
    return rotation.plan(
        keys.generation, keys.time, memory, rotation.Parts(parts, observed), now, lowest=lowest
    )


def _questions(platform: Platform, parts: list[Part]) -> dict[str, Requirement]:
    facts = platform.facts
    kinds = [kind for part in parts for kind in (*part.component.kinds_on(facts), *brought(part.component))]
    own = {
        f"{part.component.name}/{name}": requirement
        for part in parts
        for name, requirement in part.component.requires(part.wish).items()
    }
    looked_at = [part.release for part in parts if part.release]
    return {**gates.questions(kinds), **own, **releases.questions(looked_at, repaired=platform.repairs)}


def brought(component: AnyPlatformComponent) -> tuple[Kind, ...]:
    """Return the kinds to ask for because a chart defines them or makes objects of them."""
    return (*component.serves, *component.custom) if isinstance(component, ReleaseComponent) else ()


def _parts(platform: Platform, observed: Observed, seed: Seed, now: datetime, keys: Keys) -> list[Part]:
    found: dict[str, Part] = {}
    wanted = {name: part for name, part in platform_components().items() if platform.wants(part)}
    for name, component in in_order(wanted, lambda part: (*part.needs, *part.after)):
        wish = Wish(
            detail=platform.detail(component), platform=platform.facts, seed=seed, observed=observed, keys=keys
        )  # fmt: skip
        if isinstance(component, ReleaseComponent):
            found[name] = _release_part(platform, component, wish, found, now)
        else:
            found[name] = _part(component, wish, found)
    if PROVIDER in found:
        found[PROVIDER] = _with_patches(platform, found, observed)
    return list(found.values())


def _part(component: AnyPlatformComponent, wish: Wish[Any], before: Mapping[str, Part]) -> Part:
    named = images.named(component.image, wish.platform)
    served = gates.kinds_served(wish.observed, component.kinds_on(wish.platform))
    may = _first(named, served, _after(component, before))
    made = component.objects(images.with_some(wish, component.image))
    if not named:
        made = {
            name: images.keeping(obj, wish.observed.resources.get(name) or {}) for name, obj in made.items()
        }
    # The readiness of other parts is checked once: later the part is as ready as its own objects are.
    exists = all(name in wish.observed.resources for name in made)
    ready = component.ready(wish, made) if may or (exists and named) else may
    return Part(component, wish, made, may, ready)


def _release_part(
    platform: Platform,
    component: ReleaseComponent[Any],
    wish: Wish[Any],
    before: Mapping[str, Part],
    now: datetime,
) -> Part:
    release = Release(component, wish.observed, GuardMemory.read(platform.guarded.get(component.name) or {}))
    plan = release.guarded(now) if platform.repairs else None
    off = repair.off(release.memory, deployed=release.state == repair.DEPLOYED)
    guarded = plan.memory if plan else release.memory if platform.repairs else off
    memory = guarded.but(brought=release.brought(repaired=platform.repairs))
    charts = platform.charts
    objects = component.objects(wish)
    after = _after(component, before)
    wanted = releases.composed(release, wish, memory, charts)
    # Values may depend on earlier parts. So an existing Release changes only when all earlier parts are ready.
    keeps = not after or any(before[name].held for name in component.after if name in before)
    moving = releases.moving(release, wanted)
    objects[release.resource] = releases.held(release, wanted) if keeps and moving else wanted
    if platform.repairs and release.lost and not releases.restored(release):
        objects[releases.restorer(component.name)] = releases.restoring(release, objects[release.resource])
    objects[f"{component.name}-usage"] = releases.keeping(release, wish.labels(component.name))
    may = _first(
        _has_chart(component, charts),
        gates.kinds_served(wish.observed, component.kinds_on(wish.platform)),
        after,
        _has_namespace(component, {**objects, **_made(before)}, wish.observed),
        READY
        if releases.stored(wish.observed, component.name, charts)
        else waits("its patches are not stored yet", actor="the control plane"),
    )
    # Foreign fields differ from ours only while no change of ours is in progress.
    judged = release.live if moving and release.live else wanted
    ready = releases.ready(release, memory, judged, repaired=platform.repairs) if may or release.live else may
    if ready and moving:
        ready = replace(_changing(component, after, before), serves=True)
    return Part(component, wish, objects, may, ready, release, memory, plan, held=moving)


def _changing(component: ReleaseComponent[Any], after: Ready, before: Mapping[str, Part]) -> Ready:
    """Return why a running Release does not yet have the composed chart and values."""
    if not after:
        return after
    first = next((name for name in component.after if name in before and before[name].held), "")
    said = f"{_WAITS}{first}: " if first else ""
    return waits(f"{said}Release {first or component.name} is being changed", PROVIDER)


def _first(*answers: Ready) -> Ready:
    return next((answer for answer in answers if not answer), READY)


def _made(parts: Mapping[str, Part]) -> dict[str, Obj]:
    return {name: obj for part in parts.values() for name, obj in part.objects.items()}


def _after(component: AnyPlatformComponent, before: Mapping[str, Part]) -> Ready:
    """Tell whether all earlier parts are ready; if not, what the first of them waits for."""
    for name in component.after:
        if name in before and not (before[name].ready or before[name].ready.serves):
            other = before[name].ready
            return (
                other
                if other.reason.startswith(_WAITS)
                else waits(f"{_WAITS}{name}: {other.reason}", other.actor)
            )
    return READY


def _has_chart(component: ReleaseComponent[Any], charts: Charts) -> Ready:
    if component.chart.repository or charts.own or charts.repository:
        return READY
    missing = f"no registry is known for the chart {component.chart.name}"
    return waits(f"ChartMissing: {missing}; set spec.charts.own", actor="the platform engineer")


def _has_namespace(component: ReleaseComponent[Any], made: Mapping[str, Obj], observed: Observed) -> Ready:
    """Tell whether the namespace exists. Only Vellum makes it, so that it enforces Pod Security from the start."""
    for name, obj in made.items():
        if obj["kind"] == "Namespace" and obj["metadata"]["name"] == component.namespace:
            active, reason = observed.health(name, f"Namespace {component.namespace}")
            return READY if active else waits(reason, actor="the control plane")
    return READY


def _with_patches(platform: Platform, parts: Mapping[str, Part], observed: Observed) -> Part:
    """Add the ConfigMap to which Releases refer to the provider's part, once the guard has decided for all of them."""
    part = parts[PROVIDER]
    labels = part.wish.labels(PROVIDER)
    pairs = [(one.release, one.memory) for one in parts.values() if one.release]
    name = f"{PROVIDER}-patches"
    return replace(part, objects={name: releases.patches(platform.charts, pairs, observed, labels)})


def _guarded(parts: list[Part]) -> dict[str, Requirement]:
    """Return every namespace and Release of the platform: an adopted one would be destroyed with the platform."""
    return {
        name: Requirement(obj["apiVersion"], obj["kind"], obj["metadata"]["name"])
        for part in parts
        for name, obj in part.objects.items()
        if obj["kind"] == "Namespace"
        # A kind that is not served cannot be looked up, and its objects cannot exist.
        or (obj["kind"] == RELEASE.kind and gates.served(part.wish.observed, RELEASE))
    }


def _composed(
    platform: Platform, parts: list[Part], observed: Observed, seed: Seed, now: datetime
) -> Composed:
    made = {
        name: obj for part in parts for name, obj in part.objects.items() if _may(part, obj, name, observed)
    }
    objects = gates.after_their_namespaces(made, observed)
    missing = "; ".join(f"{part.component.name}: {part.ready.reason}" for part in parts if not part.ready)
    ready = not missing
    return Composed(
        objects={name: Desired(obj, observed.health(name, name)[0]) for name, obj in objects.items()},
        conditions=(parts_ready() if ready else not_ready("Creating", missing),),
        events=_events(parts),
        status=_status(platform, parts, observed, seed, now),
        ready=ready,
        ttl_seconds=min(
            [SETTLED_SECONDS if ready else WAITING_SECONDS, *(part.plan.again for part in parts if part.plan)]
        ),
    )


def _may(part: Part, obj: Obj, name: str, observed: Observed) -> bool:
    """Tell whether the object may be made: a waiting part makes only core kinds, and existing objects stay."""
    kinds = {(kind.api_version, kind.kind) for kind in part.component.kinds_on(part.wish.platform)}
    return bool(part.may) or name in observed.resources or (obj["apiVersion"], obj["kind"]) not in kinds


def _events(parts: list[Part]) -> tuple[Event, ...]:
    """Report every repair when it begins, when it is done, and when it is given up."""
    told: list[Event] = []
    for part in parts:
        if part.plan is None or part.release is None:
            continue
        before, now, name = part.release.memory, part.memory, part.component.name
        told += [Event("Normal", "Repaired", str(receipt)) for receipt in part.plan.receipts]
        if now.repairs > before.repairs:
            told.append(Event("Warning", "Repairing", f"{name}: {_faults(now)}; Helm upgrades it once"))
        if now.phase == repair.CONTENDED != before.phase:
            told.append(
                Event(
                    "Warning",
                    "Contended",
                    f"{name}: {_faults(now)}; repairs do not help, so Vellum stops them for now",
                )
            )
    return tuple(told)


def _faults(memory: GuardMemory) -> str:
    return ", ".join(f"{name} is {fault}" for name, fault in sorted(memory.faults.items()))


def _status(platform: Platform, parts: list[Part], observed: Observed, seed: Seed, now: datetime) -> Obj:
    status: Obj = {
        "components": [_said(part, platform.said.get(part.component.name) or {}, now) for part in parts],
        "artifactsBucket": platform.spec.artifacts.bucket,
        "objectStore": platform.spec.objectStore.backend,
        "profile": platform.spec.profile,
        "seedFingerprint": seed.fingerprint,
    }
    if memories := {part.component.name: part.memory.as_status() for part in parts if part.release}:
        status["guard"] = memories
    new = [receipt for part in parts if part.plan for receipt in part.plan.receipts]
    if receipts := with_receipts(new, platform.receipts):
        status["receipts"] = receipts
    if url := _gateway_url(observed):
        status["endpoints"] = {"gateway": url}
    return status


def _said(part: Part, before: Mapping[str, Any], now: datetime) -> Obj:
    """Return the part's entry in the status, with the time since which it is ready or waits."""
    same = before.get("ready") == bool(part.ready) and "since" in before
    since = before["since"] if same else stamp(now)
    said: Obj = {"name": part.component.name, "ready": bool(part.ready), "since": since}
    if not part.ready:
        said |= {"reason": part.ready.reason, "actor": part.ready.actor}
    if part.ready.serves:
        said["serves"] = True
    if part.release:
        said |= {"version": part.release.component.chart.version, "revision": part.release.revision}
        if watched := len(part.release.rendered) if part.plan else 0:
            said["watched"] = watched
    if part.memory.repairs and part.memory.last:
        said |= {"repairs": part.memory.repairs, "lastRepair": part.memory.last.at}
    return said


def _gateway_url(observed: Observed) -> str:
    gateway = observed.resources.get("gateway")
    addresses = ((gateway or {}).get("status") or {}).get("addresses") or ()
    if not gateway or not addresses:
        return ""
    return f"http://{addresses[0]['value']}:{gateway['spec']['listeners'][0]['port']}"
