"""The object store of all buckets: how a bucket and its key are made, and when the key may be given out. Pure.

Two backends: ``seaweedfs``, which the platform runs itself, and ``external``, an existing store. A further backend
(S3 by its Crossplane provider, MinIO) is one more module here. ``objects`` returns its objects, and ``access`` finds
its provider's random key in their observed state. Components call the functions below and do not know the backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vellum.kube.objects import Obj
from vellum.model import rotation
from vellum.model.component import Wish
from vellum.model.platform import PlatformFacts
from vellum.model.state import Ready, waits
from vellum.objectstore import seaweed
from vellum.objectstore.external import External
from vellum.objectstore.interface import ObjectStoreBackend, Tenant
from vellum.objectstore.seaweed import SeaweedFS
from vellum.objectstore.secret import STORE_SECRET, Access, consumer_secret

_BACKENDS: Mapping[str, ObjectStoreBackend] = {"seaweedfs": SeaweedFS(), "external": External()}


def backend(platform: PlatformFacts) -> ObjectStoreBackend:
    """Return the platform's object store."""
    return _BACKENDS[platform.backend]


def objects(tenant: Tenant, wish: Wish[Any], *, quota: str, keep: bool) -> dict[str, Obj]:
    """Return the objects of the tenant's bucket, and its Secret for KFP, Argo and KServe once a key works."""
    store, platform = backend(wish.platform), wish.platform
    made = store.objects(tenant, wish, quota=quota, keep=keep)
    if opened := access(tenant, wish):
        made[tenant.secret] = consumer_secret(
            tenant.namespace,
            opened,
            tenant.bucket,
            labels=wish.labels(tenant.part),
            endpoint=platform.s3_endpoint,
            region=platform.region,
            marks=rotation.mark(wish.keys.using),
        )
    return made


def access(tenant: Tenant, wish: Wish[Any]) -> Access | None:
    """Return the access to the tenant's bucket, once it works."""
    # Cached: it is called six times in a pass.
    key, memo = ("access", tenant.part), wish.observed.memo
    if key not in memo:
        memo[key] = backend(wish.platform).access(tenant, wish)
    opened: Access | None = memo[key]
    return opened


def in_use(tenant: Tenant, wish: Wish[Any], made: Mapping[str, Obj]) -> dict[str, Obj]:
    """Return the objects without other generations of the key, whose readiness does not affect the key in use."""
    others = {
        seaweed.resource(tenant.part, piece, generation)
        for generation in wish.keys.valid
        if generation != wish.keys.using
        for piece in seaweed.KEYED
    }
    return {name: obj for name, obj in made.items() if name not in others}


def ready(tenant: Tenant, wish: Wish[Any], judged: Ready) -> Ready:
    """Tell whether the tenant has its key; ``judged`` is the state of its objects."""
    state = backend(wish.platform).ready(tenant, wish.observed)
    handed_out = tenant.secret in wish.observed.resources
    if not state or not judged:
        # While a bucket's quota changes it waits for the store, but its key works.
        return replace(state and judged, serves=handed_out)
    if handed_out:
        return state
    name = f"Secret {tenant.namespace}/{STORE_SECRET}"
    return waits(f"{name} is not created yet", actor="the control plane")
