"""One pass over a claim: its parts, their permission, objects and readiness, and the binding. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from vellum.api.claim import Claim
from vellum.api.platform import Platform
from vellum.components import team_components
from vellum.components.access import BINDING_SECRET
from vellum.compose import gates, guard, images, rotation
from vellum.compose.order import in_order
from vellum.kube.objects import Key, Obj, secret
from vellum.model.component import AnyTeamComponent, Kind, TeamWish
from vellum.model.keys import Seed
from vellum.model.rotation import FIRST, KeyMemory, Keys, mark
from vellum.model.state import (
    READY,
    SIZE_KEPT,
    SIZES,
    Composed,
    Condition,
    Desired,
    Observed,
    Ready,
    Requirement,
    not_ready,
    parts_ready,
    waits,
)

SETTLED_SECONDS, WAITING_SECONDS = 300, 15
"""Never 0: Crossplane's circuit breaker would drop the claim's events for minutes (measured)."""


@dataclass(frozen=True, slots=True)
class Part:
    """One wanted component, its wish and objects, and whether it may make them or what it waits for."""

    component: AnyTeamComponent
    wish: TeamWish[Any]
    kinds: tuple[Kind, ...]
    served: Ready
    made: Mapping[str, Obj]
    may: Ready


def compose_team(
    claim: Claim, platform: Platform | None, observed: Observed, seed: Seed, now: datetime
) -> Composed:
    """Return everything that the claim means now.

    A claim that is being deleted composes nothing and changes nothing. So does a claim whose derived name is taken by
    a foreign namespace, bucket or Qdrant.
    """
    if claim.deleting:
        return _waiting("Deleting", "the claim is being deleted")
    if platform is None:
        return _waiting(
            "NoPlatform", "no KubeflowPlatform named kubeflow exists; a platform engineer creates it"
        )
    memory = KeyMemory.read(claim.rotation)
    lowest = seed.lowest(claim.team.id)
    if refused := rotation.lowered(claim.spec.keys.generation, memory, lowest):
        return refused
    wishes = _wishes(claim, platform, observed, seed, FIRST)
    turn = rotation.plan(
        claim.spec.keys.generation,
        claim.spec.keys.time,
        memory,
        _keyed(claim, wishes, observed),
        now,
        lowest=lowest,
    )
    if turn.keys != FIRST:
        wishes = _wishes(claim, platform, observed, seed, turn.keys)
    parts = _parts(claim, wishes)
    guarded = _guarded(parts)
    requirements = {**guard.questions(guarded), **_questions(parts)}
    if guard.unanswered(guarded, observed.required):
        return replace(
            _waiting("Looking", "looking for objects of the same names"), requirements=requirements
        )
    if strangers := guard.foreign(guarded, observed.required, claim.uid):
        return replace(guard.refused(strangers), requirements=requirements)
    answers = {part.component.name: _answer(part) for part in parts}
    objects = _objects(parts, answers, _kept(claim, wishes), observed)
    return replace(_composed(claim, parts, answers, objects, turn), requirements=requirements)


def everything(claim: Claim, platform: Platform, seed: Seed) -> list[Obj]:
    """Return all objects of the claim's parts as if nothing blocked them; rights must cover these."""
    return [
        obj
        for part in _parts(claim, _wishes(claim, platform, Observed(), seed, FIRST))
        for obj in part.made.values()
    ]


def kept_by_parts(claim: Claim, platform: Platform, seed: Seed) -> list[Obj]:
    """Return the objects that parts keep when they are turned off."""
    return [
        obj
        for part in _parts(claim, _wishes(claim, platform, Observed(), seed, FIRST))
        for name, obj in part.made.items()
        if name in part.component.keeps
    ]


def _keyed(claim: Claim, wishes: Mapping[str, TeamWish[Any]], observed: Observed) -> rotation.Parts:
    parts = [(part, wishes[name]) for name, part in team_components().items() if claim.wants(part)]
    return rotation.Parts(parts, observed, holders=("binding",))


def _wishes(
    claim: Claim, platform: Platform, observed: Observed, seed: Seed, keys: Keys
) -> dict[str, TeamWish[Any]]:
    # Built directly: `replace` costs four times as much, and this runs for every part in every pass.
    common: dict[str, Any] = {
        "team": claim.team, "size": claim.spec.size, "owner": claim.spec.owner, "cost_center": claim.spec.costCenter,
        "keep_data": claim.spec.deletionPolicy == "Retain", "platform": platform.facts, "seed": seed,
        "observed": observed, "keys": keys,
    }  # fmt: skip
    return {name: TeamWish(detail=claim.detail(part), **common) for name, part in team_components().items()}


def _parts(claim: Claim, wishes: Mapping[str, TeamWish[Any]]) -> list[Part]:
    wanted = {name: part for name, part in team_components().items() if claim.wants(part)}
    policies = tuple(part.policy(wishes[name]) for name, part in wanted.items())
    found: list[Part] = []
    may: dict[str, Ready] = {}
    for name, component in in_order(wanted):
        wish = replace(wishes[name], policies=policies)
        made = component.objects(images.with_some(wish, component.image))
        kinds = component.kinds_on(wish.platform)
        served = gates.kinds_served(wish.observed, kinds)
        may[name] = _may(component, wish, served, made, may)
        found.append(Part(component, wish, kinds, served, made, may[name]))
    return found


