"""What the API server itself refuses: deleting the platform by accident, and with it the data of every team.

The namespaces of the object store and of the vectors are the platform's own, so they go with it, whatever the claims'
``deletionPolicy`` says. ValidatingAdmissionPolicy is part of Kubernetes since 1.30 and needs no webhook.
"""

from __future__ import annotations

from vellum.kube.objects import DOMAIN, Obj, make
from vellum.package.apis import PLATFORM_PLURAL

_API = "admissionregistration.k8s.io/v1"
NAME = "vellum-platform-deletion"
ALLOWS = f"{DOMAIN}/delete-all-data"
"""Annotation of a KubeflowPlatform that may be deleted; its value is ``yes``."""


def protection() -> list[Obj]:
    """Return the policy and its binding."""
    annotations = "oldObject.metadata.?annotations.orValue({})"
    rule = {
        "apiGroups": [DOMAIN],
        "apiVersions": ["*"],
        "resources": [PLATFORM_PLURAL],
        "operations": ["DELETE"],
    }
    message = f"it would delete the data of every team; to do so, set the annotation {ALLOWS} to yes first"
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [
            {"expression": f"{annotations}[?'{ALLOWS}'].orValue('') == 'yes'", "message": message}
        ],
    }
    return [
        make(_API, "ValidatingAdmissionPolicy", NAME, spec=policy),
        make(
            _API,
            "ValidatingAdmissionPolicyBinding",
            NAME,
            spec={"policyName": NAME, "validationActions": ["Deny"]},
        ),
    ]
