"""Crossplane's Helm provider: the package, its runtime and rights, and the target of its installations."""

from __future__ import annotations

from collections import defaultdict

from vellum.components import platform_components
from vellum.compose.helm.records import COMPARED
from vellum.kube import names
from vellum.kube.objects import Kind, Obj, make
from vellum.model.release import PROVIDER, PROVIDER_CONFIG, SYSTEM, ReleaseComponent

PACKAGE = "xpkg.crossplane.io/crossplane-contrib/provider-helm:v1.3.0"
"""1.3.0 has Helm 3, with which the release guard was measured; 1.4.0 moved to Helm 4 with server-side apply."""
ROLE = f"vellum:{PROVIDER}"
APART = (
    Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    Kind("batch/v1", "Job"),
    Kind("v1", "PersistentVolumeClaim"),
    Kind("v1", "Secret"),
)
"""Kinds that charts make but the release guard does not compare; Jobs are Helm hooks."""
_RBAC = "rbac.authorization.k8s.io"
POLL = "1m"
"""How often it reads Helm's records again. Annotations wake it for urgent changes."""


def provider() -> list[Obj]:
    """Return the package and its runtime."""
    container = {"name": "package-runtime", "args": [f"--poll={POLL}"]}
    deployment = {"spec": {"selector": {}, "template": {"spec": {"containers": [container]}}}}
    account = {"metadata": {"name": PROVIDER}}
    runtime = make(
        "pkg.crossplane.io/v1beta1",
        "DeploymentRuntimeConfig",
        PROVIDER,
        spec={"deploymentTemplate": deployment, "serviceAccountTemplate": account},
    )
    binding = make(
        f"{_RBAC}/v1",
        "ClusterRoleBinding",
        ROLE,
        roleRef={"apiGroup": _RBAC, "kind": "ClusterRole", "name": ROLE},
        subjects=[{"kind": "ServiceAccount", "name": PROVIDER, "namespace": SYSTEM}],
    )
    spec = {"package": PACKAGE, "runtimeConfigRef": {"name": PROVIDER}}
    return [role(), binding, runtime, make("pkg.crossplane.io/v1", "Provider", PROVIDER, spec=spec)]


def role() -> Obj:
    """Return its rights for our charts; Crossplane's rbac-manager grants what it needs for itself.

    The verbs are those of Helm 3.21: it creates, patches and deletes by name, reads what it waits for, and keeps its
    records in Secrets.
    """
    parts = [part for part in platform_components().values() if isinstance(part, ReleaseComponent)]
    made = {*COMPARED.values(), *APART, *(kind for part in parts for kind in part.custom)}
    by_group: dict[str, set[str]] = defaultdict(set)
    for kind in made:
        by_group[kind.api_version.rpartition("/")[0]].add(names.plural(kind.kind))
    rules = [
        *(_rule(group, sorted(kinds), "create", "delete", "get", "patch") for group, kinds in sorted(by_group.items())),
        _rule("", ["secrets"], "list", "update"),
        # `wait` and hooks.
        _rule("", ["pods"], "get", "list", "watch"),
        _rule("apps", ["replicasets"], "get", "list"),
        _rule("batch", ["jobs"], "list", "watch"),
        # Charts grant their programs rights that the provider does not hold, so a chart could grant it any right.
        # The role prevents accidents only: a user who may create a Release can still get every right.
        _rule(_RBAC, ["clusterroles", "roles"], "bind", "escalate"),
    ]
    return make(f"{_RBAC}/v1", "ClusterRole", ROLE, rules=rules)


def _rule(group: str, resources: list[str], *verbs: str) -> Obj:
    return {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}


def provider_config() -> list[Obj]:
    """Return the ProviderConfig: this cluster, with the provider's own account. Its kind comes with the provider."""
    spec = {"credentials": {"source": "InjectedIdentity"}}
    return [make("helm.crossplane.io/v1beta1", "ProviderConfig", PROVIDER_CONFIG, spec=spec)]
