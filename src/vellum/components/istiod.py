"""Istio's control plane."""

from __future__ import annotations

from vellum.kube.objects import Obj
from vellum.model.component import Spec, Wish
from vellum.model.release import Chart, Image, ReleaseComponent


class IstiodComponent(ReleaseComponent[Spec]):
    """Istio's control plane."""

    name = "istiod"
    summary = "Istio's control plane"
    chart = Chart("https://istio-release.storage.googleapis.com/charts", "istiod", "1.30.3")
    images = (
        Image("registry.istio.io/release/pilot:1.30.3"),
        Image("registry.istio.io/release/proxyv2:1.30.3", "injected"),
    )
    namespace = "istio-system"
    profiles = ("standard",)
    after = ("istio-base",)

    def values(self, wish: Wish[Spec]) -> Obj:
        """Return the chart's values."""
        del wish
        return {
            "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
            "autoscaleEnabled": False,
            "seccompProfile": {"type": "RuntimeDefault"},
            # Pods get their rules from the node's plugin, so that none of them needs NET_ADMIN.
            "cni": {"enabled": True},
            "global": {
                "proxy": {
                    "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
                    "seccompProfile": {"type": "RuntimeDefault"},
                }
            },
        }


component = IstiodComponent()
