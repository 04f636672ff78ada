"""Creates stores, buckets and keys from their objects."""

from __future__ import annotations

from vellum.kube.objects import Kind, Obj
from vellum.model.component import Spec, Wish
from vellum.model.release import Chart, Image, ReleaseComponent
from vellum.model.team import STORAGE_NAMESPACE
from vellum.objectstore.seaweed import API


class SeaweedfsOperatorComponent(ReleaseComponent[Spec]):
    """Creates stores, buckets and keys from their objects."""

    name = "seaweedfs-operator"
    summary = "Creates stores, buckets and keys from their objects"
    backends = ("seaweedfs",)
    chart = Chart("https://seaweedfs.github.io/seaweedfs-operator/", "seaweedfs-operator", "0.1.39")
    images = (Image("docker.io/chrislusf/seaweedfs-operator:1.0.36"),)
    namespace = STORAGE_NAMESPACE
    after = ("cert-manager",)
    serves = (Kind(API, "Seaweed"),)
    custom = (Kind("cert-manager.io/v1", "Certificate"), Kind("cert-manager.io/v1", "Issuer"))

    def values(self, wish: Wish[Spec]) -> Obj:
        """Return the chart's values."""
        del wish
        return {
            # With cert-manager the chart does not need two hook Jobs with third-party images.
            "webhook": {"certManager": {"enabled": True}},
            "grafanaDashboard": {"enabled": False},
            "podSecurityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        }


component = SeaweedfsOperatorComponent()
