"""The pass over a claim: its parts, their permission, objects and readiness, and the binding. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from vellum.api.claim import Claim
from vellum.api.platform import Platform
from vellum.components import team_components
from vellum.compose import images, one_pass, prerequisites, rotation
from vellum.compose.one_pass import Part
from vellum.compose.order import in_order
from vellum.connect.binding import BINDING_SECRET
from vellum.kube.objects import Key, Obj, secret
from vellum.model.component import AnyTeamComponent, TeamWish
from vellum.model.keys import Seed
from vellum.model.rotation import FIRST, Keys, mark
from vellum.model.state import (
    READY,
    SIZE_KEPT,
    SIZES,
    Composed,
    Condition,
    Desired,
    Observed,
    Ready,
    blocked,
    undecided,
    waits,
)

Wishes = Mapping[str, TeamWish[Any]]


def compose_team(claim: Claim, platform: Platform | None, observed: Observed, seed: Seed, now: datetime) -> Composed:
    """Return everything that the claim means now.

    A claim that is being deleted composes nothing and changes nothing. So does a claim whose derived name is taken by
    a foreign namespace, bucket or Qdrant.
    """
    if claim.deleting:
        return undecided("Deleting", "the claim is being deleted")
    if platform is None:
        missing = "no KubeflowPlatform named kubeflow exists; a platform engineer creates it"
        return undecided("NoPlatform", missing)
    wanted, wishes = _wanted(claim), _wishes(claim, platform, observed, seed, FIRST)
    keyed = rotation.seen([(part, wishes[name]) for name, part in wanted.items()], observed, holders=("binding",))
    turn = rotation.turn(claim.spec.keys, claim.rotation, keyed, now, seed.lowest(claim.team.id))
    if isinstance(turn, Composed):
        return turn
    if turn.keys != FIRST:
        wishes = _wishes(claim, platform, observed, seed, turn.keys)
    parts = _parts(wanted, wishes)
    made = _kept(claim, wishes) | one_pass.made(parts)
    if parts["access"].may or "binding" in observed.resources:
        made["binding"] = _binding(parts, wishes)
    objects = one_pass.desired(made, observed)
    composed = one_pass.answered(
        objects, _missing(parts, objects), _status(claim, parts, wishes, seed), turn, conditions=_sizes(parts, wishes)
    )
    return one_pass.checked(composed, parts, observed, claim.uid)


def everything(claim: Claim, platform: Platform, seed: Seed) -> list[Obj]:
    """Return all objects of the claim's parts as if nothing blocked them; rights must cover these."""
    parts = _parts(_wanted(claim), _wishes(claim, platform, Observed(), seed, FIRST))
    return [obj for part in parts.values() for obj in part.objects.values()]


def kept_by_parts(claim: Claim, platform: Platform, seed: Seed) -> list[Obj]:
    """Return the objects that parts keep when they are turned off."""
    wishes = _wishes(claim, platform, Observed(), seed, FIRST)
    wanted = ((part, wishes[name]) for name, part in _wanted(claim).items())
    return list(_holding_data(wanted).values())


def _wanted(claim: Claim) -> dict[str, AnyTeamComponent]:
    return {name: part for name, part in team_components().items() if claim.wants(part)}


def _wishes(claim: Claim, platform: Platform, observed: Observed, seed: Seed, keys: Keys) -> dict[str, TeamWish[Any]]:
    # Built directly: `replace` costs four times as much, and this runs for every part in every pass.
    common: dict[str, Any] = {
        "team": claim.team,
        "size": claim.spec.size,
        "owner": claim.spec.owner,
        "cost_center": claim.spec.costCenter,
        "keep_data": claim.spec.deletionPolicy == "Retain",
        "platform": platform.facts,
        "seed": seed,
        "observed": observed,
        "keys": keys,
    }
    return {name: TeamWish(detail=claim.detail(part), **common) for name, part in team_components().items()}


