"""One pass over the parts of a claim or of the platform, the same for both. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vellum.compose import adoption, images, prerequisites, rotation
from vellum.compose.helm.release import Outcome
from vellum.kube.objects import Obj
from vellum.model.component import AnyComponent, Wish
from vellum.model.state import (
    Composed,
    Condition,
    Desired,
    Event,
    Observed,
    Ready,
    Requirement,
    not_ready,
    parts_ready,
    undecided,
)

SETTLED_SECONDS, WAITING_SECONDS = 300, 15
"""Never 0: Crossplane's circuit breaker would drop the composite's events for minutes (measured)."""


@dataclass(frozen=True, slots=True)
class Part:
    """One wanted component: its objects, whether it may make them or what it waits for, and whether it is ready."""

    component: AnyComponent
    wish: Wish[Any]
    objects: Mapping[str, Obj]
    may: Ready
    ready: Ready
    adoption: Mapping[str, Requirement] = field(default_factory=dict)
    """Objects that must be ours, or not exist, before anything is applied."""
    helm: Outcome | None = None

    def applies(self, name: str, obj: Obj) -> bool:
        """Tell whether the object is applied. Existing ones stay while the part waits: a smaller set deletes objects.

        A waiting part of the platform makes core kinds, such as its namespace.
        """
        if self.may or name in self.wish.observed.resources:
            return True
        kinds = self.component.kinds_on(self.wish.platform)
        is_core = (obj["apiVersion"], obj["kind"]) not in kinds
        return self.component.scope == "platform" and is_core


def part(
    component: AnyComponent, wish: Wish[Any], made: Mapping[str, Obj], may: Ready, adopted: Mapping[str, Requirement]
) -> Part:
    """Return the part with its readiness.

    Its objects decide its readiness once it may make them. For a part of the platform, they also do so once all of them
    exist.
    """
    exists = (
        component.scope == "platform"
        and images.named(component.image, wish.platform)
        and all(name in wish.observed.resources for name in made)
    )
    return Part(component, wish, made, may, component.ready(wish, made) if may or exists else may, adopted)


def missing(parts: Mapping[str, Part]) -> list[str]:
    """Return what each part that is not ready waits for."""
    return [f"{part.component.name}: {part.ready.message}" for part in parts.values() if not part.ready]


def made(parts: Mapping[str, Part]) -> dict[str, Obj]:
    """Return the objects that the parts may make, and those that stay."""
    return {name: obj for part in parts.values() for name, obj in part.objects.items() if part.applies(name, obj)}


def desired(made: Mapping[str, Obj], observed: Observed) -> dict[str, Desired]:
    """Return the objects to apply now, each with its observed readiness."""
    applied = prerequisites.after_their_namespaces(made, observed)
    return {name: Desired(obj, observed.health(name, name)[0]) for name, obj in applied.items()}


def answered(  # noqa: PLR0913  # each is something else
    objects: Mapping[str, Desired],
    waiting: Sequence[str],
    status: Obj,
    turn: rotation.Plan,
    *,
    conditions: tuple[Condition, ...] = (),
    events: tuple[Event, ...] = (),
    again: Sequence[float] = (),
) -> Composed:
    """Return the answer: ready unless something is ``waiting``, and due after the fewest seconds in ``again``."""
    first = not_ready("Creating", "; ".join(waiting)) if waiting else parts_ready()
    return Composed(
        objects=objects,
        conditions=(first, *conditions),
        events=events,
        status={**status, "keys": turn.status},
        ready=not waiting,
        ttl_seconds=min(WAITING_SECONDS if waiting else SETTLED_SECONDS, turn.again or SETTLED_SECONDS, *again),
    )


def checked(composed: Composed, parts: Mapping[str, Part], observed: Observed, uid: str) -> Composed:
    """Return the answer with its requirements; without objects while another owner may have one of its names."""
    adopted = {name: asked for part in parts.values() for name, asked in part.adoption.items()}
    requirements = {**adoption.questions(adopted), **_questions(parts)}
    if adoption.unanswered(adopted, observed.required):
        composed = undecided("Looking", "looking for objects of the same names")
    elif strangers := adoption.foreign(adopted, observed.required, uid):
        composed = adoption.refused(strangers)
    return replace(composed, requirements=requirements)


def _questions(parts: Mapping[str, Part]) -> dict[str, Requirement]:
    kinds = [kind for part in parts.values() for kind in part.component.kinds_asked(part.wish.platform)]
    questions = prerequisites.questions(kinds)
    for part in parts.values():
        name = part.component.name
        questions |= {f"{name}/{key}": asked for key, asked in part.component.requires(part.wish).items()}
        if part.helm:
            questions |= part.helm.questions
    return questions
