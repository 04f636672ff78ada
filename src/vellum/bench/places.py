"""What is at another place on the bench than on a cluster. No I/O; this is the whole list.

- A package's image (Function, Provider, Configuration) is in a registry that cannot be reached: its object is paused,
  so that Crossplane's package manager leaves it alone, and what is in it runs as a process.
- provider-helm is a process and has no pod whose token it could use: its ProviderConfig names a kubeconfig.
- Charts come from the bench's own registry, which speaks plain HTTP on loopback, unless the platform names another.

The API server itself changes those three on their way in, so whatever applies them (a person's kubectl, ``vellum
install``) does it as on a cluster.
"""

from __future__ import annotations

import json

from vellum.kube.objects import DOMAIN, Obj, make, secret
from vellum.model.release import PROVIDER, SYSTEM
from vellum.package.apis import PLATFORM_PLURAL

CREDENTIALS = {"namespace": SYSTEM, "name": f"{PROVIDER}-kubeconfig", "key": "kubeconfig"}
_API = "admissionregistration.k8s.io/v1"


def policies(charts: str) -> list[Obj]:
    """Return the admission policies and their bindings; ``charts`` is the registry's address, oci:// and all."""
    paused = (_exists("metadata", "annotations"), _put("/metadata/annotations/crossplane.io~1paused", "true"))
    named = (_put("/spec/credentials", {"source": "Secret", "secretRef": CREDENTIALS}),)
    published = (
        _exists("spec", "charts"), _put("/spec/charts/repository", charts), _put("/spec/charts/plainHTTP", value=True),
    )  # fmt: skip
    said = (
        'has(object.spec.charts) && has(object.spec.charts.repository) && object.spec.charts.repository != ""'
    )
    return [
        *_policy("bench-packages", "pkg.crossplane.io", ["functions", "providers", "configurations"], paused),
        *_policy("bench-credentials", "helm.crossplane.io", ["providerconfigs"], named),
        *_policy("bench-charts", DOMAIN, [PLATFORM_PLURAL], published, unless=said),
    ]  # fmt: skip


def _policy(
    name: str, group: str, resources: list[str], steps: tuple[str, ...], unless: str = "false"
) -> list[Obj]:
    """Return a MutatingAdmissionPolicy, which Kubernetes has since 1.36 without being asked, and its binding.

    It refuses a kind that is younger than five seconds (503, as the plugin learns schemas so often): apply again.
    """
    rule = {
        "apiGroups": [group],
        "apiVersions": ["*"],
        "resources": resources,
        "operations": ["CREATE", "UPDATE"],
    }
    spec = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [{"name": "not-said", "expression": f"!({unless})"}],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": " + ".join(steps)}}],
    }
    return [
        make(_API, "MutatingAdmissionPolicy", name, spec=spec),
        make(_API, "MutatingAdmissionPolicyBinding", name, spec={"policyName": name}),
    ]


def _exists(above: str, name: str) -> str:
    """Return the step that makes an empty map where there is none."""
    return f"(has(object.{above}.{name}) ? [] : {_put(f'/{above}/{name}', {})})"


def _put(path: str, value: object) -> str:
    return f'[JSONPatch{{op: "add", path: {json.dumps(path)}, value: {_cel(value)}}}]'


def _cel(value: object) -> str:
    """Return a value as CEL; ``dyn``, as a map has values of one type."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: dyn({_cel(one)})" for name, one in value.items()) + "}"
    return json.dumps(value)


def credentials(kubeconfig: str) -> Obj:
    """Return the Secret that the ProviderConfig names here."""
    return secret(CREDENTIALS["name"], CREDENTIALS["namespace"], {CREDENTIALS["key"]: kubeconfig})
