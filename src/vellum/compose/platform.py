"""The platform, in one pass: the parts of its profile, their objects, their readiness, and where it answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vellum.api.platform import Platform
from vellum.components import platform_components
from vellum.compose import gates, guard, images
from vellum.compose.order import in_order
from vellum.kube.health import health
from vellum.kube.objects import Obj
from vellum.model.component import AnyPlatformComponent, PlatformWish
from vellum.model.keys import Seed
from vellum.model.state import Composed, Desired, Observed, Ready, Requirement, not_ready, parts_ready

SETTLED_SECONDS, WAITING_SECONDS = 300, 15


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the profile: what it wants to make, and whether it may: if not, what it waits for."""

    component: AnyPlatformComponent
    wish: PlatformWish[Any]
    objects: Mapping[str, Obj]
    may: Ready


def compose_platform(platform: Platform, observed: Observed, seed: Seed) -> Composed:
    """Return everything that the platform object means now.

    A namespace of one of the platform's names that is not ours composes nothing and changes nothing.
    """
    parts = _parts(platform, observed, seed)
    guarded = _guarded(parts)
    kinds = [kind for part in parts for kind in part.component.kinds]
    requirements = {**guard.questions(guarded), **gates.questions(kinds)}
    if guard.unanswered(guarded, observed.required):
        return Composed(fatal="looking for namespaces of the same names", requirements=requirements)
    if strangers := guard.foreign(guarded, observed.required, platform.uid):
        return replace(guard.refused(strangers), requirements=requirements)
    return replace(_composed(platform, parts, observed, seed), requirements=requirements)


def everything(platform: Platform, seed: Seed) -> list[Obj]:
    """Return all that the platform's parts make once nothing keeps them from it: what rights must cover."""
    return [obj for part in _parts(platform, Observed(), seed) for obj in part.objects.values()]


def _parts(platform: Platform, observed: Observed, seed: Seed) -> list[Part]:
    found = []
    for _, component in in_order(
        {name: part for name, part in platform_components().items() if platform.wants(part)}
    ):
        wish = PlatformWish(
            detail=platform.detail(component), platform=platform.facts, seed=seed, observed=observed
        )
        named, served = (
            images.named(component.image, platform.facts),
            gates.kinds_served(observed, component.kinds),
        )
        made = component.objects(images.with_some(wish, component.image))
        kept = {name: images.keeping(obj, observed.resources.get(name) or {}) for name, obj in made.items()}
        found.append(Part(component, wish, made if named else kept, served if named else named))
    return found


def _guarded(parts: list[Part]) -> dict[str, Requirement]:
    """Every namespace of the platform: to adopt one would mean to destroy it with the platform."""
    return {
        name: Requirement("v1", "Namespace", obj["metadata"]["name"])
        for part in parts
        for name, obj in part.objects.items()
        if obj["kind"] == "Namespace"
    }


def _composed(platform: Platform, parts: list[Part], observed: Observed, seed: Seed) -> Composed:
    answers = {part.component.name: _answer(part) for part in parts}
    made = {
        name: obj for part in parts for name, obj in part.objects.items() if _may(part, obj, name, observed)
    }
    objects = gates.after_their_namespaces(made, observed)
    missing = "; ".join(f"{name}: {answer.reason}" for name, answer in answers.items() if not answer)
    ready = not missing
    return Composed(
        objects={
            name: Desired(obj, health(observed.resources.get(name), name)[0]) for name, obj in objects.items()
        },
        conditions=(parts_ready() if ready else not_ready("Creating", missing),),
        status=_status(platform, observed, answers, seed),
        ready=ready,
        ttl_seconds=SETTLED_SECONDS if ready else WAITING_SECONDS,
    )


def _may(part: Part, obj: Obj, name: str, observed: Observed) -> bool:
    """A part whose kinds are not served yet makes only what every API server knows; what exists stays desired."""
    kinds = {(kind.api_version, kind.kind) for kind in part.component.kinds}
    return bool(part.may) or name in observed.resources or (obj["apiVersion"], obj["kind"]) not in kinds


def _answer(part: Part) -> Ready:
    return part.component.ready(part.wish, part.objects) if part.may else part.may


def _status(platform: Platform, observed: Observed, answers: dict[str, Ready], seed: Seed) -> Obj:
    components = [
        {"name": name, "ready": bool(answer)}
        | ({} if answer else {"reason": answer.reason, "actor": answer.actor})
        for name, answer in answers.items()
    ]
    status: Obj = {
        "components": components,
        "profile": platform.spec.profile,
        "seedFingerprint": seed.fingerprint,
    }
    if url := _gateway_url(observed):
        status["endpoints"] = {"gateway": url}
    return status


def _gateway_url(observed: Observed) -> str:
    gateway = observed.resources.get("gateway")
    addresses = ((gateway or {}).get("status") or {}).get("addresses") or ()
    if not gateway or not addresses:
        return ""
    return f"http://{addresses[0]['value']}:{gateway['spec']['listeners'][0]['port']}"
