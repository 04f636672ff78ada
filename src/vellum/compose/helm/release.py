"""One pass over one Helm release: its view, the guard's decision, the objects that follow, and its readiness. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from vellum.compose import prerequisites
from vellum.compose.helm import desired, guard, patches, readiness
from vellum.compose.helm.observe import AnyRelease, Release, observe, questions
from vellum.compose.helm.records import DEPLOYED
from vellum.kube.objects import Obj
from vellum.model.component import Wish
from vellum.model.release import PROVIDER, Charts
from vellum.model.repair import GuardMemory
from vellum.model.state import READY, Event, Observed, Ready, Requirement, blocked, waits


@dataclass(frozen=True, slots=True)
class Before:
    """The parts that come before a release."""

    ready: Ready
    """Whether all of them are ready."""
    changing: tuple[str, ...]
    """Those whose Release still changes to the composed chart and values."""
    objects: Mapping[str, Obj]
    """The objects of all parts that are composed before this one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one pass decided for a release."""

    release: Release
    before: GuardMemory
    memory: GuardMemory
    """The guard's memory after this pass."""
    plan: guard.Plan | None
    """The guard's plan; None while it is switched off or has nothing to guard."""
    objects: Mapping[str, Obj]
    may: Ready
    ready: Ready
    questions: Mapping[str, Requirement]
    """The objects that the next pass requires."""
    changing: bool
    """Whether the Release keeps its current chart and values, or still changes to the composed ones."""


def compose_release(  # noqa: PLR0913  # each is something else
    component: AnyRelease,
    wish: Wish[Any],
    memory: GuardMemory,
    charts: Charts,
    earlier: Before,
    *,
    now: datetime,
    repaired: bool,
) -> Outcome:
    """Return the outcome; ``memory`` is the guard's of the last pass, and ``repaired`` whether it repairs."""
    observed = wish.observed
    release = observe(component, observed, memory, repaired=repaired)
    look = _look(release, memory, observed)
    plan = guard.plan(component.name, memory, look, now) if repaired and release.revision else None
    off = guard.off(memory, deployed=release.state == DEPLOYED)
    decided = (plan.memory if plan else memory if repaired else off).but(brought=release.brought)
    wanted = desired.composed(release, wish, decided, charts)
    changing = desired.moving(release, wanted)
    # Values may depend on earlier parts. So an existing Release changes only when all earlier parts are ready.
    keeps = changing and (not earlier.ready or earlier.changing)
    objects = component.objects(wish)
    objects[release.resource] = desired.held(release, wanted) if keeps else wanted
    if repaired and release.lost and not desired.restored(release, observed):
        objects[desired.restorer(component.name)] = desired.restoring(release, objects[release.resource])
    objects[f"{component.name}-usage"] = desired.keeping(release, wish.labels(component.name))
    may = _may(component, wish, charts, earlier, objects)
    ready = may
    if may or release.live:
        # Foreign fields differ from ours only while no change of ours is in progress.
        judged = release.live if changing and release.live else wanted
        ready = readiness.ready(release, decided, judged, observed, repaired=repaired)
    if ready and changing:
        ready = replace(_changing(component, earlier), serves=True)
    return Outcome(release, memory, decided, plan, objects, may, ready, questions(release, repaired=repaired), changing)


def _may(component: AnyRelease, wish: Wish[Any], charts: Charts, earlier: Before, objects: Mapping[str, Obj]) -> Ready:
    """Tell whether the Release may be made; if not, what it waits for."""
    return prerequisites.first(
        _has_chart(component, charts),
        prerequisites.kinds_served(wish.observed, component.kinds_on(wish.platform)),
        earlier.ready,
        _has_namespace(component, {**objects, **earlier.objects}, wish.observed),
        _has_patches(component, charts, wish.observed),
    )


def _has_chart(component: AnyRelease, charts: Charts) -> Ready:
    if component.chart.repository or charts.own or charts.repository:
        return READY
    missing = f"no registry is known for the chart {component.chart.name}"
    return waits(f"ChartMissing: {missing}; set spec.charts.own", actor="the platform engineer")


def _has_namespace(component: AnyRelease, made: Mapping[str, Obj], observed: Observed) -> Ready:
    """Tell whether the namespace exists. Only Vellum makes it, so that it enforces Pod Security from the start."""
    for name, obj in made.items():
        if obj["kind"] == "Namespace" and obj["metadata"]["name"] == component.namespace:
            active, reason = observed.health(name, f"Namespace {component.namespace}")
            return READY if active else waits(reason, actor="the control plane")
    return READY


def _has_patches(component: AnyRelease, charts: Charts, observed: Observed) -> Ready:
    if component.name not in charts.patches or f"{component.name}.yaml" in patches.stored(observed):
        return READY
    return waits("its patches are not stored yet", actor="the control plane")


def _changing(component: AnyRelease, earlier: Before) -> Ready:
    """Return why a running Release does not yet have the composed chart and values."""
    if not earlier.ready:
        return earlier.ready
    if not earlier.changing:
        return waits(f"Release {component.name} is being changed", PROVIDER)
    name = earlier.changing[0]
    return blocked(name, waits(f"Release {name} is being changed", PROVIDER))


def events(outcome: Outcome) -> list[Event]:
    """Report every repair when it begins, when it is done, and when it is given up."""
    if outcome.plan is None:
        return []
    before, now, name = outcome.before, outcome.memory, outcome.release.name
    told = [Event("Normal", "Repaired", str(receipt)) for receipt in outcome.plan.receipts]
    faults = f"{name}: {readiness.sentence(now.faults)}"
    if now.repairs > before.repairs:
        told.append(Event("Warning", "Repairing", f"{faults}; Helm upgrades it once"))
    if now.phase == guard.CONTENDED != before.phase:
        told.append(Event("Warning", "Contended", f"{faults}; repairs do not help, so Vellum stops them for now"))
    return told


def _look(release: Release, memory: GuardMemory, observed: Observed) -> guard.Look:
    return guard.Look(
        record=release.state,
        revision=release.latest,
        faults=release.faults,
        patch=patches.patch_key(release),
        patch_stored=memory.patch in patches.stored(observed),
    )
