"""The namespace controller of kube-controller-manager: makes namespaces Active and empties them before they go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from vellum.controlplane.store import SqliteStore
from vellum.kube.objects import Key, Kind, Obj, make


class NamespaceController:
    """Does the work of kube-controller-manager's namespace controller."""

    name = "namespaces"
    kinds: Sequence[Kind] = (Kind("v1", "Namespace"),)

    def reconcile(self, store: SqliteStore, key: Key, now: datetime) -> float | None:
        """Set the phase; delete the contents of a namespace that is being deleted, then the namespace."""
        del now
        namespace = store.get(key)
        if namespace is None:
            return None
        uid = namespace["metadata"]["uid"]
        if "deletionTimestamp" not in namespace["metadata"]:
            store.patch_status(key, uid, {"phase": "Active"})
            return None
        store.patch_status(key, uid, {"phase": "Terminating"})
        contents = store.inside(key.name)
        with store.transaction(f"empty {key}"):
            for obj in contents:
                store.delete(Key.of(obj), uid=obj["metadata"]["uid"])
        if store.inside(key.name):
            return 0.2
        store.finish(key, uid=uid)
        return None


def api_services(kinds: Sequence[Kind]) -> list[Obj]:
    """Return an available APIService for each group that a laptop serves: compose requires them, as on a cluster."""
    names = set()
    for kind in kinds:
        group, _, version = kind.api_version.rpartition("/")
        names.add(f"{version}.{group}")
    status = {"conditions": [{"type": "Available", "status": "True", "reason": "Local"}]}
    return [make("apiregistration.k8s.io/v1", "APIService", name, status=status) for name in sorted(names)]
