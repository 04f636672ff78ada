"""The platform's own store: a tenant as objects of the seaweedfs-operator, with keys that are derived from the seed.

Field paths: seaweedfs-operator ``api/v1`` of August 2026. All objects are in one namespace. Bucket and identity names
are global in SeaweedFS. In one namespace their Kubernetes names are unique, and teams cannot reach or block them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vellum.kube.objects import Key, Kind, Obj, labels_of, make, secret
from vellum.kube.usage import usage
from vellum.model.component import Policy, Wish
from vellum.model.platform import PlatformFacts
from vellum.model.state import READY, Observed, Ready, Requirement, waits
from vellum.model.team import STORAGE_NAMESPACE
from vellum.objectstore.interface import Tenant
from vellum.objectstore.secret import Access

API = "seaweed.seaweedfs.com/v1"
STORE = "store"
"""The name of the Seaweed object. Do not change it: without it every tenant object hangs on its finalizer."""
KINDS = ("Bucket", "S3Identity", "S3Policy", "S3PolicyBinding", "S3Credentials")
PIECES = ("bucket", "identity", "policy", "grant")
"""The resources that a tenant has once."""
KEYED = ("key", "credentials")
"""The resources that a tenant has per generation; the key works once these and all ``PIECES`` are ready."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One generation's key."""

    generation: int
    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyedBucket:
    """One bucket and the keys that open it: one, or more while a new key replaces the old."""

    id: str
    bucket: str
    namespace: str
    keys: tuple[Pair, ...]
    quota: str
    keep: bool
    labels: Mapping[str, str]


def resource(prefix: str, piece: str, generation: int) -> str:
    """Return the resource name of a piece of one generation; the first generation keeps its older, shorter names."""
    return f"{prefix}-{piece}" if generation == 1 else f"{prefix}-{piece}-g{generation}"


def generations(prefix: str, resources: Iterable[str]) -> set[int]:
    """Return the generations that have credentials among the resources."""
    first = resource(prefix, "credentials", 1)
    suffixes = {name.removeprefix(f"{first}-g") for name in resources if name.startswith(f"{first}-g")}
    return {*({1} if first in resources else ()), *(int(number) for number in suffixes if number.isdecimal())}


def tenant_objects(prefix: str, tenant: KeyedBucket) -> dict[str, Obj]:
    """Return the tenant's objects by resource name; they can be applied in any order."""
    store = {"name": STORE}
    kinds = {
        "bucket": (
            "Bucket",
            tenant.bucket,
            {
                "clusterRef": store,
                "reclaimPolicy": "Retain" if tenant.keep else "Delete",
                # A team that returns after Retain finds its bucket. This is safe: the name is derived, never given.
                "adoptExisting": True,
                "quota": {"size": tenant.quota, "enforce": True},
                # The default of 7 volumes per bucket fills a 20 Gi disk with two buckets.
                "placement": {"volumeGrowthCount": 1},
            },
        ),
        "identity": ("S3Identity", tenant.id, {"seaweedRef": store}),
        "policy": ("S3Policy", f"{tenant.id}-rw", {"seaweedRef": store, "statements": _statements(tenant.bucket)}),
        "grant": (
            "S3PolicyBinding",
            f"{tenant.id}-rw",
            {
                "seaweedRef": store,
                "policyRef": {"name": f"{tenant.id}-rw"},
                "subjects": [{"kind": "S3Identity", "name": tenant.id}],
            },
        ),
    }
    once = {
        f"{prefix}-{part}": make(API, kind, name, tenant.namespace, labels=tenant.labels, spec=spec)
        for part, (kind, name, spec) in kinds.items()
    }
    # The operator does not read a Secret again. Edited by hand, it swaps keys without an overlap (measured): a
    # new key is a new pair of objects beside the old one.
    keys = {resource(prefix, "key", pair.generation): _key(tenant, pair) for pair in tenant.keys}
    credentials = {resource(prefix, "credentials", pair.generation): _credentials(tenant, pair) for pair in tenant.keys}
    return {**keys, **once, **credentials}


def _key_name(tenant: KeyedBucket, pair: Pair) -> str:
    return f"s3-{tenant.id}-g{pair.generation}"


