"""What is at another place on the bench than on a cluster. No I/O; this is the whole list.

- A package's image (Function, Provider, Configuration) is in a registry that cannot be reached: its object is paused,
  so that Crossplane's package manager leaves it alone, and what is in it runs as a process.
- provider-helm is a process and has no pod whose token it could use: its ProviderConfig names a kubeconfig.
- Charts come from the bench's own registry, which speaks plain HTTP on loopback.
"""

from __future__ import annotations

from vellum.kube.objects import Key, Obj, annotations_of, secret
from vellum.model.release import SYSTEM

PACKAGES = {"Function", "Provider", "Configuration"}
CREDENTIALS = {"namespace": SYSTEM, "name": "provider-helm-kubeconfig", "key": "kubeconfig"}
PROVIDER = Key("pkg.crossplane.io/v1", "Provider", "", "provider-helm")
IN_USE = "in-use.crossplane.io"
"""The finalizer that a provider's controller sets on every ProviderConfig that it has seen (crossplane-runtime 2.x,
providerconfig/reconciler.go): the sign that provider-helm works, since it opens no port."""


def here(obj: Obj, charts: str) -> Obj:
    """Return the object as it is applied here; ``charts`` is the registry's address, oci:// and all."""
    if obj["kind"] in PACKAGES:
        paused = {**annotations_of(obj), "crossplane.io/paused": "true"}
        return {**obj, "metadata": {**obj["metadata"], "annotations": paused}}
    if obj["kind"] == "ProviderConfig":
        return {**obj, "spec": {**obj["spec"], "credentials": {"source": "Secret", "secretRef": CREDENTIALS}}}
    if obj["kind"] == "KubeflowPlatform":
        asked = obj["spec"].get("charts") or {}
        return {**obj, "spec": {**obj["spec"], "charts": {**asked, "repository": charts, "plainHTTP": True}}}
    return obj


def credentials(kubeconfig: str) -> Obj:
    """Return the Secret that the ProviderConfig names here."""
    return secret(CREDENTIALS["name"], CREDENTIALS["namespace"], {CREDENTIALS["key"]: kubeconfig})


def healthy(now: str) -> Obj:
    """Return the status that the package manager writes for a provider that runs (apis/v2 2.3.4, pkg/v1 conditions)."""
    said = {"Installed": "ActivePackageRevision", "Healthy": "HealthyPackageRevision"}
    conditions = [
        {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": now}
        for kind, reason in said.items()
    ]
    return {"status": {"conditions": conditions}}
