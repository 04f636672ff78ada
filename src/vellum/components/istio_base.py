"""Istio's kinds, which are installed before Istio runs."""

from __future__ import annotations

from vellum.kube.objects import Kind
from vellum.model.component import Spec
from vellum.model.release import Chart, ReleaseComponent


class IstioBaseComponent(ReleaseComponent[Spec]):
    """Istio's kinds, which are installed before Istio runs."""

    name = "istio-base"
    summary = "Istio's kinds, which are installed before Istio runs"
    chart = Chart("https://istio-release.storage.googleapis.com/charts", "base", "1.30.3")
    namespace = "istio-system"
    makes_namespace = True
    profiles = ("standard",)
    after = ("provider-helm",)
    serves = (Kind("networking.istio.io/v1", "VirtualService"),)


component = IstioBaseComponent()
