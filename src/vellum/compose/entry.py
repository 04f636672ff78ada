"""Turn a control plane's objects into compose's typed arguments, and every doubt into a fatal answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from pydantic import ValidationError

from vellum.api import claim, platform
from vellum.api.messages import mistakes
from vellum.components import platform_components
from vellum.compose.platform import compose_platform
from vellum.compose.refused import refusals
from vellum.compose.team import compose_team
from vellum.kube.objects import Obj, condition, status_of
from vellum.model.keys import Seed
from vellum.model.state import PARTS_READY, SIZES, WATCHED, Composed, Condition, Event, Observed, Requirement, undecided

PLATFORM = Requirement(claim.API_VERSION, platform.KIND, platform.NAME)
ALARMS = frozenset(
    {"BucketChanged", "Invalid", "KeysLowered", "NotOurs", "ProfileChanged", "StoreChanged", "WrongSeed"}
)
"""Reasons that stay until a user acts."""


def team(composite: Obj, observed: Observed, seed: Seed, now: datetime) -> Composed:
    """Compose a stored claim; the platform is one of its requirements, the same in every pass."""
    out = refusals(composite, observed, now)
    composed = _team(composite, out.observed, seed, now)
    composed = replace(composed, requirements={**composed.requirements, "platform": PLATFORM})
    composed = _followed(composite, out.applied(composed, now))
    return _with_news(composite, _watched(composite, composed))


def _followed(composite: Obj, composed: Composed) -> Composed:
    """Reset the condition about sizes once they match: Crossplane keeps a condition until a new one of its type."""
    known = any(new.type == SIZES for new in composed.conditions)
    if composed.fatal or known or not condition(composite, SIZES):
        return composed
    followed = Condition(SIZES, "True", "AsWritten", "")
    return replace(composed, conditions=(*composed.conditions, followed))


def kubeflow(composite: Obj, observed: Observed, seed: Seed, now: datetime) -> Composed:
    """Compose the stored platform; a seed other than the first one changes nothing."""
    out = refusals(composite, observed, now)
    composed = out.applied(_kubeflow(composite, out.observed, seed, now), now)
    return _with_news(composite, _watched(composite, composed))


def _watched(composite: Obj, composed: Composed) -> Composed:
    """Say whose events opened Crossplane's circuit breaker: its own condition does not reach the claim."""
    crossplane = condition(composite, "Responsive") or {}
    watched = Condition(WATCHED, "True", "EveryEvent", "")
    if crossplane.get("status") == "False":
        message = (
            f"{crossplane.get('message')} Until they stop, changes are seen every 30 seconds at best. "
            f"A part that retries or two controllers that undo each other's work cause this."
        )
        watched = Condition(WATCHED, "False", str(crossplane.get("reason")), message)
    elif not condition(composite, WATCHED):
        return composed
    return replace(composed, conditions=(*composed.conditions, watched))


def _with_news(composite: Obj, composed: Composed) -> Composed:
    """Add an event for news: the composite's own status has what was last reported."""
    before = condition(composite, PARTS_READY) or {}
    news = [
        Event("Warning" if new.reason in ALARMS else "Normal", new.reason, new.message or "every part is ready")
        for new in composed.conditions
        if new.type == PARTS_READY and (new.reason, new.message) != (before.get("reason"), before.get("message", ""))
    ]
    return replace(composed, events=(*composed.events, *news))


def _team(composite: Obj, observed: Observed, seed: Seed, now: datetime) -> Composed:
    if "platform" not in observed.required:
        return Composed(fatal="looking for the platform")
    live = observed.required["platform"]
    if wrong := _wrong_seed(composite, seed) or _wrong_seed(live or {}, seed):
        return wrong
    if live and "seedFingerprint" not in status_of(live):
        # Its first status shows its first seed; before that, Vellum cannot know whether this seed gives the same keys.
        return undecided("NoPlatform", "the platform is not composed yet")
    try:
        place = platform.from_live(live) if live else None
        own = claim.from_live(composite)
        return _unchangeable(place) or compose_team(own, place, observed, seed, now)
    except ValidationError as error:
        return _invalid(claim.KIND, error)


def _kubeflow(composite: Obj, observed: Observed, seed: Seed, now: datetime) -> Composed:
    if wrong := _wrong_seed(composite, seed):
        return wrong
    try:
        place = platform.from_live(composite)
        return _unchangeable(place) or compose_platform(place, observed, seed, now)
    except ValidationError as error:
        return _invalid(platform.KIND, error)


def _wrong_seed(composite: Obj, seed: Seed) -> Composed | None:
    """Refuse a composite that began with another seed: every key would change."""
    status: Mapping[str, str] = status_of(composite)
    if status.get("seedFingerprint", seed.fingerprint) == seed.fingerprint:
        return None
    return undecided("WrongSeed", "the seed is not the one that every key was derived from; restore the seed")


def _unchangeable(place: platform.Platform | None) -> Composed | None:
    """Refuse a change of the platform that would destroy what teams use."""
    if place is None:
        return None
    return _other_profile(place) or _left_out(place) or _other_store(place) or _other_bucket(place)


def _other_profile(place: platform.Platform) -> Composed | None:
    """Refuse a profile that would make Helm uninstall parts in use, because the platform began with more."""
    began, now = place.status.profile, place.spec.profile
    if began in ("", now) or (began, now) == ("light", "standard"):
        return None
    lost = [part for part in platform_components().values() if began in part.profiles and now not in part.profiles]
    if (began, now) == ("standard", "light") and not any(place.status.has_begun(part.name) for part in lost):
        # A change that was refused before any installation is undone by writing the old value.
        return None
    return undecided(
        "ProfileChanged",
        f"the platform was installed as {began}, but its spec.profile is {now}, which would remove parts that are "
        f"in use; write {began}",
    )


def _left_out(place: platform.Platform) -> Composed | None:
    """Refuse to leave out an existing part: it would be deleted while teams use it."""
    name = next((name for name in place.left_out if place.status.has_begun(name)), "")
    if not name:
        return None
    switch = platform_components()[name].switch
    return undecided(
        "ProfileChanged",
        f"the platform has {name}, but its spec.{switch} is disabled, which would remove it; write enabled",
    )


def _other_store(place: platform.Platform) -> Composed | None:
    """Refuse another object store: every bucket would be deleted or out of reach."""
    began, now = place.status.store, place.spec.objectStore.backend
    if began in ("", now):
        return None
    return undecided(
        "StoreChanged",
        f"every bucket is in {began}, but the platform's spec.objectStore.backend is {now}; write {began}",
    )


def _other_bucket(place: platform.Platform) -> Composed | None:
    """Refuse another bucket for artifacts: composed objects keep their names, so the artifacts would be lost."""
    began, now = place.status.bucket, place.spec.artifacts.bucket
    if place.spec.objectStore.backend == "external" or began in ("", now):
        return None
    return undecided(
        "BucketChanged",
        f"the artifacts are in bucket {began}, but the platform's spec.artifacts.bucket is {now}; write {began}",
    )


def _invalid(kind: str, error: ValidationError) -> Composed:
    return undecided("Invalid", "; ".join(map(str, mistakes(kind, error, at=("spec",)))))
