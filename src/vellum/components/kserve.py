"""Serves models for every InferenceService."""

from __future__ import annotations

from vellum.kube.objects import Kind, Obj
from vellum.model.component import Spec, Wish
from vellum.model.release import Chart, Image, ReleaseComponent


class KserveComponent(ReleaseComponent[Spec]):
    """Serves models for every InferenceService."""

    name = "kserve"
    summary = "Serves models for every InferenceService"
    chart = Chart("oci://ghcr.io/kserve/charts", "kserve-resources", "v0.20.0")
    images = (
        Image("docker.io/kserve/kserve-controller:v0.20.0"),
        Image("quay.io/brancz/kube-rbac-proxy:v0.18.0"),
        Image("docker.io/kserve/storage-initializer:v0.20.0", "injected"),
        Image("docker.io/kserve/agent:v0.20.0", "injected"),
        Image("docker.io/kserve/router:v0.20.0", "started"),
        Image("docker.io/kserve/art-explainer:v0.20.0", "started"),
    )
    namespace = "kserve"
    after = ("kserve-crd", "cert-manager")
    custom = (
        Kind("cert-manager.io/v1", "Certificate"),
        Kind("cert-manager.io/v1", "Issuer"),
        Kind("serving.kserve.io/v1alpha1", "ClusterStorageContainer"),
    )

    def values(self, wish: Wish[Spec]) -> Obj:
        """Return the chart's values."""
        return {
            "kserve": {
                "controller": {
                    # Deployments and Services: no Knative, and no Ingress, as models answer only inside the cluster.
                    "deploymentMode": "Standard",
                    "gateway": {"disableIstioVirtualHost": True, "disableIngressCreation": True},
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "128Mi"},
                        "limits": {"cpu": "500m", "memory": "300Mi"},
                    },
                    "rbacProxy": {"resources": {"requests": {"cpu": "10m", "memory": "32Mi"}}},
                },
                "storage": {
                    "s3": {
                        "endpoint": wish.platform.s3_endpoint.split("://", 1)[1],
                        "useHttps": "1" if wish.platform.s3_endpoint.startswith("https://") else "0",
                        "region": wish.platform.region,
                    }
                },
                # The default requests a whole core and 2 GiB for every model.
                "inferenceservice": {
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "256Mi"},
                        "limits": {"cpu": "1", "memory": "2Gi"},
                    }
                },
            }
        }


component = KserveComponent()
