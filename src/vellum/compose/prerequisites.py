"""The conditions under which an object may be composed: its kind is served, and its namespace is active. Pure.

Both matter on a cluster. Crossplane persists a reference to an object before it applies it, so an object of a kind
that is not served freezes the whole composite. Crossplane also stops at the first object that the API server refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vellum.kube.objects import Key, Kind, Obj, condition
from vellum.model.platform import PlatformFacts
from vellum.model.state import READY, Observed, Ready, Requirement, blocked, waits

PREFIX = "api/"


def questions(kinds: Iterable[Kind]) -> dict[str, Requirement]:
    """Return what to ask for the kinds of operators: an APIService, which shows that a group is served.

    The CRD itself is never asked for: InferenceService's schema nests 34 deep, and protobuf stops at 33 (measured).
    """
    names = sorted({_group_version(kind) for kind in kinds})
    return {f"{PREFIX}{name}": Requirement("apiregistration.k8s.io/v1", "APIService", name) for name in names}


def served(observed: Observed, kind: Kind) -> bool:
    """Tell whether the API server serves the kind, or its group and version if no more is known."""
    if observed.kinds is not None and not observed.kinds.get(f"{kind.api_version}/{kind.kind}"):
        return False
    service = observed.required.get(f"{PREFIX}{_group_version(kind)}") or {}
    return (condition(service, "Available") or {}).get("status") == "True"


def service_uid(observed: Observed, kind: Kind) -> str:
    """Return the uid of the APIService of the kind's group and version; empty while the kind is not served.

    After the last CRD of the group was deleted, the API server creates a new APIService for the next one.
    """
    if not served(observed, kind):
        return ""
    result = observed.required[f"{PREFIX}{_group_version(kind)}"] or {}
    return str(result["metadata"].get("uid") or "")


def kinds_served(observed: Observed, kinds: Iterable[Kind]) -> Ready:
    """Tell whether all the kinds are served; if not, which one is missing."""
    for kind in kinds:
        if not served(observed, kind):
            return waits(f"kind {kind.kind} ({kind.api_version}) is not served yet", actor="the platform")
    return READY


def platform_ready(names: Iterable[str], platform: PlatformFacts) -> Ready:
    """Tell whether the platform's parts that a team's component needs are ready; if not, which one is not, and why."""
    for name in names:
        if name in platform.waiting:
            return blocked(f"the platform's {name}", waits(platform.waiting[name], actor="the platform"))
    return READY


def first(*answers: Ready) -> Ready:
    """Return the first answer that is not ready."""
    return next((answer for answer in answers if not answer), READY)


def after_their_namespaces(made: Mapping[str, Obj], observed: Observed) -> dict[str, Obj]:
    """Return the objects without those whose namespace is composed here and not Active yet; existing objects stay."""
    closed = {
        obj["metadata"]["name"]
        for name, obj in made.items()
        if obj["kind"] == "Namespace" and not observed.health(name, name)[0]
    }
    return {
        name: obj for name, obj in made.items() if name in observed.resources or Key.of(obj).namespace not in closed
    }


def _group_version(kind: Kind) -> str:
    group, _, version = kind.api_version.rpartition("/")
    return f"{version}.{group}"
