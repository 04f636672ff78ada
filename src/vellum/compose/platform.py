"""The platform's pass: the parts of its profile, with their Helm releases, and its status. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from vellum.api.platform import Platform
from vellum.components import platform_components
from vellum.compose import images, one_pass, prerequisites, rotation
from vellum.compose.helm import patches, release
from vellum.compose.one_pass import Part
from vellum.compose.order import in_order
from vellum.kube.objects import Obj, stamp, status_of
from vellum.model.component import AnyPlatformComponent, Wish
from vellum.model.keys import PLATFORM_OWNER, Seed
from vellum.model.release import PROVIDER, RELEASE, ReleaseComponent
from vellum.model.repair import GuardMemory, with_receipts
from vellum.model.rotation import FIRST, Keys
from vellum.model.state import READY, Composed, Observed, Ready, Requirement, blocked

Parts = Mapping[str, Part]


def compose_platform(platform: Platform, observed: Observed, seed: Seed, now: datetime) -> Composed:
    """Return everything that the platform object means now.

    A foreign namespace or Release with one of the platform's names composes nothing and changes nothing.
    """
    keyed = rotation.seen([*_wishes(platform, observed, seed, FIRST).values()], observed)
    turn = rotation.turn(platform.spec.keys, platform.status.rotation, keyed, now, seed.lowest(PLATFORM_OWNER))
    if isinstance(turn, Composed):
        return turn
    parts = _parts(platform, observed, seed, now, turn.keys)
    releases = [part.helm for part in parts.values() if part.helm]
    composed = one_pass.answered(
        one_pass.desired(one_pass.made(parts), observed),
        one_pass.missing(parts),
        _status(platform, parts, observed, seed, now),
        turn,
        events=tuple(event for helm in releases for event in release.events(helm)),
        again=[helm.plan.again for helm in releases if helm.plan],
    )
    return one_pass.checked(composed, parts, observed, platform.uid)


def everything(platform: Platform, seed: Seed) -> list[Obj]:
    """Return all objects of the platform's parts as if nothing blocked them; rights must cover these."""
    # Without observed objects nothing depends on the time.
    parts = _parts(platform, Observed(), seed, datetime.fromtimestamp(0, UTC), FIRST)
    return [obj for part in parts.values() for obj in part.objects.values()]


def _wishes(
    platform: Platform, observed: Observed, seed: Seed, keys: Keys
) -> dict[str, tuple[AnyPlatformComponent, Wish[Any]]]:
    """Return the wanted parts, each with its wish."""
    facts = platform.facts
    return {
        name: (part, Wish(platform.detail(part), facts, seed, observed, keys))
        for name, part in platform_components().items()
        if platform.wants(part)
    }


def _parts(platform: Platform, observed: Observed, seed: Seed, now: datetime, keys: Keys) -> dict[str, Part]:
    parts: dict[str, Part] = {}
    wishes = _wishes(platform, observed, seed, keys)
    for name, component in in_order({name: part for name, (part, _) in wishes.items()}, observed.known):
        wish = wishes[name][1]
        if isinstance(component, ReleaseComponent):
            parts[name] = _release_part(platform, component, wish, parts, now)
        else:
            parts[name] = _part(component, wish, parts)
    if provider := parts.get(PROVIDER):
        # Once the guard has decided for all Releases, the provider's part gets the ConfigMap to which they refer.
        decided = [(part.helm.release, part.helm.memory) for part in parts.values() if part.helm]
        config = patches.config(platform.charts, decided, observed, provider.wish.labels(PROVIDER))
        parts[PROVIDER] = replace(provider, objects={f"{PROVIDER}-patches": config})
    return parts


def _part(component: AnyPlatformComponent, wish: Wish[Any], before: Parts) -> Part:
    made = images.objects(component, wish)
    may = prerequisites.first(
        images.named(component.image, wish.platform),
        prerequisites.kinds_served(wish.observed, component.kinds_on(wish.platform)),
        _after(component, before),
    )
    return one_pass.part(component, wish, made, may, _adoption(made, wish.observed))