def _may(
    component: AnyTeamComponent,
    wish: TeamWish[Any],
    served: Ready,
    made: Mapping[str, Obj],
    before: Mapping[str, Ready],
) -> Ready:
    """Tell whether the component's objects may exist yet; if not, what they wait for."""
    for answer in (
        images.named(component.image, wish.platform),
        served,
        gates.stands(component.after, wish.platform),
        gates.stands(component.operators, wish.platform) if _is_new(made, wish) else READY,
    ):
        if not answer:
            return answer
    if component.name != "namespace":
        ready, reason = wish.observed.health("namespace", f"Namespace {wish.team.namespace}")
        if not ready:
            return waits(reason, actor="the control plane")
    for need in component.needs:
        if need in before and not before[need]:
            return waits(f"waits for {need}: {before[need].reason}", actor=before[need].actor)
    return READY


def _is_new(made: Mapping[str, Obj], wish: TeamWish[Any]) -> bool:
    """Tell whether an object is still to be made. A running part continues when the operator that made it restarts."""
    return any(name not in wish.observed.resources for name in made)


def _questions(parts: list[Part]) -> dict[str, Requirement]:
    own = {
        f"{part.component.name}/{name}": requirement
        for part in parts
        for name, requirement in part.component.requires(part.wish).items()
    }
    return {**gates.questions([kind for part in parts for kind in part.kinds]), **own}


def _guarded(parts: list[Part]) -> dict[str, Requirement]:
    # A kind that is not served cannot be looked up, and its objects cannot exist.
    return {
        name: question
        for part in parts
        if part.served
        for name, question in part.component.adoption(part.wish).items()
    }


def _answer(part: Part) -> Ready:
    return part.component.ready(part.wish, part.made) if part.may else part.may


def _kept(claim: Claim, wishes: Mapping[str, TeamWish[Any]]) -> dict[str, Obj]:
    """Return the existing objects with data of parts that were turned off."""
    off = [(wishes[name], part) for name, part in team_components().items() if not claim.wants(part)]
    return {
        name: obj
        for wish, part in off
        if part.keeps
        for name, obj in part.objects(images.with_some(wish, part.image)).items()
        if name in part.keeps and name in wish.observed.resources
    }


def _objects(
    parts: list[Part], answers: Mapping[str, Ready], kept: Mapping[str, Obj], observed: Observed
) -> dict[str, Desired]:
    """Return the desired objects. Existing ones stay while their part is blocked: a smaller set is a delete order."""
    objects = dict(kept)
    for part in parts:
        if part.may:
            objects |= part.made
        else:
            objects |= {
                name: images.keeping(obj, live)
                for name, obj in part.made.items()
                if (live := observed.resources.get(name))
            }
    access = next(part for part in parts if part.component.name == "access")
    if access.may or "binding" in observed.resources:
        objects["binding"] = _binding(parts, answers)
    return {
        name: Desired(obj, observed.health(name, name)[0])
        for name, obj in gates.after_their_namespaces(objects, observed).items()
    }


def _binding(parts: list[Part], answers: Mapping[str, Ready]) -> Obj:
    """Return the binding's Secret; it has only the keys of services that answer."""
    values: dict[str, str] = {}
    for part in parts:
        if (answer := answers[part.component.name]) or answer.serves:
            values |= part.component.binding(part.wish)
    wish = parts[0].wish
    return secret(
        BINDING_SECRET, wish.team.namespace, values, labels=wish.labels("binding"), annotations=mark(wish.keys.using)
    )  # fmt: skip


def _composed(
    claim: Claim, parts: list[Part], answers: Mapping[str, Ready], objects: Mapping[str, Desired],
    turn: rotation.Plan,
) -> Composed:  # fmt: skip
    missing = [f"{name}: {answer.reason}" for name, answer in answers.items() if not answer]
    if not missing and not objects["binding"].ready:
        missing.append(f"binding: Secret {BINDING_SECRET} is not created yet")
    # An object that a turned-off part keeps is not reported by any part.
    missing = missing or [f"{Key.of(one.obj)} is not ready" for one in objects.values() if not one.ready]
    ready = not missing
    message = "; ".join(missing)
    return Composed(
        objects=objects,
        conditions=(parts_ready() if ready else not_ready("Creating", message), *_sizes(parts)),
        status={
            "team": claim.team.namespace,
            # The policy of bucket and volume from now on; an answer that is not applied keeps the earlier one.
            "deletionPolicy": claim.spec.deletionPolicy,
            "components": _components(answers),
            "endpoints": {
                name: url for part in parts for name, url in part.component.endpoints(part.wish).items()
            },
            "keys": turn.status,
            "seedFingerprint": parts[0].wish.seed.fingerprint,
        },
        ready=ready,
        ttl_seconds=min(SETTLED_SECONDS if ready else WAITING_SECONDS, turn.again or SETTLED_SECONDS),
    )


def _sizes(parts: list[Part]) -> tuple[Condition, ...]:
    """Return the condition with the sizes that the volumes do not have."""
    kept = [
        f"{part.component.name}: {part.component.keeps_size.format(size)}; write {part.component.block}.storage: {size}"
        for part in parts
        if (size := part.component.kept_size(part.wish))
    ]
    return (Condition(SIZES, "False", SIZE_KEPT, "; ".join(kept)),) if kept else ()


def _components(answers: Mapping[str, Ready]) -> list[Obj]:
    return [
        {"name": name, "ready": bool(answer)}
        | {word: said for word, said in (("reason", answer.reason), ("actor", answer.actor)) if said}
        for name, answer in answers.items()
    ]


def _waiting(reason: str, message: str) -> Composed:
    """Return an answer without a decision: the control plane keeps what exists."""
    return Composed(conditions=(not_ready(reason, message),), fatal=message)
