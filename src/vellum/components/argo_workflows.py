"""Runs the steps of pipelines as pods."""

from __future__ import annotations

import json

from vellum.kube.objects import RESTRICTED_CONTAINER, Kind, Obj, config_map
from vellum.kube.patch import copied
from vellum.model.component import Spec, Wish
from vellum.model.release import Chart, Image, ReleaseComponent
from vellum.model.team import KUBEFLOW_NAMESPACE
from vellum.objectstore.secret import STORE_SECRET

CONFIG = "workflow-controller-configmap"
_KEYS = ("namespace", "name", "creationTimestamp.Y", "creationTimestamp.m", "creationTimestamp.d")
_EXECUTOR: Obj = {
    "securityContext": {
        **copied(RESTRICTED_CONTAINER),
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
}
"""Kubeflow's own setting for Argo's helper containers (pipelines 2.17.0)."""


class ArgoWorkflowsComponent(ReleaseComponent[Spec]):
    """Runs the steps of pipelines as pods."""

    name = "argo-workflows"
    summary = "Runs the steps of pipelines as pods"
    chart = Chart("https://argoproj.github.io/argo-helm", "argo-workflows", "1.0.14")
    images = (
        Image("quay.io/argoproj/workflow-controller:v4.0.5"),
        Image("quay.io/argoproj/argoexec:v4.0.5", "started"),
    )
    namespace = KUBEFLOW_NAMESPACE
    after = ("artifacts", "istiod")
    serves = (Kind("argoproj.io/v1alpha1", "Workflow"),)

    def values(self, wish: Wish[Spec]) -> Obj:
        """Return the chart's values."""
        del wish
        return {
            # Minified kinds from the chart itself: a Job would fetch the full ones from the internet.
            "crds": {"install": True, "keep": True, "full": False},
            "server": {"enabled": False},
            "createAggregateRoles": False,
            "images": {"pullPolicy": "IfNotPresent"},
            "workflow": {"rbac": {"create": False}},
            "controller": {
                # Disabling it is not enough: without the name the controller reads a ConfigMap that does not exist.
                "configMap": {"create": False, "name": CONFIG},
                "podSecurityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
                "clusterWorkflowTemplates": {"enabled": False},
            },
        }

    def objects(self, wish: Wish[Spec]) -> dict[str, Obj]:
        """Return the controller's settings: logs and artifacts go to the platform's bucket with the platform's key."""
        host = wish.platform.s3_endpoint.split("://", 1)[1]
        keys = "/".join(f"{{{{workflow.{key}}}}}" for key in _KEYS)
        repository = {
            "archiveLogs": True,
            "s3": {
                "endpoint": host,
                "bucket": wish.platform.artifacts_bucket,
                "insecure": wish.platform.s3_endpoint.startswith("http://"),
                "region": wish.platform.region,
                "keyFormat": f"private-artifacts/{keys}/{{{{pod.name}}}}",
                "accessKeySecret": {"name": STORE_SECRET, "key": "accesskey"},
                "secretKeySecret": {"name": STORE_SECRET, "key": "secretkey"},
            },
        }
        data = {"artifactRepository": json.dumps(repository, sort_keys=True), "executor": json.dumps(_EXECUTOR)}
        return {f"{self.name}-settings": config_map(CONFIG, self.namespace, data, labels=wish.labels(self.name))}


component = ArgoWorkflowsComponent()
