"""The object store of all buckets: how a bucket and its key are made, and when the key may be given out. Pure.

Two backends: ``seaweedfs``, which the platform runs itself, and ``external``, an existing store. A further backend
(S3 by its Crossplane provider, MinIO) is one more class here. ``objects`` returns its objects, and ``access`` finds
its provider's random key in their observed state. Components call the functions below and do not know the backend.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import urlsplit

from vellum.kube import s3, seaweed
from vellum.kube.objects import Obj
from vellum.kube.s3 import Access
from vellum.model import rotation
from vellum.model.component import Kind, Policy, Wish
from vellum.model.platform import PlatformFacts
from vellum.model.state import READY, Observed, Ready, Requirement, waits
from vellum.model.team import STORAGE_NAMESPACE


@dataclass(frozen=True, slots=True)
class Tenant:
    """The owner of one bucket and one key: a team, or the platform itself."""

    part: str
    """The component that composes the tenant's objects; their resource names begin with its name."""
    id: str
    bucket: str
    """The derived bucket name; an external store may use another."""
    namespace: str
    """The namespace of the tenant's Secret."""
    named_by: str = ""
    """The field that names the bucket, if one does; then nothing else may name it."""

    @property
    def secret(self) -> str:
        """The resource name of its Secret."""
        return f"{self.part}-secret"


class ObjectStoreBackend(Protocol):
    """Makes a bucket and a key for each tenant, or reads given ones."""

    kinds: tuple[Kind, ...]
    """The kinds of its operator, which it needs to make anything."""

    def objects(self, tenant: Tenant, wish: Wish[Any], *, quota: str, keep: bool) -> dict[str, Obj]:
        """Return the objects that make the bucket and the key, by resource name."""

    def access(self, tenant: Tenant, wish: Wish[Any]) -> Access | None:
        """Return the access to the bucket, once it works; a short failure of the store does not remove it."""

    def generations(self, tenant: Tenant, observed: Observed) -> Collection[int]:
        """Return the existing generations of keys."""

    def opens(self, tenant: Tenant, observed: Observed, generation: int) -> Ready:
        """Tell whether the key of a generation opens the bucket."""

    def ready(self, tenant: Tenant, observed: Observed) -> Ready:
        """Return what the key waits for besides the objects, or another note."""

    def requires(self, tenant: Tenant) -> Mapping[str, Requirement]:
        """Return the objects to observe, the same in every pass."""

    def guarded(self, tenant: Tenant) -> Mapping[str, Requirement]:
        """Return the objects that must be ours, or not exist, before anything is made."""

    def policy(self, platform: PlatformFacts) -> Policy:
        """Return the network policy that lets a team reach the store."""


class SeaweedFS:
    """The platform's own store, by the kinds of the seaweedfs-operator; keys are derived from the seed."""

    kinds = tuple(Kind(seaweed.API, kind) for kind in seaweed.KINDS)

    def objects(self, tenant: Tenant, wish: Wish[Any], *, quota: str, keep: bool) -> dict[str, Obj]:
        """Return bucket, identity, policy and credentials."""
        return seaweed.tenant_objects(tenant.part, seaweed.Tenant(
            id=tenant.id, bucket=tenant.bucket, namespace=STORAGE_NAMESPACE, quota=quota, keep=keep,
            keys=tuple(_pair(tenant, wish, generation) for generation in wish.keys.valid),
            labels=wish.labels(tenant.part),
        ))  # fmt: skip

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
        return seaweed.generations(tenant.part, observed.resources)

    def opens(self, tenant: Tenant, observed: Observed, generation: int) -> Ready:
        """Tell whether the store reports that it accepts the key."""
        names = [f"{tenant.part}-{piece}" for piece in seaweed.PIECES]
        names += [seaweed.resource(tenant.part, piece, generation) for piece in seaweed.KEYED]
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

    def guarded(self, tenant: Tenant) -> Mapping[str, Requirement]:
        """Return the Bucket object of the derived name, which is refused if it is not ours."""
        return {"bucket": Requirement(seaweed.API, "Bucket", tenant.bucket, STORAGE_NAMESPACE)}

    def policy(self, platform: PlatformFacts) -> Policy:
        """Allow S3 in the store's namespace."""
        del platform
        return Policy(egress=((STORAGE_NAMESPACE, {}, 8333),))


