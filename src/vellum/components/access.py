"""The identity of the team's workloads: one narrow ServiceAccount instead of Kubeflow's ``kubeflow-edit``.

``kubeflow-edit`` would let a notebook read every Secret of the namespace and delete its NetworkPolicies.
"""

from __future__ import annotations

from vellum.connect.binding import BINDING_SECRET
from vellum.kube.objects import Obj, make
from vellum.model.component import Spec, TeamComponent, TeamWish
from vellum.objectstore.secret import STORE_SECRET

SERVICE_ACCOUNT = "default-editor"
"""The name that the Pipelines API server starts runs with (DEFAULTPIPELINERUNNERSERVICEACCOUNT)."""

_RULES: list[Obj] = [
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"],
     "resourceNames": ["kfp-launcher", "metadata-grpc-configmap", "artifact-repositories"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": [BINDING_SECRET, STORE_SECRET]},
    {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]},
    {"apiGroups": ["pipelines.kubeflow.org"], "resources": ["experiments", "jobs", "pipelines", "runs"],
     "verbs": ["archive", "create", "delete", "disable", "enable", "get", "list", "readArtifact", "reportMetrics",
               "retry", "terminate", "unarchive", "update"]},
    {"apiGroups": ["serving.kserve.io"], "resources": ["inferenceservices"], "verbs": ["get", "list", "watch"]},
]  # fmt: skip


class AccessComponent(TeamComponent[Spec]):
    """ServiceAccount, Role and RoleBinding."""

    name = "access"
    summary = "The identity of the team's workloads and its few permissions"
    needs = ("namespace",)

    def objects(self, wish: TeamWish[Spec]) -> dict[str, Obj]:
        """Return the account and its rights."""
        namespace, labels = wish.team.namespace, wish.labels(self.name)
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": SERVICE_ACCOUNT}
        account = {"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": namespace}
        return {
            # KServe's storage initializer reads the S3 keys from the account's secrets.
            "access-account": make(
                "v1", "ServiceAccount", SERVICE_ACCOUNT, namespace, labels=labels, secrets=[{"name": STORE_SECRET}]
            ),
            "access-role": make(
                "rbac.authorization.k8s.io/v1", "Role", SERVICE_ACCOUNT, namespace, labels=labels, rules=_RULES
            ),
            "access-binding": make(
                "rbac.authorization.k8s.io/v1",
                "RoleBinding",
                SERVICE_ACCOUNT,
                namespace,
                labels=labels,
                roleRef=role,
                subjects=[account],
            ),
        }


component = AccessComponent()
