"""Decide whether a release is ready: Helm deployed it, all its objects are live and run, its kinds are served. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from vellum.compose import prerequisites
from vellum.compose.helm import diff, guard
from vellum.compose.helm.desired import restorer
from vellum.compose.helm.observe import UNREADABLE, Release
from vellum.compose.helm.records import ABSENT, DEPLOYED, FAILED
from vellum.kube.health import health
from vellum.kube.objects import Obj, condition, current, status_of
from vellum.model.release import PROVIDER
from vellum.model.repair import GuardMemory
from vellum.model.state import READY, Observed, Ready, waits


def ready(release: Release, memory: GuardMemory, wanted: Obj, observed: Observed, *, repaired: bool) -> Ready:
    """Return whether the release is ready, and if not, why and who acts next.

    ``memory`` is the guard's after this pass. Fields of the live Release that ``wanted`` lacks are foreign.
    """
    live = release.live
    if live is None:
        return waits(f"Release {release.name} is not created yet", actor="the control plane")
    synced = current(live, "Synced") or {}
    if synced.get("status") == "False" and release.state != FAILED:
        # A failure before Helm started is not a fault that the guard could repair.
        return waits(f"Release {release.name}: {synced.get('message')}", actor="the platform engineer")
    if repaired and (trouble := _trouble(release, memory, observed)) is not None:
        return trouble
    is_ready, reason = health(live, release.resource)
    if not is_ready:
        return waits(reason, actor=PROVIDER)
    if repaired and (waiting := release.starting()):
        return waits(waiting, actor="Kubernetes")
    served = prerequisites.kinds_served(observed, release.component.serves)
    return _as_composed(release.name, live, wanted) if served else served


def _as_composed(name: str, live: Obj, wanted: Obj) -> Ready:
    """Tell whether the Release has only composed fields; a Release with more still serves."""
    if not (added := diff.foreign(live, wanted)):
        return READY
    fields = f"fields that Vellum did not compose: {diff.listed(added)}; {diff.removal(name, added)}"
    return Ready(ready=False, reason=f"Release {name} has {fields}", actor="the platform engineer", serves=True)


def _trouble(release: Release, memory: GuardMemory, observed: Observed) -> Ready | None:
    if not release.revision:
        return None
    gives_up = bool(memory.faults) and memory.phase == guard.CONTENDED
    if release.state == ABSENT:
        return waits(f"Helm's record of {release.name} is gone; it is installed again", actor=PROVIDER)
    if release.state == FAILED:
        actor = "the platform engineer" if gives_up else "the release guard"
        return waits(_failure(release, memory), actor)
    if release.state == UNREADABLE:
        return waits(f"Helm's record of {release.name} cannot be read", actor="the platform engineer")
    if release.lost:
        return _lost(release, observed)
    if gives_up:
        return waits(_contended(memory), actor="the platform engineer")
    if memory.faults:
        return waits(sentence(memory.faults), actor="the release guard")
    if release.state != DEPLOYED:
        return waits(_at_work(release), actor=PROVIDER)
    return None


def _failure(release: Release, memory: GuardMemory) -> str:
    live = release.live or {"metadata": {}}
    described = (status_of(live).get("atProvider") or {}).get("releaseDescription")
    why = (current(live, "Synced") or {}).get("message") or described or "Helm does not report why"
    return f"revision {release.revision} failed, {memory.tries} of {guard.RULES.tries} retries made: {why}"


def _lost(release: Release, observed: Observed) -> Ready:
    """Say that kinds are missing that no upgrade makes, and what makes them, or keeps them from being made."""
    missing = f"{', '.join(map(str, release.lost))} is missing, and Helm makes it only when it installs"
    second = observed.resources.get(restorer(release.name)) or {}
    synced = condition(second, "Synced") or {}
    if synced.get("status") != "False":
        return waits(f"{missing}: Release {restorer(release.name)} installs it", PROVIDER)
    # Without its record Helm installs again.
    command = f"kubectl delete secret -n {release.component.namespace} -l owner=helm,name={release.name}"
    return waits(f"{missing}: {synced.get('message')}; {command}", actor="the platform engineer")


def _contended(memory: GuardMemory) -> str:
    faults = sentence(memory.faults)
    if memory.step == guard.HELD:
        return f"Contended: {faults}; Helm failed to write it back {memory.tries} times"
    if memory.tries < guard.RULES.tries:
        return f"Contended: {faults}; it was repaired {len(memory.recent)} times within an hour"
    return f"Contended: {faults}; {memory.tries} repairs did not last: another actor undoes them"


def sentence(faults: Mapping[str, str]) -> str:
    """Return the faults in words."""
    return ", ".join(f"{name} is {fault}" for name, fault in sorted(faults.items()))


def _at_work(release: Release) -> str:
    """Return the message while Helm works, with a command if nothing else can end the wait.

    provider-helm 1.3.0 frees an upgrade during which it was ended, but never a rollback. It frees an installation only
    by uninstalling everything, which is forbidden if the release existed before.
    """
    name, namespace = release.name, release.component.namespace
    ways_out = {
        "pending-rollback": f"helm rollback {name} -n {namespace}",
        "pending-install": f"kubectl delete secret sh.helm.release.v1.{name}.v1 -n {namespace}",
    }
    way_out = ways_out.get(release.state)
    return f"Helm is at work: {release.state}" + (f"; if it stays so: {way_out}" if way_out else "")