def _parts(wanted: Mapping[str, AnyTeamComponent], wishes: Wishes) -> dict[str, Part]:
    policies = tuple(part.policy(wishes[name]) for name, part in wanted.items())
    parts: dict[str, Part] = {}
    for name, component in in_order(wanted, wishes["namespace"].observed.known):
        wish = replace(wishes[name], policies=policies)
        made = images.objects(component, wish)
        served = prerequisites.kinds_served(wish.observed, component.kinds_on(wish.platform))
        # A kind that is not served cannot be looked up, and its objects cannot exist.
        adopted = component.adoption(wish) if served else {}
        parts[name] = one_pass.part(component, wish, made, _may(component, wish, served, made, parts), adopted)
    return parts


def _may(
    component: AnyTeamComponent, wish: TeamWish[Any], served: Ready, made: Mapping[str, Obj], before: Mapping[str, Part]
) -> Ready:
    """Tell whether the component's objects may exist yet; if not, what they wait for."""
    # A running part continues when the operator that made it restarts.
    is_new = any(name not in wish.observed.resources for name in made)
    answer = prerequisites.first(
        images.named(component.image, wish.platform),
        served,
        prerequisites.platform_ready(component.after, wish.platform),
        prerequisites.platform_ready(component.operators if is_new else (), wish.platform),
    )
    if not answer:
        return answer
    if component.name != "namespace":
        ready, reason = wish.observed.health("namespace", f"Namespace {wish.team.namespace}")
        if not ready:
            return waits(reason, actor="the control plane")
    for need in component.needs:
        if need in before and not before[need].may:
            return blocked(need, before[need].may)
    return READY


def _kept(claim: Claim, wishes: Wishes) -> dict[str, Obj]:
    """Return the existing objects with data of parts that were turned off."""
    off = ((part, wishes[name]) for name, part in team_components().items() if not claim.wants(part))
    made = _holding_data(off)
    return {name: obj for name, obj in made.items() if name in wishes["namespace"].observed.resources}


def _holding_data(parts: Iterable[tuple[AnyTeamComponent, TeamWish[Any]]]) -> dict[str, Obj]:
    return {
        name: obj
        for part, wish in parts
        if part.keeps
        for name, obj in images.objects(part, wish).items()
        if name in part.keeps
    }


def _binding(parts: Mapping[str, Part], wishes: Wishes) -> Obj:
    """Return the binding's Secret; it has only the keys of services that answer."""
    values: dict[str, str] = {}
    for name, part in parts.items():
        if part.ready or part.ready.serves:
            values |= team_components()[name].binding(wishes[name])
    wish = wishes["namespace"]
    return secret(
        BINDING_SECRET, wish.team.namespace, values, labels=wish.labels("binding"), annotations=mark(wish.keys.using)
    )


def _missing(parts: Mapping[str, Part], objects: Mapping[str, Desired]) -> list[str]:
    if missing := one_pass.missing(parts):
        return missing
    if not objects["binding"].ready:
        return [f"binding: Secret {BINDING_SECRET} is not created yet"]
    # An object that a turned-off part keeps is not reported by any part.
    return [f"{Key.of(obj.obj)} is not ready" for obj in objects.values() if not obj.ready]


def _status(claim: Claim, parts: Mapping[str, Part], wishes: Wishes, seed: Seed) -> Obj:
    return {
        "team": claim.team.namespace,
        # The policy of bucket and volume from now on; an answer that is not applied keeps the earlier one.
        "deletionPolicy": claim.spec.deletionPolicy,
        "components": [_entry(part) for part in parts.values()],
        "endpoints": {
            kind: url for name in parts for kind, url in team_components()[name].endpoints(wishes[name]).items()
        },
        "seedFingerprint": seed.fingerprint,
    }


def _entry(part: Part) -> Obj:
    """Return the part's entry in the status."""
    entry: Obj = {"name": part.component.name, "ready": bool(part.ready)}
    texts = (("reason", part.ready.message), ("actor", part.ready.actor))
    return entry | {field: text for field, text in texts if text}


def _sizes(parts: Iterable[str], wishes: Wishes) -> tuple[Condition, ...]:
    """Return the condition with the sizes that the volumes do not have."""
    kept = [
        f"{name}: {part.keeps_size.format(size)}; write {part.block}.storage: {size}"
        for name in parts
        if (part := team_components()[name]) and (size := part.kept_size(wishes[name]))
    ]
    return (Condition(SIZES, "False", SIZE_KEPT, "; ".join(kept)),) if kept else ()
