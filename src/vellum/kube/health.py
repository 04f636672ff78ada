"""Judge whether an observed object is ready: one answer per kind, with a reason. Pure; Crossplane has no such check.

Sources: the status of each kind as its controller writes it (KServe 0.20, notebooks 1.11, seaweedfs-operator 1.0).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vellum.kube.objects import Key, Obj, condition, current, status_of

Health = tuple[bool, str]
"""(ready, reason in words); the reason of a ready object is empty."""


def health(obj: Obj | None, name: str) -> Health:
    """Return whether an observed object is ready, and why not; ``name`` describes it while it does not exist."""
    if obj is None:
        return False, f"{name} is not created yet"
    if obj["metadata"].get("deletionTimestamp"):
        return False, f"{Key.of(obj)} is being deleted"
    check = _CHECKS.get(obj["kind"])
    if check is None:
        return True, ""
    ready, reason = check(status_of(obj), obj)
    return ready, "" if ready else f"{Key.of(obj)}: {reason}"


def _namespace(status: Mapping[str, Any], _: Obj) -> Health:
    phase = status.get("phase")
    return phase == "Active", f"phase {phase}" if phase else "not active yet"


def _replicas(status: Mapping[str, Any], obj: Obj) -> Health:
    wanted, ready = obj["spec"].get("replicas", 1), status.get("readyReplicas") or 0
    current = (status.get("observedGeneration") or 0) >= (obj["metadata"].get("generation") or 0)
    if ready >= wanted:
        return current, _not_seen(status, obj)
    return False, str(status.get("message") or f"{ready} of {wanted} replicas are ready")


def _not_seen(status: Mapping[str, Any], obj: Obj) -> str:
    """Return the reason that the status is of an earlier generation.

    Its conditions may show that generation as ready, so they do not explain the wait.
    """
    seen, newest = status.get("observedGeneration"), obj["metadata"].get("generation")
    known = f"its status is of {seen}" if seen else "its status names none"
    return f"its controller has not processed generation {newest} yet: {known}"


def _notebook(status: Mapping[str, Any], obj: Obj) -> Health:
    # A culled notebook has no conditions; its user asked for that, so this is not a fault.
    if "kubeflow-resource-stopped" in (obj["metadata"].get("annotations") or {}):
        return True, ""
    if (status.get("readyReplicas") or 0) >= 1:
        return True, ""
    return _reported(current(obj, "Ready"), "Ready", "no ready replica")


def _conditioned(
    kind: str, read: Callable[[Obj, str], Mapping[str, Any] | None] = current
) -> Callable[[Mapping[str, Any], Obj], Health]:
    def check(_: Mapping[str, Any], obj: Obj) -> Health:
        """Judge an object by its condition of the kind."""
        entry = read(obj, kind)
        if entry is not None and entry.get("status") == "True":
            return True, ""
        return _reported(entry, kind, "no status yet")

    return check


_OF_READINESS = ("Available", "Ready", "Running", "Succeeded")


def _reported(entry: Mapping[str, Any] | None, kind: str, otherwise: str) -> Health:
    if entry is None or entry.get("status") == "True":
        return False, otherwise
    # Some controllers keep the reason from the time when the condition was true.
    reason = "" if entry.get("reason") in _OF_READINESS else entry.get("reason")
    return False, str(entry.get("message") or reason or f"{kind} is {entry.get('status')}")


def _phase_ready(status: Mapping[str, Any], obj: Obj) -> Health:
    # Ready alone is wrong when the cluster reference disappears; phase and observedGeneration are right.
    phase, current = (status.get("phase"), status.get("observedGeneration") == obj["metadata"].get("generation"))
    if phase == "Ready":
        return current, _not_seen(status, obj)
    return False, str(status.get("message") or (f"phase {phase}" if phase else "no status yet"))


_CHECKS: Mapping[str, Callable[[Mapping[str, Any], Obj], Health]] = {
    "Namespace": _namespace,
    "StatefulSet": _replicas,
    "Deployment": _replicas,
    "Notebook": _notebook,
    # KServe writes the generation only when something else of the status changes, so an old one proves nothing.
    "InferenceService": _conditioned("Ready", read=condition),
    "Release": _conditioned("Ready"),
    "Seaweed": _conditioned("Ready"),
    "Gateway": _conditioned("Programmed"),
    "Bucket": _phase_ready,
    "S3Identity": _phase_ready,
    "S3Policy": _phase_ready,
    "S3PolicyBinding": _phase_ready,
    "S3Credentials": _phase_ready,
}
