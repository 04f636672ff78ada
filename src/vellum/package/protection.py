"""Admission policies: the API server refuses deletions that lose data, and Crossplane's own fields in a claim.

The namespaces of the object store and of the vectors belong to the platform, so they are deleted with it, whatever the
claims' ``deletionPolicy`` is. A claim's policy takes effect once it is composed. Crossplane 2.3.4 processes a deletion
before it copies a claim's spec, so a claim changed to Retain just before would be deleted as composed, under Delete.
ValidatingAdmissionPolicy is part of Kubernetes since 1.30 and needs no webhook.

Crossplane's own fields in a claim can keep it at an old revision for ever (``compositionUpdatePolicy``), write a Secret
under any name (``writeConnectionSecretToRef``), or select another composite (``resourceRef``).
"""

from __future__ import annotations

from vellum.api.claim import CROSSPLANE_DEFAULTS, CROSSPLANE_FIELDS
from vellum.kube.objects import DOMAIN, Obj, make
from vellum.model.release import SYSTEM
from vellum.package.apis import CLAIM_PLURAL, PLATFORM_PLURAL

CROSSPLANE = f"system:serviceaccount:{SYSTEM}:crossplane"
"""The account of Crossplane's core."""
_API = "admissionregistration.k8s.io/v1"
ALLOWS = f"{DOMAIN}/delete-all-data"
"""Annotation of a KubeflowPlatform that may be deleted; its value is ``yes``."""


def of_the_platform() -> list[Obj]:
    """Return the policy, and its binding, that keeps the platform until an annotation allows deleting all data."""
    annotations = "oldObject.metadata.?annotations.orValue({})"
    message = f"it would delete the data of every team; to do so, set the annotation {ALLOWS} to yes first"
    return _policy(
        "vellum-platform-deletion", PLATFORM_PLURAL, f"{annotations}[?'{ALLOWS}'].orValue('') == 'yes'", message
    )


def of_claims() -> list[Obj]:
    """Return the policy, and its binding, that keeps a claim while its objects carry another deletionPolicy."""
    expression = (
        "oldObject.spec.?deletionPolicy.orValue('Retain') != 'Retain' || "
        "oldObject.?status.?deletionPolicy.orValue('') != 'Delete'"
    )
    message = (
        "its bucket and vectors would be deleted: spec.deletionPolicy is Retain, but they still carry Delete; wait "
        "until status.deletionPolicy is Retain"
    )
    return _policy("vellum-claim-deletion", CLAIM_PLURAL, expression, message)


def of_composites() -> list[Obj]:
    """Return the policy, and its binding, that leaves the deletion of a claim's composite to Crossplane."""
    annotations = "oldObject.metadata.?annotations.orValue({})"
    expression = (
        f"request.userInfo.username == '{CROSSPLANE}' || !has(oldObject.spec.claimRef) || "
        f"{annotations}[?'{ALLOWS}'].orValue('') == 'yes'"
    )
    message = (
        "it is the composite of a claim, and everything of the team would go with it; delete the claim instead, or set "
        f"the annotation {ALLOWS} to yes first"
    )
    return _policy("vellum-composite-deletion", f"x{CLAIM_PLURAL}", expression, message)


def of_fields() -> list[Obj]:
    """Return the policy, and its binding, that keeps Crossplane's own fields out of a team's claim.

    Accounts that may write the platform may also write these fields, such as a platform engineer or a backup's restore.
    """
    name = "vellum-claim-fields"
    engineers = f"authorizer.group('{DOMAIN}').resource('{PLATFORM_PLURAL}').check('update').allowed()"
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [_rule(CLAIM_PLURAL, "CREATE", "UPDATE")]},
        "matchConditions": [
            {"name": "a-tenant", "expression": f"request.userInfo.username != '{CROSSPLANE}' && !{engineers}"}
        ],
        "validations": [
            {
                "expression": _unchanged(field),
                "message": f"spec.{field} is Crossplane's own field, and a team may not set it; leave it out",
            }
            for field in sorted(CROSSPLANE_FIELDS)
        ],
    }
    return _with_binding(name, policy)


def _unchanged(field: str) -> str:
    """Return the rule that a field stays as Crossplane wrote it, or as the API server sets it by default."""
    before = f"oldObject != null && has(oldObject.spec) && has(oldObject.spec.{field})"
    same = f"{before} && object.spec.{field} == oldObject.spec.{field}"
    if field == "resourceRef":
        # Without the field Crossplane makes a second composite.
        return f"has(object.spec.{field}) ? ({same}) : !({before})"
    filled = f" || object.spec.{field} == '{CROSSPLANE_DEFAULTS[field]}'" if field in CROSSPLANE_DEFAULTS else ""
    return f"!has(object.spec.{field}) || ({same}){filled}"


def _policy(name: str, plural: str, expression: str, message: str) -> list[Obj]:
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [_rule(plural, "DELETE")]},
        "validations": [{"expression": expression, "message": message}],
    }
    return _with_binding(name, policy)


def _rule(plural: str, *operations: str) -> Obj:
    return {"apiGroups": [DOMAIN], "apiVersions": ["*"], "resources": [plural], "operations": list(operations)}


def _with_binding(name: str, policy: Obj) -> list[Obj]:
    binding = {"policyName": name, "validationActions": ["Deny"]}
    return [
        make(_API, "ValidatingAdmissionPolicy", name, spec=policy),
        make(_API, "ValidatingAdmissionPolicyBinding", name, spec=binding),
    ]
