"""The S3 objects of one tenant in the seaweedfs-operator's kinds: bucket, identity, policy, binding, credentials.

Field paths: seaweedfs-operator ``api/v1`` of August 2026. All live in one namespace: bucket and identity names are
global in SeaweedFS and become unique through Kubernetes names, and no team can reach or wedge them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vellum.kube.objects import Key, Obj, labels_of, make, secret
from vellum.kube.usage import usage

API = "seaweed.seaweedfs.com/v1"
STORE = "store"
"""The name of the Seaweed object. Load-bearing: without it every tenant object hangs on its finalizer."""
KINDS = ("Bucket", "S3Identity", "S3Policy", "S3PolicyBinding", "S3Credentials")
PIECES = ("key", "bucket", "identity", "policy", "grant", "credentials")
"""What a tenant has, as its resources are called; the key works once all of them are ready."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One bucket and the one key that opens it."""

    id: str
    bucket: str
    namespace: str
    access_key: str
    secret_key: str = field(repr=False)
    quota: str
    keep: bool
    labels: Mapping[str, str]
    generation: int = 1


def tenant_objects(prefix: str, tenant: Tenant) -> dict[str, Obj]:
    """Return the tenant's objects by resource name; they can be applied in any order."""
    key_name = f"s3-{tenant.id}-g{tenant.generation}"
    store = {"name": STORE}
    keys = {"accesskey": tenant.access_key, "secretkey": tenant.secret_key}
    kinds = {
        "bucket": ("Bucket", tenant.bucket, {
            "clusterRef": store,
            "reclaimPolicy": "Retain" if tenant.keep else "Delete",
            # A team that comes back after Retain finds its bucket; safe, as the name is derived, never given.
            "adoptExisting": True,
            "quota": {"size": tenant.quota, "enforce": True},
            # The default of 7 volumes per bucket fills a 20 Gi disk with two buckets.
            "placement": {"volumeGrowthCount": 1},
        }),
        "identity": ("S3Identity", tenant.id, {"seaweedRef": store}),
        "policy": ("S3Policy", f"{tenant.id}-rw", {"seaweedRef": store, "statements": _statements(tenant.bucket)}),
        "grant": ("S3PolicyBinding", f"{tenant.id}-rw", {
            "seaweedRef": store,
            "policyRef": {"name": f"{tenant.id}-rw"},
            "subjects": [{"kind": "S3Identity", "name": tenant.id}],
        }),
        "credentials": ("S3Credentials", f"{tenant.id}-g{tenant.generation}", {
            "seaweedRef": store,
            "identityRef": {"name": tenant.id},
            "secretRef": {"name": key_name, "accessKeyField": "accesskey", "secretKeyField": "secretkey"},
        }),
    }  # fmt: skip
    objects = {f"{prefix}-key": secret(key_name, tenant.namespace, keys, labels=tenant.labels)}
    for part, (kind, name, spec) in kinds.items():
        objects[f"{prefix}-{part}"] = make(API, kind, name, tenant.namespace, labels=tenant.labels, spec=spec)
    return objects


def store_usage(bucket: Obj) -> Obj:
    """Return what keeps the store as long as the bucket is there: without it every tenant's objects would hang."""
    by = Key.of(bucket)
    return usage(
        by.name, by.namespace, of=Key(API, "Seaweed", by.namespace, STORE), by=by, labels=labels_of(bucket),
        reason=f"the bucket {by.name} lies in it",
    )  # fmt: skip


def _statements(bucket: str) -> list[Obj]:
    return [
        {"effect": "Allow", "resources": [bucket],
         "actions": ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]},
        {"effect": "Allow", "resources": [f"{bucket}/*"],
         "actions": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload",
                     "s3:ListMultipartUploadParts"]},
    ]  # fmt: skip
