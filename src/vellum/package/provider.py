"""Crossplane's Helm provider: the package, how its pod runs, with which rights, and where it installs."""

from __future__ import annotations

from vellum.kube.objects import Obj, make
from vellum.model.release import PROVIDER, PROVIDER_CONFIG, SYSTEM

PACKAGE = "xpkg.crossplane.io/crossplane-contrib/provider-helm:v1.3.0"
"""1.3.0 carries Helm 3, on which the release guard was measured; 1.4.0 went to Helm 4 with server-side apply."""
POLL = "1m"
"""How often it reads Helm's records again. What it must know at once, annotations tell it."""


def provider() -> list[Obj]:
    """Return the package and how it runs."""
    container = {"name": "package-runtime", "args": [f"--poll={POLL}"]}
    deployment = {"spec": {"selector": {}, "template": {"spec": {"containers": [container]}}}}
    account = {"metadata": {"name": PROVIDER}}
    runtime = make("pkg.crossplane.io/v1beta1", "DeploymentRuntimeConfig", PROVIDER,
                   spec={"deploymentTemplate": deployment, "serviceAccountTemplate": account})  # fmt: skip
    # Charts make cluster roles, and nobody may give rights that he does not hold.
    rights = make(
        "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", f"vellum:{PROVIDER}",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        subjects=[{"kind": "ServiceAccount", "name": PROVIDER, "namespace": SYSTEM}],
    )  # fmt: skip
    spec = {"package": PACKAGE, "runtimeConfigRef": {"name": PROVIDER}}
    return [rights, runtime, make("pkg.crossplane.io/v1", "Provider", PROVIDER, spec=spec)]


def provider_config() -> list[Obj]:
    """Return where it installs: here, as whoever it runs as. Its kind comes with the provider."""
    spec = {"credentials": {"source": "InjectedIdentity"}}
    return [make("helm.crossplane.io/v1beta1", "ProviderConfig", PROVIDER_CONFIG, spec=spec)]
