"""Kubeflow Pipelines, which starts on the platform's bucket."""

from __future__ import annotations

from vellum import objectstore
from vellum.components import artifacts
from vellum.kube.objects import Kind, Obj
from vellum.model.component import Data, Spec, Wish
from vellum.model.release import Chart, ReleaseComponent
from vellum.model.team import KUBEFLOW_NAMESPACE
from vellum.objectstore.secret import STORE_SECRET


class KubeflowPipelinesComponent(ReleaseComponent[Spec]):
    """Kubeflow Pipelines, which starts on the platform's bucket."""

    name = "kubeflow-pipelines"
    summary = "Kubeflow Pipelines, which starts on the platform's bucket"
    chart = Chart("", "kubeflow-pipelines", "0.1.0")
    namespace = KUBEFLOW_NAMESPACE
    # In a mesh its pods get sidecars at creation, and those wait for the node's plugin.
    after = ("argo-workflows", "artifacts", "istiod", "istio-cni")
    holders = ("kubeflow-pipelines-release",)
    data = Data("databases", "the database of Pipelines")
    rotates = "one Helm upgrade rolls its API server and UI"
    custom = (Kind("security.istio.io/v1", "AuthorizationPolicy"),)

    def values(self, wish: Wish[Spec]) -> Obj:
        """Return the chart's values."""
        return {
            "bucket": wish.platform.artifacts_bucket,
            "objectStore": {
                "endpoint": wish.platform.s3_endpoint,
                "region": wish.platform.region,
                "generation": self._generation(wish),
                "secret": {"name": STORE_SECRET, "accessKey": "accesskey", "secretKey": "secretkey"},
            },
            "istio": {"enabled": wish.platform.profile == "standard"},
        }

    def _generation(self, wish: Wish[Spec]) -> str:
        """Return a value that changes with the key and does not reveal it: programs read the key only at the start."""
        opened = objectstore.access(artifacts.tenant(wish.platform), wish)
        if opened is not None:
            return wish.seed.token("generation", f"{opened.access_key}|{opened.secret_key}")[:16]
        # A key that is not known yet does not roll anything.
        live: Obj = wish.observed.resources.get(f"{self.name}-release") or {}
        values = ((live.get("spec") or {}).get("forProvider") or {}).get("values") or {}
        return str((values.get("objectStore") or {}).get("generation") or "")


component = KubeflowPipelinesComponent()
