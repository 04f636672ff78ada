"""Certificates for the webhooks of the other operators."""

from __future__ import annotations

from vellum.kube.objects import Kind, Obj
from vellum.model.component import Spec, Wish
from vellum.model.release import Chart, Image, ReleaseComponent


def _requests(memory: str) -> Obj:
    return {"requests": {"cpu": "10m", "memory": memory}}


class CertManagerComponent(ReleaseComponent[Spec]):
    """Certificates for the webhooks of the other operators."""

    name = "cert-manager"
    summary = "Certificates for the webhooks of the other operators"
    chart = Chart("oci://quay.io/jetstack/charts", "cert-manager", "v1.21.1")
    images = (
        Image("quay.io/jetstack/cert-manager-controller:v1.21.1"),
        Image("quay.io/jetstack/cert-manager-cainjector:v1.21.1"),
        Image("quay.io/jetstack/cert-manager-webhook:v1.21.1"),
        Image("quay.io/jetstack/cert-manager-startupapicheck:v1.21.1", "hook"),
        Image("quay.io/jetstack/cert-manager-acmesolver:v1.21.1", "started"),
    )
    namespace = "cert-manager"
    makes_namespace = True
    profiles = ("light", "standard")
    after = ("provider-helm", "istiod")
    serves = (Kind("cert-manager.io/v1", "Certificate"),)

    def values(self, wish: Wish[Spec]) -> Obj:
        """Return the chart's values."""
        del wish
        return {
            "crds": {"enabled": True, "keep": True},
            "global": {"leaderElection": {"namespace": self.namespace}},
            "resources": _requests("64Mi"),
            "webhook": {"resources": _requests("32Mi")},
            "cainjector": {"resources": _requests("96Mi")},
            # A hook that waits until certificates can be made; its default of one minute is too short on a new cluster.
            "startupapicheck": {"timeout": "3m", "resources": _requests("32Mi")},
        }


component = CertManagerComponent()
