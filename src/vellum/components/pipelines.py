"""The objects that Kubeflow Pipelines needs in the team's namespace to run there, on the team's bucket and key.

Upstream, a metacontroller writes these ConfigMaps for one shared bucket; here the composition writes them per team.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from vellum.components.bucket import bucket_of
from vellum.kube.objects import Obj, config_map
from vellum.model.component import Bound, Policy, Spec, TeamComponent, TeamWish
from vellum.model.state import Ready, waits
from vellum.model.team import KUBEFLOW_NAMESPACE
from vellum.objectstore.secret import STORE_SECRET

_API_SERVER = (443, 6443)
"""Its ports: the API server is not a pod, and its address differs between clusters."""


class PipelinesComponent(TeamComponent[Spec]):
    """ConfigMaps kfp-launcher, artifact-repositories and metadata-grpc-configmap."""

    name = "pipelines"
    summary = "Kubeflow Pipelines settings: runs use the team's namespace, bucket and key"
    switch = "pipelines"
    rotates = "running steps keep the old keys: choose an overlap longer than the steps"
    store_key = True
    binds = (Bound("KF_PIPELINES_ENDPOINT", "the Pipelines API; absent on a laptop, which has none", public=True),)
    means = (("pipelines", "the settings for runs are added or removed; earlier runs stay in Kubeflow"),)
    operators = ("kubeflow-pipelines",)
    needs = ("namespace", "access", "bucket")

    def objects(self, wish: TeamWish[Spec]) -> dict[str, Obj]:
        """Return the settings that the launcher and Argo read for each run."""
        namespace, labels = wish.team.namespace, wish.labels(self.name)
        repository = {"workflows.argoproj.io/default-artifact-repository": "default-namespaced"}
        metadata = {
            "METADATA_GRPC_SERVICE_HOST": f"metadata-grpc-service.{KUBEFLOW_NAMESPACE}",
            "METADATA_GRPC_SERVICE_PORT": "8080",
        }
        return {
            "pipelines-launcher": config_map("kfp-launcher", namespace, _launcher(wish), labels=labels),
            "pipelines-repository": config_map(
                "artifact-repositories", namespace, _repository(wish), labels=labels, annotations=repository
            ),
            "pipelines-metadata": config_map("metadata-grpc-configmap", namespace, metadata, labels=labels),
        }

    def ready(self, wish: TeamWish[Spec], made: Mapping[str, Obj]) -> Ready:
        """Return ready once the settings and their bucket are: settings alone run nothing."""
        if "bucket-secret" not in wish.observed.resources:
            return waits(f"waits for Secret {STORE_SECRET}, which comes with the bucket", actor="the bucket")
        return super().ready(wish, made)

    def binding(self, wish: TeamWish[Spec]) -> dict[str, str]:
        """Return the API's address, if there is one; on a laptop kfp runs pipelines in a worker without an API."""
        endpoint = wish.platform.pipelines_endpoint
        return {"KF_PIPELINES_ENDPOINT": endpoint} if endpoint else {}

    def policy(self, wish: TeamWish[Spec]) -> Policy:
        """Allow the Pipelines API, metadata, and the API server: launcher and executor read and write there."""
        del wish
        api, metadata = {"app": "ml-pipeline"}, {"app": "metadata-grpc-server"}
        return Policy(
            egress=(
                (KUBEFLOW_NAMESPACE, api, 8888),
                (KUBEFLOW_NAMESPACE, api, 8887),
                (KUBEFLOW_NAMESPACE, metadata, 8080),
            ),
            anywhere=_API_SERVER,
        )


def _prefix(wish: TeamWish[Spec]) -> str:
    # KFP's UI derives the owner of an artifact from this prefix and denies others (ARTIFACT_NAMESPACE_OWNERSHIP_MODE).
    return f"private-artifacts/{wish.team.namespace}"


def _launcher(wish: TeamWish[Spec]) -> dict[str, str]:
    endpoint = wish.platform.s3_endpoint
    credentials = {
        "fromEnv": False,
        "secretRef": {"secretName": STORE_SECRET, "accessKeyKey": "accesskey", "secretKeyKey": "secretkey"},
    }
    store = {
        "endpoint": endpoint,
        "region": wish.platform.region,
        "disableSSL": endpoint.startswith("http://"),
        "forcePathStyle": True,
        "credentials": credentials,
    }
    return {
        "clusterDomain": ".svc.cluster.local",
        "defaultPipelineRoot": f"minio://{bucket_of(wish)}/{_prefix(wish)}/v2/artifacts",
        # JSON is YAML; the launcher parses YAML.
        "providers": json.dumps({"minio": {"default": store}}, sort_keys=True),
    }


def _repository(wish: TeamWish[Spec]) -> dict[str, str]:
    endpoint = wish.platform.s3_endpoint
    day = "{{workflow.creationTimestamp.Y}}/{{workflow.creationTimestamp.m}}/{{workflow.creationTimestamp.d}}"
    store = {
        "endpoint": endpoint.split("://", 1)[1],
        "bucket": bucket_of(wish),
        "region": wish.platform.region,
        "insecure": endpoint.startswith("http://"),
        "keyFormat": f"{_prefix(wish)}/{{{{workflow.name}}}}/{day}/{{{{pod.name}}}}",
        "accessKeySecret": {"name": STORE_SECRET, "key": "accesskey"},
        "secretKeySecret": {"name": STORE_SECRET, "key": "secretkey"},
    }
    return {"default-namespaced": json.dumps({"archiveLogs": True, "s3": store}, sort_keys=True)}


component = PipelinesComponent()