class External:
    """An existing store: a Secret gives bucket and key, and nothing is made, tested or deleted."""

    kinds: tuple[Kind, ...] = ()

    def objects(self, tenant: Tenant, wish: Wish[Any], *, quota: str, keep: bool) -> dict[str, Obj]:
        """Return nothing."""
        del tenant, wish, quota, keep
        return {}

    def access(self, tenant: Tenant, wish: Wish[Any]) -> Access | None:
        """Return what the Secret gives now; while it gives nothing, what it gave earlier."""
        given = self._given(tenant, wish.observed)
        return given if isinstance(given, Access) else self._before(tenant, wish.observed)

    def generations(self, tenant: Tenant, observed: Observed) -> Collection[int]:
        """Return none: keys are given."""
        del tenant, observed
        return ()

    def opens(self, tenant: Tenant, observed: Observed, generation: int) -> Ready:
        """Return ready: a given key is not changed here."""
        del tenant, observed, generation
        return READY

    def ready(self, tenant: Tenant, observed: Observed) -> Ready:
        """Return which Secret is missing, or what is wrong with it; else the limits of an external store."""
        given = self._given(tenant, observed)
        if isinstance(given, Access):
            said = f"bucket {given.bucket} is in an external store: Vellum sets no quota there, and never deletes data"
            return Ready(ready=True, reason=said)
        serves = self._before(tenant, observed) is not None
        kept = "; the earlier key stays in use" if serves else ""
        return Ready(ready=False, reason=f"{given}{kept}", actor="the platform engineer", serves=serves)

    def requires(self, tenant: Tenant) -> Mapping[str, Requirement]:
        """Return the Secret of the tenant. Its name is derived, so that a team cannot point at another's key."""
        return {"given": Requirement("v1", "Secret", f"s3-{tenant.id}", STORAGE_NAMESPACE)}

    def guarded(self, tenant: Tenant) -> Mapping[str, Requirement]:
        """Return nothing: it makes no objects, so it cannot adopt any."""
        del tenant
        return {}

    def policy(self, platform: PlatformFacts) -> Policy:
        """Allow the endpoint's port."""
        address = urlsplit(platform.external)
        return Policy(anywhere=(address.port or (443 if address.scheme == "https" else 80),))

    def _given(self, tenant: Tenant, observed: Observed) -> Access | str:
        name = f"Secret {STORAGE_NAMESPACE}/s3-{tenant.id}"
        found = observed.required.get(f"{tenant.part}/given")
        if found is None:
            other = "" if tenant.named_by else "; a third key, bucket, may name another bucket"
            return f"{name} does not exist; it gives the accesskey and secretkey of bucket {tenant.bucket}{other}"
        access = s3.read(found, tenant.bucket)
        if isinstance(access, str):
            return f"{name} cannot be used: {access}"
        if tenant.named_by and access.bucket != tenant.bucket:
            return f"{name} cannot be used: its bucket is not {tenant.bucket}, which {tenant.named_by} names"
        return access

    def _before(self, tenant: Tenant, observed: Observed) -> Access | None:
        copy = observed.resources.get(tenant.secret)
        access = s3.read(copy, tenant.bucket) if copy else ""
        return access if isinstance(access, Access) else None


def _pair(tenant: Tenant, wish: Wish[Any], generation: int) -> seaweed.Pair:
    seed, owner = wish.seed, tenant.id
    return seaweed.Pair(generation, seed.access_key(owner, generation), seed.secret_key(owner, generation))


_BACKENDS: Mapping[str, ObjectStoreBackend] = {"seaweedfs": SeaweedFS(), "external": External()}


def backend(platform: PlatformFacts) -> ObjectStoreBackend:
    """Return the platform's object store."""
    return _BACKENDS[platform.backend]


def objects(tenant: Tenant, wish: Wish[Any], *, quota: str, keep: bool) -> dict[str, Obj]:
    """Return the objects of the tenant's bucket, and its Secret for KFP, Argo and KServe once a key works."""
    store, platform = backend(wish.platform), wish.platform
    made = store.objects(tenant, wish, quota=quota, keep=keep)
    if opened := access(tenant, wish):
        made[tenant.secret] = s3.consumer_secret(
            tenant.namespace, opened, tenant.bucket, labels=wish.labels(tenant.part),
            endpoint=platform.s3_endpoint, region=platform.region, marks=rotation.mark(wish.keys.using),
        )  # fmt: skip
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
    said = backend(wish.platform).ready(tenant, wish.observed)
    handed_out = tenant.secret in wish.observed.resources
    if not said or not judged:
        # While a bucket's quota changes it waits for the store, but its key works.
        return replace(said and judged, serves=handed_out)
    if handed_out:
        return said
    name = f"Secret {tenant.namespace}/{s3.STORE_SECRET}"
    return waits(f"{name} is not created yet", actor="the control plane")
