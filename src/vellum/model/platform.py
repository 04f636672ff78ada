"""Facts about the platform that a claim's composition reads: endpoints, images and available parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from vellum.kube.objects import Key
from vellum.model import origins
from vellum.model.team import API_VERSION, KUBEFLOW_NAMESPACE, STORAGE_NAMESPACE, VECTORS_NAMESPACE, Team

PLATFORM = Key(API_VERSION, "KubeflowPlatform", "", "kubeflow")
"""The only platform of a control plane."""
LAPTOP: Final = "local"
"""The profile that only a laptop has."""
REGION = "us-east-1"
"""The region of the platform's own store; it is S3's first region, which clients assume by default."""


@dataclass(frozen=True, slots=True)
class PlatformFacts:
    """``gateway`` is empty where workloads reach each other by Service names, and a URL where one gateway routes."""

    profile: str
    artifacts_bucket: str = "vellum-artifacts"
    images: Mapping[str, str] = field(default_factory=dict)
    gateway: str = ""
    backend: str = "seaweedfs"
    """The object store of all buckets; see ``objectstore``."""
    external: str = ""
    """The address of an external store; empty if the platform runs its own."""
    region: str = REGION
    waiting: Mapping[str, str] = field(default_factory=dict)
    """The platform's own parts that are not ready, and why."""

    @property
    def crossplane(self) -> bool:
        """Whether Crossplane composes: only then do Crossplane's own kinds exist."""
        return self.profile != LAPTOP

    @property
    def s3_endpoint(self) -> str:
        """The address of S3; it never has a backend's name."""
        return self.external or self.gateway or f"http://s3.{STORAGE_NAMESPACE}.svc:8333"

    @property
    def pipelines_endpoint(self) -> str:
        """The address of the Kubeflow Pipelines API; empty on a laptop, where kfp runs in a worker."""
        return "" if self.gateway else f"http://ml-pipeline.{KUBEFLOW_NAMESPACE}.svc:8888"

    def qdrant_url(self, team: Team) -> str:
        """Return the address of the team's Qdrant."""
        if self.gateway:
            return f"{self.gateway}/qdrant/{team.id}"
        return f"http://{team.qdrant}.{VECTORS_NAMESPACE}.svc:6333"

    def serving_url(self, team: Team, service: str) -> str:
        """Return the address of a team's InferenceService for the v1 and v2 protocols."""
        if self.gateway:
            return f"{self.gateway}/serving/{team.namespace}/{service}"
        return f"http://{service}-predictor.{team.namespace}.svc"

    def notebook_url(self, team: Team, notebook: str) -> str:
        """Return the notebook's address for a browser: its own origin, or on clusters a path of the gateway."""
        return origins.notebook_url(self.gateway, team.namespace, notebook)
