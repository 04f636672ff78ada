"""Crossplane's Usage: what it refuses to delete as long as something else is there. Pure.

Fields: crossplane v2.3.4, apis/protection/v1beta1. What decides the shape, read in its usage controller and measured:

- A composed Usage that is deleted stays until what is ``by`` it is gone, so ``by`` is never the composite itself: one
  that is deleted in the foreground waits for the Usage, which would wait for the composite, for ever.
- The controller makes ``by`` a second owner. So when the platform goes, the garbage collector only takes the Usage out
  of its hands, and the Usage goes with ``by``, at once. Where the composite is deleted in the foreground, as a claim's
  is, it goes up to 30 s later, at the next poll of the controller, and meanwhile a claim of the same name takes it over
  and cannot go before it. So what a claim uses has no ``by``.
- A Usage looks for what it protects in its own namespace. One that is cluster-scoped is found only if ``namespace`` is
  there and empty; without it the object gets its label, and nothing refuses its deletion.
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
    """Return what keeps ``of`` as long as ``by`` is there, or the Usage itself; with a namespace, ``by`` may be in it.

    Args:
        name: of the Usage; Crossplane names it when it refuses.
        namespace: empty where both objects are cluster-scoped.
        of: what is not deleted.
        by: what uses it.
        reason: in words, for who lists Usages; without ``by`` also for who is refused.
        labels: of the Usage.
        replay: whether a deletion that was refused is done, unasked, two seconds after ``by`` is gone.
    """
    used: dict[str, Any] = {"name": of.name}
    if of.namespace != namespace:
        used["namespace"] = of.namespace
    spec: Obj = {
        "of": {"apiVersion": of.api_version, "kind": of.kind, "resourceRef": used},
        "reason": reason,
    }
    if by:
        spec["by"] = {"apiVersion": by.api_version, "kind": by.kind, "resourceRef": {"name": by.name}}
    if replay:
        spec["replayDeletion"] = True
    kind = USAGE if namespace else CLUSTER_USAGE
    return make(API, kind, name, namespace, labels=labels, spec=spec)