def _key(tenant: KeyedBucket, pair: Pair) -> Obj:
    values = {"accesskey": pair.access_key, "secretkey": pair.secret_key}
    return secret(_key_name(tenant, pair), tenant.namespace, values, labels=tenant.labels)


def _credentials(tenant: KeyedBucket, pair: Pair) -> Obj:
    name, fields = _key_name(tenant, pair), {"accessKeyField": "accesskey", "secretKeyField": "secretkey"}
    spec = {"seaweedRef": {"name": STORE}, "identityRef": {"name": tenant.id}, "secretRef": {"name": name, **fields}}
    meta = f"{tenant.id}-g{pair.generation}"
    return make(API, "S3Credentials", meta, tenant.namespace, labels=tenant.labels, spec=spec)


def store_usage(bucket: Obj) -> Obj:
    """Return the Usage that keeps the store while the bucket exists: without it every tenant's objects would hang."""
    by = Key.of(bucket)
    return usage(
        by.name,
        by.namespace,
        of=Key(API, "Seaweed", by.namespace, STORE),
        by=by,
        labels=labels_of(bucket),
        reason=f"the store holds the bucket {by.name}",
    )


def _statements(bucket: str) -> list[Obj]:
    return [
        {
            "effect": "Allow",
            "resources": [bucket],
            "actions": ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"],
        },
        {
            "effect": "Allow",
            "resources": [f"{bucket}/*"],
            "actions": [
                "s3:GetObject",
                "s3:PutObject",
                "s3:DeleteObject",
                "s3:AbortMultipartUpload",
                "s3:ListMultipartUploadParts",
            ],
        },
    ]


class SeaweedFS:
    """The platform's own store, by the kinds of the seaweedfs-operator; keys are derived from the seed."""

    kinds = tuple(Kind(API, kind) for kind in KINDS)

    def objects(self, tenant: Tenant, wish: Wish[Any], *, quota: str, keep: bool) -> dict[str, Obj]:
        """Return bucket, identity, policy and credentials."""
        return tenant_objects(
            tenant.part,
            KeyedBucket(
                id=tenant.id,
                bucket=tenant.bucket,
                namespace=STORAGE_NAMESPACE,
                quota=quota,
                keep=keep,
                keys=tuple(_pair(tenant, wish, generation) for generation in wish.keys.valid),
                labels=wish.labels(tenant.part),
            ),
        )

    def access(self, tenant: Tenant, wish: Wish[Any]) -> Access | None:
        """Return the derived key once the store accepts it."""
        # Once given out it stays: a short failure of the store must not take the key from running steps.
        using = wish.keys.using
        if tenant.secret not in wish.observed.resources and not self.opens(tenant, wish.observed, using):
            return None
        pair = _pair(tenant, wish, using)
        return Access(tenant.bucket, pair.access_key, pair.secret_key)

    def generations(self, tenant: Tenant, observed: Observed) -> Collection[int]:
        """Return the generations that have credentials."""
        return generations(tenant.part, observed.resources)

    def opens(self, tenant: Tenant, observed: Observed, generation: int) -> Ready:
        """Tell whether the store reports that it accepts the key."""
        names = [f"{tenant.part}-{piece}" for piece in PIECES]
        names += [resource(tenant.part, piece, generation) for piece in KEYED]
        answers = (observed.health(name, name) for name in names)
        return next((waits(reason, "the object store") for ready, reason in answers if not ready), READY)

    def ready(self, tenant: Tenant, observed: Observed) -> Ready:
        """Return ready: the objects' own state is enough."""
        del tenant, observed
        return READY

    def requires(self, tenant: Tenant) -> Mapping[str, Requirement]:
        """Return nothing: it observes only our own objects."""
        del tenant
        return {}

    def adoption(self, tenant: Tenant) -> Mapping[str, Requirement]:
        """Return the Bucket object of the derived name, which is refused if it is not ours."""
        return {"bucket": Requirement(API, "Bucket", tenant.bucket, STORAGE_NAMESPACE)}

    def policy(self, platform: PlatformFacts) -> Policy:
        """Allow S3 in the store's namespace."""
        del platform
        return Policy(egress=((STORAGE_NAMESPACE, {}, 8333),))


def _pair(tenant: Tenant, wish: Wish[Any], generation: int) -> Pair:
    seed, owner = wish.seed, tenant.id
    return Pair(generation, seed.access_key(owner, generation), seed.secret_key(owner, generation))
