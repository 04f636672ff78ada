"""The platform, in one pass: the parts of its profile, their objects, their readiness, and where it answers. Pure."""

from __future__ import annotations

from typing import Any

from vellum.api.platform import Platform
from vellum.components import platform_components
from vellum.compose.order import in_order
from vellum.kube.health import health
from vellum.kube.objects import Obj
from vellum.model.component import AnyPlatformComponent, PlatformWish
from vellum.model.keys import Seed
from vellum.model.state import Composed, Condition, Desired, Observed, Ready

SETTLED_SECONDS, WAITING_SECONDS = 300, 15


def compose_platform(platform: Platform, observed: Observed, seed: Seed) -> Composed:
    """Return everything that the platform object means now."""
    parts = in_order({name: part for name, part in platform_components().items() if platform.wants(part)})
    wishes = {name: _wish(platform, part, observed, seed) for name, part in parts}
    objects: dict[str, Obj] = {}
    answers: dict[str, Ready] = {}
    for name, part in parts:
        objects |= part.objects(wishes[name])
        answers[name] = part.ready(wishes[name])
    desired = {
        name: Desired(obj, health(observed.resources.get(name), name)[0]) for name, obj in objects.items()
    }
    missing = "; ".join(f"{name}: {answer.reason}" for name, answer in answers.items() if not answer)
    ready = not missing
    return Composed(
        objects=desired,
        conditions=(
            Condition("Ready", "True", "Available")
            if ready
            else Condition("Ready", "False", "Creating", missing),
        ),
        status=_status(platform, observed, answers, seed),
        ready=ready,
        ttl_seconds=SETTLED_SECONDS if ready else WAITING_SECONDS,
    )


def _wish(
    platform: Platform, part: AnyPlatformComponent, observed: Observed, seed: Seed
) -> PlatformWish[Any]:
    # The gateway's address decides what the Secrets say, so it is read from what is observed in this very pass.
    facts = platform.facts
    return PlatformWish(detail=platform.detail(part), platform=facts, seed=seed, observed=observed)


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
