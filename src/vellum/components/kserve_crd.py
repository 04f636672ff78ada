"""KServe's kinds in a separate release: they fill most of what a release may hold, and are deleted with it."""

from __future__ import annotations

from vellum.kube.objects import Kind
from vellum.model.component import Spec
from vellum.model.release import Chart, ReleaseComponent


class KserveCrdComponent(ReleaseComponent[Spec]):
    """KServe's kinds."""

    name = "kserve-crd"
    summary = "KServe's kinds"
    chart = Chart("oci://ghcr.io/kserve/charts", "kserve-crd", "v0.20.0")
    outlives = True
    namespace = "kserve"
    makes_namespace = True
    after = ("provider-helm", "istiod")
    serves = (
        Kind("serving.kserve.io/v1beta1", "InferenceService"),
        Kind("serving.kserve.io/v1alpha1", "ServingRuntime"),
    )


component = KserveCrdComponent()
