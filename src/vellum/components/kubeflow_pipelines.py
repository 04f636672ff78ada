"""Kubeflow Pipelines, which starts on the platform's bucket."""

from __future__ import annotations

from vellum.kube.objects import Obj
from vellum.kube.s3 import STORE_SECRET
from vellum.model.component import PlatformWish, Spec
from vellum.model.release import Chart, ReleaseComponent
from vellum.model.team import KUBEFLOW_NAMESPACE


class KubeflowPipelinesComponent(ReleaseComponent[Spec]):
    """Kubeflow Pipelines, which starts on the platform's bucket."""

    name = "kubeflow-pipelines"
    summary = "Kubeflow Pipelines, which starts on the platform's bucket"
    spec = Spec
    chart = Chart("", "kubeflow-pipelines", "0.1.0")
    namespace = KUBEFLOW_NAMESPACE
    after = ("argo-workflows", "artifacts")

    def values(self, wish: PlatformWish[Spec]) -> Obj:
        """Return the chart's values."""
        return {
            "bucket": wish.platform.artifacts_bucket,
            "objectStore": {
                "endpoint": wish.platform.s3_endpoint,
                "region": wish.platform.region,
                "secret": {"name": STORE_SECRET, "accessKey": "accesskey", "secretKey": "secretkey"},
            },
        }


component = KubeflowPipelinesComponent()
