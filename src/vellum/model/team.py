"""A team: its claim, and every name derived from it."""

from __future__ import annotations

from dataclasses import dataclass

from vellum.kube import names
from vellum.kube.objects import DOMAIN, Kind

API_VERSION = f"{DOMAIN}/v1alpha1"
CLAIM = Kind(API_VERSION, "MLOpsPlatform")
COMPOSITE_KIND = f"X{CLAIM.kind}"
"""The composite that Crossplane makes of a claim."""
STORAGE_NAMESPACE = "vellum-storage"
"""Holds the object store and every tenant's S3 objects, so that no team namespace gets stuck on their finalizers."""
VECTORS_NAMESPACE = "vellum-vectors"
"""Holds every team's Qdrant and its volume, so that vectors outlive the team's namespace."""
KUBEFLOW_NAMESPACE = "kubeflow"
MESH_NAMESPACE = "istio-system"
"""Holds the mesh's gateway. Without a mesh the namespace does not exist, and a rule that allows it has no effect."""


@dataclass(frozen=True, slots=True)
class Team:
    """The identity of one claim; ``claim_uid`` marks the owner of everything composed for it."""

    claim_namespace: str
    claim_name: str
    claim_uid: str

    @property
    def id(self) -> str:
        """The team's identity, at most 40 characters: its namespace and its S3 identity."""
        return names.team_id(self.claim_namespace, self.claim_name)

    @property
    def namespace(self) -> str:
        """The governed namespace in which the team's workloads run."""
        return self.id

    @property
    def bucket(self) -> str:
        """The team's bucket; derived, never taken from a user, so that the team can adopt it again after Retain."""
        return names.bucket_name(self.id)

    @property
    def qdrant(self) -> str:
        """The team's Qdrant: StatefulSet and Service in ``vellum-vectors``."""
        return names.qdrant_name(self.id)

    @property
    def labels(self) -> dict[str, str]:
        """Labels on every object composed for the team."""
        return {f"{DOMAIN}/team": self.id, "app.kubernetes.io/managed-by": "vellum"}
