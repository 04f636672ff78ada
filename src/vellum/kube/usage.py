"""Crossplane's Usage, which refuses to delete an object while another exists. Pure.

Fields: crossplane v2.3.4, apis/protection/v1beta1. These facts decide the shape; its usage controller shows them, and
we measured them:

- A deleted composed Usage stays until its ``by`` is gone, so ``by`` is never the composite itself. A composite that is
    deleted in the foreground waits for the Usage, and the Usage would wait for the composite, for ever.
- The controller makes ``by`` a second owner. When the platform is deleted, the garbage collector only removes the
    platform's owner reference, and the Usage is deleted with ``by``. A claim's composite is deleted in the foreground;
    then the Usage is deleted up to 30 s later, at the controller's next poll. A new claim of the same name would adopt
    it in that time, and could not be deleted before it. So what a claim uses has no ``by``.
- A Usage looks for the protected object in its own namespace. A cluster-scoped object is found only if ``namespace``
    is present and empty. Without it the object gets its label, but its deletion is not refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vellum.kube.objects import Key, Obj, make

API = "protection.crossplane.io/v1beta1"
USAGE, CLUSTER_USAGE = "Usage", "ClusterUsage"


def usage(  # noqa: PLR0913  # what uses what, and why, has this many independent words
    name: str,
    namespace: str = "",
    *,
    of: Key,
    by: Key | None = None,
    reason: str,
    labels: Mapping[str, str],
    replay: bool = False,
) -> Obj:
    """Return a Usage that keeps ``of`` while ``by`` exists, or while the Usage exists; ``by`` may be in the namespace.

    Args:
        name: of the Usage; Crossplane names it when it refuses.
        namespace: empty where both objects are cluster-scoped.
        of: the object that is not deleted.
        by: the object that uses it.
        reason: shown to users who list Usages; without ``by`` also to users whose deletion is refused.
        labels: of the Usage.
        replay: whether Crossplane repeats a refused deletion two seconds after ``by`` is gone.
    """
    used: dict[str, Any] = {"name": of.name}
    if of.namespace != namespace:
        used["namespace"] = of.namespace
    spec: Obj = {"of": {"apiVersion": of.api_version, "kind": of.kind, "resourceRef": used}, "reason": reason}
    if by:
        spec["by"] = {"apiVersion": by.api_version, "kind": by.kind, "resourceRef": {"name": by.name}}
    if replay:
        spec["replayDeletion"] = True
    kind = USAGE if namespace else CLUSTER_USAGE
    return make(API, kind, name, namespace, labels=labels, spec=spec)
