"""The entrance of the mesh."""

from __future__ import annotations

from vellum.kube.objects import Obj
from vellum.model.component import Spec, Wish
from vellum.model.release import Chart, ReleaseComponent


class IstioIngressGatewayComponent(ReleaseComponent[Spec]):
    """The entrance of the mesh."""

    name = "istio-ingressgateway"
    summary = "The entrance of the mesh"
    chart = Chart("https://istio-release.storage.googleapis.com/charts", "gateway", "1.30.3")
    namespace = "istio-system"
    profiles = ("standard",)
    after = ("istiod", "istio-cni")

    def values(self, wish: Wish[Spec]) -> Obj:
        """Return the chart's values."""
        del wish
        return {
            # Policies of Kubeflow name this account.
            "serviceAccount": {"name": "istio-ingressgateway-service-account"},
            "service": {"type": "ClusterIP"},
            "autoscaling": {"enabled": False},
            # The chart does not set a number by default, and Helm restores only what the chart sets.
            "replicaCount": 1,
            "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}},
            # Setting this replaces the chart's value, so the sysctl for binding port 80 is repeated.
            "securityContext": {
                "seccompProfile": {"type": "RuntimeDefault"},
                "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
            },
        }


component = IstioIngressGatewayComponent()
