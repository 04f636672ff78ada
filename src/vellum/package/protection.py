"""What the API server itself refuses: deletions by which data would go that somebody means to keep.

The namespaces of the object store and of the vectors are the platform's own, so they go with it, whatever the claims'
``deletionPolicy`` says. And a claim's policy lies in what was composed: Crossplane 2.3.4 looks at a claim that is being
deleted before it copies it, so one that said Retain a moment ago would go as it was composed, under Delete.
ValidatingAdmissionPolicy is part of Kubernetes since 1.30 and needs no webhook.
"""

from __future__ import annotations

from vellum.kube.objects import DOMAIN, Obj, make
from vellum.package.apis import CLAIM_PLURAL, PLATFORM_PLURAL

_API = "admissionregistration.k8s.io/v1"
ALLOWS = f"{DOMAIN}/delete-all-data"
"""Annotation of a KubeflowPlatform that may be deleted; its value is ``yes``."""


def of_the_platform() -> list[Obj]:
    """Return the policy, and its binding, that keeps the platform until somebody says that all data may go."""
    annotations = "oldObject.metadata.?annotations.orValue({})"
    message = f"it would delete the data of every team; to do so, set the annotation {ALLOWS} to yes first"
    return _policy(
        "vellum-platform-deletion",
        PLATFORM_PLURAL,
        f"{annotations}[?'{ALLOWS}'].orValue('') == 'yes'",
        message,
    )


def of_claims() -> list[Obj]:
    """Return the policy, and its binding, that keeps a claim while its objects carry another deletionPolicy."""
    expression = (
        "oldObject.spec.?deletionPolicy.orValue('Retain') != 'Retain' || "
        "oldObject.?status.?deletionPolicy.orValue('') != 'Delete'"
    )
    message = (
        "its bucket and vectors would be deleted: spec.deletionPolicy says Retain, and they still carry Delete; wait "
        "until status.deletionPolicy says Retain"
    )
    return _policy("vellum-claim-deletion", CLAIM_PLURAL, expression, message)


def _policy(name: str, plural: str, expression: str, message: str) -> list[Obj]:
    rule = {"apiGroups": [DOMAIN], "apiVersions": ["*"], "resources": [plural], "operations": ["DELETE"]}
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": expression, "message": message}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    return [
        make(_API, "ValidatingAdmissionPolicy", name, spec=policy),
        make(_API, "ValidatingAdmissionPolicyBinding", name, spec=binding),
    ]
