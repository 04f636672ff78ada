"""The namespace of every team's Qdrant and its volume, so that vectors outlive a team's namespace."""

from __future__ import annotations

from vellum.kube.objects import Obj, make
from vellum.model.component import PlatformComponent, Spec, Wish
from vellum.model.team import VECTORS_NAMESPACE


class VectorStorageComponent(PlatformComponent[Spec]):
    """Namespace ``vellum-vectors``, closed by default: each team's component opens its own access."""

    name = "vector-storage"
    summary = "The namespace that holds every team's vectors"

    def objects(self, wish: Wish[Spec]) -> dict[str, Obj]:
        """Return the namespace and its default deny."""
        labels = wish.labels(self.name)
        deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
        return {
            "vector-storage-namespace": make("v1", "Namespace", VECTORS_NAMESPACE, labels={**labels, **restricted}),
            "vector-storage-network": make(
                "networking.k8s.io/v1", "NetworkPolicy", "default-deny", VECTORS_NAMESPACE, labels=labels, spec=deny
            ),
        }


component = VectorStorageComponent()
