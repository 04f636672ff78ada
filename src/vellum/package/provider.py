"""Crossplane's Helm provider: the package, how its pod runs, with which rights, and where it installs."""

from __future__ import annotations

from collections import defaultdict

from vellum.components import platform_components
from vellum.compose.inventory import COMPARED
from vellum.kube import names
from vellum.kube.objects import Obj, make
from vellum.model.component import Kind
from vellum.model.release import PROVIDER, PROVIDER_CONFIG, SYSTEM, ReleaseComponent

PACKAGE = "xpkg.crossplane.io/crossplane-contrib/provider-helm:v1.3.0"
"""1.3.0 carries Helm 3, on which the release guard was measured; 1.4.0 went to Helm 4 with server-side apply."""
ROLE = f"vellum:{PROVIDER}"
APART = (
    Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"), Kind("batch/v1", "Job"),
    Kind("v1", "PersistentVolumeClaim"), Kind("v1", "Secret"),
)  # fmt: skip
"""Kinds that charts make and the release guard does not compare; Jobs are hooks of Helm's."""
_RBAC = "rbac.authorization.k8s.io"
POLL = "1m"
"""How often it reads Helm's records again. What it must know at once, annotations tell it."""


def provider() -> list[Obj]:
    """Return the package and how it runs."""
    container = {"name": "package-runtime", "args": [f"--poll={POLL}"]}
    deployment = {"spec": {"selector": {}, "template": {"spec": {"containers": [container]}}}}
    account = {"metadata": {"name": PROVIDER}}
    runtime = make("pkg.crossplane.io/v1beta1", "DeploymentRuntimeConfig", PROVIDER,
                   spec={"deploymentTemplate": deployment, "serviceAccountTemplate": account})  # fmt: skip
    binding = make(
        f"{_RBAC}/v1", "ClusterRoleBinding", ROLE,
        roleRef={"apiGroup": _RBAC, "kind": "ClusterRole", "name": ROLE},
        subjects=[{"kind": "ServiceAccount", "name": PROVIDER, "namespace": SYSTEM}],
    )  # fmt: skip
    spec = {"package": PACKAGE, "runtimeConfigRef": {"name": PROVIDER}}
    return [role(), binding, runtime, make("pkg.crossplane.io/v1", "Provider", PROVIDER, spec=spec)]


def role() -> Obj:
    """Return what it may do for our charts; what it needs for itself Crossplane's rbac-manager gives it.

    The verbs are those of Helm 3.21: it makes, patches and deletes by name, looks at what it waits for, and keeps its
    records in Secrets.
    """
    parts = [part for part in platform_components().values() if isinstance(part, ReleaseComponent)]
    made = {*COMPARED.values(), *APART, *(kind for part in parts for kind in part.custom)}
    by_group: dict[str, set[str]] = defaultdict(set)
    for kind in made:
        by_group[kind.api_version.rpartition("/")[0]].add(names.plural(kind.kind))
    rules = [
        *(_rule(group, sorted(kinds), "create", "delete", "get", "patch")
          for group, kinds in sorted(by_group.items())),
        _rule("", ["secrets"], "list", "update"),
        # `wait` and hooks.
        _rule("", ["pods"], "get", "list", "watch"),
        _rule("apps", ["replicasets"], "get", "list"),
        _rule("batch", ["jobs"], "list", "watch"),
        # Charts give their programs rights that it does not hold. So it could give itself any, by a chart that says so:
        # the role keeps it from accidents, and whoever may make a Release may still become anybody.
        _rule(_RBAC, ["clusterroles", "roles"], "bind", "escalate"),
    ]  # fmt: skip
    return make(f"{_RBAC}/v1", "ClusterRole", ROLE, rules=rules)


def _rule(group: str, resources: list[str], *verbs: str) -> Obj:
    return {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}


def provider_config() -> list[Obj]:
    """Return where it installs: here, as whoever it runs as. Its kind comes with the provider."""
    spec = {"credentials": {"source": "InjectedIdentity"}}
    return [make("helm.crossplane.io/v1beta1", "ProviderConfig", PROVIDER_CONFIG, spec=spec)]
