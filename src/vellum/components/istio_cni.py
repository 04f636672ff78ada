"""Istio's plugin on every node, in its own privileged namespace: it writes into the host's network."""

from __future__ import annotations

from vellum.kube.objects import Obj
from vellum.model.component import Spec, Wish
from vellum.model.release import Chart, Image, ReleaseComponent


class IstioCniComponent(ReleaseComponent[Spec]):
    """Istio's plugin on every node, so that no pod needs rights on the network."""

    name = "istio-cni"
    summary = "Istio's plugin on every node, so that no pod needs rights on the network"
    chart = Chart("https://istio-release.storage.googleapis.com/charts", "cni", "1.30.3")
    images = (Image("registry.istio.io/release/install-cni:1.30.3"),)
    namespace = "istio-cni"
    makes_namespace = True
    pod_security = "privileged"
    profiles = ("standard",)
    after = ("istiod",)

    def values(self, wish: Wish[Spec]) -> Obj:
        """Return the chart's values."""
        del wish
        return {"resources": {"requests": {"cpu": "50m", "memory": "100Mi"}}}


component = IstioCniComponent()
