"""Servers for models of common kinds."""

from __future__ import annotations

from vellum.kube.objects import Kind, Obj
from vellum.model.component import Spec, Wish
from vellum.model.release import Chart, Image, ReleaseComponent

NOT_HERE = (
    "autogluonserver",
    "paddleserver",
    "pmmlserver",
    "predictiveserver",
    "tensorflow",
    "torchserve",
    "tritonserver",
    "vllmserver",
)
"""Runtimes with old images, the tag latest, or rare frameworks; a team can bring its own runtime for these.

The chart's key for Hugging Face on several nodes has no effect (0.20.0): that runtime follows the single-node one.
"""


class KserveRuntimesComponent(ReleaseComponent[Spec]):
    """Servers for models of common kinds."""

    name = "kserve-runtimes"
    summary = "Servers for models of common kinds"
    chart = Chart("oci://ghcr.io/kserve/charts", "kserve-runtime-configs", "v0.20.0")
    images = (
        Image("docker.io/kserve/sklearnserver:v0.20.0", "runtime"),
        Image("docker.io/kserve/xgbserver:v0.20.0", "runtime"),
        Image("docker.io/kserve/lgbserver:v0.20.0", "runtime"),
        Image("docker.io/kserve/huggingfaceserver:v0.20.0", "runtime"),
        Image("docker.io/kserve/huggingfaceserver:v0.20.0-gpu", "runtime"),
        Image("docker.io/seldonio/mlserver:1.5.0", "runtime"),
    )
    namespace = "kserve"
    after = ("kserve",)
    custom = (Kind("serving.kserve.io/v1alpha1", "ClusterServingRuntime"),)

    def values(self, wish: Wish[Spec]) -> Obj:
        """Return the chart's values."""
        del wish
        return {"kserve": {"servingruntime": {"enabled": True, **{name: {"disabled": True} for name in NOT_HERE}}}}


component = KserveRuntimesComponent()
