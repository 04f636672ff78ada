"""The namespace for the keys to an external object store, which a platform engineer gives."""

from __future__ import annotations

from vellum.kube.objects import Obj, make
from vellum.model.component import PlatformComponent, Spec, Wish
from vellum.model.team import STORAGE_NAMESPACE


class ExternalStorageComponent(PlatformComponent[Spec]):
    """Namespace ``vellum-storage``, in which nothing runs: no team may read it, so a team cannot take another's key."""

    name = "external-storage"
    summary = "The namespace of the given keys to an external object store"
    profiles = ("light", "standard")
    backends = ("external",)

    def objects(self, wish: Wish[Spec]) -> dict[str, Obj]:
        """Return the namespace."""
        labels = {**wish.labels(self.name), "pod-security.kubernetes.io/enforce": "restricted"}
        return {"external-storage-namespace": make("v1", "Namespace", STORAGE_NAMESPACE, labels=labels)}


component = ExternalStorageComponent()
