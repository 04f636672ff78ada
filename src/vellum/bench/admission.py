"""The objects with addresses that differ between the bench and a cluster. No I/O; the list is complete.

- provider-helm is a process, without a pod whose token it could use. Its ProviderConfig names a kubeconfig.
- Charts come from the bench's own registry, which speaks plain HTTP on loopback, unless the platform names another.

The API server itself changes these two while it admits them, so a user's kubectl and ``vellum install`` apply them as
on a cluster.
"""

from __future__ import annotations

import json

from vellum.kube.objects import DOMAIN, Obj, make, secret
from vellum.model.release import PROVIDER, SYSTEM
from vellum.package.apis import PLATFORM_PLURAL

CREDENTIALS = {"namespace": SYSTEM, "name": f"{PROVIDER}-kubeconfig", "key": "kubeconfig"}
_API = "admissionregistration.k8s.io/v1"


def policies(charts: str) -> list[Obj]:
    """Return the admission policies and their bindings; ``charts`` is the registry's address, including oci://."""
    named = (_put("/spec/credentials", {"source": "Secret", "secretRef": CREDENTIALS}),)
    published = (
        _exists("spec", "charts"),
        _put("/spec/charts/repository", charts),
        _put("/spec/charts/plainHTTP", value=True),
    )
    repository = 'has(object.spec.charts) && has(object.spec.charts.repository) && object.spec.charts.repository != ""'
    return [
        *_policy("bench-credentials", "helm.crossplane.io", ["providerconfigs"], named),
        *_policy("bench-charts", DOMAIN, [PLATFORM_PLURAL], published, unless=repository),
    ]


def _policy(name: str, group: str, resources: list[str], steps: tuple[str, ...], unless: str = "false") -> list[Obj]:
    """Return a MutatingAdmissionPolicy, which Kubernetes 1.36 enables by default, and its binding.

    The plugin learns schemas every five seconds, so it refuses a younger kind with 503: apply again.
    """
    rule = {"apiGroups": [group], "apiVersions": ["*"], "resources": resources, "operations": ["CREATE", "UPDATE"]}
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
    """Return the step that creates an empty map if it is missing."""
    return f"(has(object.{above}.{name}) ? [] : {_put(f'/{above}/{name}', {})})"


def _put(path: str, value: object) -> str:
    return f'[JSONPatch{{op: "add", path: {json.dumps(path)}, value: {_cel(value)}}}]'


def _cel(value: object) -> str:
    """Return a value as CEL; ``dyn`` because all values of a CEL map have one type."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: dyn({_cel(item)})" for name, item in value.items()) + "}"
    return json.dumps(value)


def credentials(kubeconfig: str) -> Obj:
    """Return the Secret that the ProviderConfig names on the bench."""
    return secret(CREDENTIALS["name"], CREDENTIALS["namespace"], {CREDENTIALS["key"]: kubeconfig})