def _release_part(
    platform: Platform, component: ReleaseComponent[Any], wish: Wish[Any], before: Parts, now: datetime
) -> Part:
    releases = {name: part.helm for name, part in before.items() if part.helm}
    earlier = release.Before(
        _after(component, before),
        tuple(name for name in component.after if name in releases and releases[name].changing),
        {name: obj for part in before.values() for name, obj in part.objects.items()},
    )
    memory = GuardMemory.read(platform.status.guard.get(component.name) or {})
    helm = release.compose_release(
        component, wish, memory, platform.charts, earlier, now=now, repaired=platform.repairs
    )
    adopted = _adoption(helm.objects, wish.observed)
    return Part(component, wish, helm.objects, helm.may, helm.ready, adopted, helm)


def _after(component: AnyPlatformComponent, before: Parts) -> Ready:
    """Tell whether all earlier parts are ready; if not, what the first of them waits for."""
    for name in component.after:
        if (part := before.get(name)) and not (part.ready or part.ready.serves):
            return blocked(name, part.ready)
    return READY


def _adoption(made: Mapping[str, Obj], observed: Observed) -> dict[str, Requirement]:
    """Return every namespace and Release of the part: an adopted one would be destroyed with the platform."""
    # A kind that is not served cannot be looked up, and its objects cannot exist.
    kinds = ("Namespace", *((RELEASE.kind,) if prerequisites.served(observed, RELEASE) else ()))
    return {
        name: Requirement(obj["apiVersion"], obj["kind"], obj["metadata"]["name"])
        for name, obj in made.items()
        if obj["kind"] in kinds
    }


def _status(platform: Platform, parts: Parts, observed: Observed, seed: Seed, now: datetime) -> Obj:
    status: Obj = {
        "components": [
            _entry(part, platform.status.entries.get(part.component.name) or {}, now) for part in parts.values()
        ],
        "artifactsBucket": platform.spec.artifacts.bucket,
        "objectStore": platform.spec.objectStore.backend,
        "profile": platform.spec.profile,
        "seedFingerprint": seed.fingerprint,
    }
    if memories := {part.component.name: part.helm.memory.as_status() for part in parts.values() if part.helm}:
        status["guard"] = memories
    plans = [part.helm.plan for part in parts.values() if part.helm and part.helm.plan]
    new = [receipt for plan in plans for receipt in plan.receipts]
    if receipts := with_receipts(new, platform.status.receipts):
        status["receipts"] = receipts
    if url := _gateway_url(observed):
        status["endpoints"] = {"gateway": url}
    return status


def _entry(part: Part, before: Mapping[str, Any], now: datetime) -> Obj:
    """Return the part's entry in the status, with the time since which it is ready or waits."""
    same = before.get("ready") == bool(part.ready) and "since" in before
    since = before["since"] if same else stamp(now)
    entry: Obj = {"name": part.component.name, "ready": bool(part.ready), "since": since}
    if not part.ready:
        entry |= {"reason": part.ready.message, "actor": part.ready.actor}
    if part.ready.serves:
        entry["serves"] = True
    if helm := part.helm:
        entry |= {"version": helm.release.component.chart.version, "revision": helm.release.revision}
        if helm.plan and helm.release.objects:
            entry["watched"] = len(helm.release.objects)
        if helm.memory.repairs and helm.memory.last:
            entry |= {"repairs": helm.memory.repairs, "lastRepair": helm.memory.last.at}
    return entry


def _gateway_url(observed: Observed) -> str:
    gateway = observed.resources.get("gateway")
    addresses = status_of(gateway).get("addresses") or ()
    if not gateway or not addresses:
        return ""
    return f"http://{addresses[0]['value']}:{gateway['spec']['listeners'][0]['port']}"
