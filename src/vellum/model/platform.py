"""Facts about the platform that a claim's composition reads: endpoints, images, and which parts are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from vellum.kube.objects import DOMAIN, Key
from vellum.model import origins
from vellum.model.team import KUBEFLOW_NAMESPACE, STORAGE_NAMESPACE, VECTORS_NAMESPACE, Team

PLATFORM = Key(f"{DOMAIN}/v1alpha1", "KubeflowPlatform", "", "kubeflow")
"""The one that there is."""
LAPTOP: Final = "local"
"""The profile that no cluster has."""
REGION = "us-east-1"
"""Of a store that is made here; S3's own first one, which clients take for granted."""


@dataclass(frozen=True, slots=True)
class PlatformFacts:
    """``gateway`` is empty where workloads reach each other by Service names, and a URL where one gateway routes."""

    profile: str
    artifacts_bucket: str = "vellum-artifacts"
    images: Mapping[str, str] = field(default_factory=dict)
    gateway: str = ""
    backend: str = "seaweedfs"
    """The object store behind every bucket; see ``model.objectstore``."""
    external: str = ""
    """Where a store answers that somebody else runs; empty where the platform makes its own."""
    region: str = REGION
    waiting: Mapping[str, str] = field(default_factory=dict)
    """The platform's own parts that are not ready, and why."""

    @property
    def crossplane(self) -> bool:
        """Whether Crossplane composes: its own kinds are nowhere else."""
        return self.profile != LAPTOP

    @property
    def s3_endpoint(self) -> str:
        """Where S3 answers; never carries a backend's name."""
        return self.external or self.gateway or f"http://s3.{STORAGE_NAMESPACE}.svc:8333"

    @property
    def pipelines_endpoint(self) -> str:
        """Where the Kubeflow Pipelines API answers; empty on a laptop, where kfp runs in a worker."""
        return "" if self.gateway else f"http://ml-pipeline.{KUBEFLOW_NAMESPACE}.svc:8888"

    def qdrant_url(self, team: Team) -> str:
        """Where the team's Qdrant answers."""
        if self.gateway:
            return f"{self.gateway}/qdrant/{team.id}"
        return f"http://{team.qdrant}.{VECTORS_NAMESPACE}.svc:6333"

    def serving_url(self, team: Team, service: str) -> str:
        """Where an InferenceService of the team answers the v1 and v2 protocols."""
        if self.gateway:
            return f"{self.gateway}/serving/{team.namespace}/{service}"
        return f"http://{service}-predictor.{team.namespace}.svc"

    def notebook_url(self, team: Team, notebook: str) -> str:
        """Where a person opens the notebook: an origin of its own, or on clusters a path of the gateway's address."""
        return origins.notebook_url(self.gateway, team.namespace, notebook)
