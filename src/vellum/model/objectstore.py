"""The object store behind every bucket: who makes a bucket and its key, and when the key may be handed out. Pure.

Two backends: ``seaweedfs``, which the platform runs itself, and ``external``, which somebody else runs. A further one
(S3 by its Crossplane provider, MinIO) is one more class here: its objects come from ``objects``, and the key that its
provider draws is found in what is observed of them, by ``access``. Components ask the functions below and know none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit

from vellum.kube import s3, seaweed
from vellum.kube.objects import Obj
from vellum.kube.s3 import Access
from vellum.model import rotation
from vellum.model.component import Kind, PlatformWish, Policy, Wish
from vellum.model.platform import PlatformFacts
from vellum.model.state import READY, Observed, Ready, Requirement, waits
from vellum.model.team import STORAGE_NAMESPACE

AnyWish: TypeAlias = Wish[Any] | PlatformWish[Any]


@dataclass(frozen=True, slots=True)
class Tenant:
    """Who has one bucket and one key: a team, or the platform itself."""

    part: str
    """The component that composes what is the tenant's; the names of its resources begin with it."""
    id: str
    bucket: str
    """The derived name; a store that somebody else runs may call it otherwise."""
    namespace: str
    """Where its Secret is wanted."""
    named_by: str = ""
    """The field that names the bucket, if one does; then nothing else may."""

    @property
    def secret(self) -> str:
        """The resource name of its Secret."""
        return f"{self.part}-secret"


class ObjectStoreBackend(Protocol):
    """Makes a bucket and a key for each tenant, or is given them."""

    kinds: tuple[Kind, ...]
    """Kinds of its operator, without which it makes nothing."""

    def objects(self, tenant: Tenant, wish: AnyWish, *, quota: str, keep: bool) -> dict[str, Obj]:
        """Return what makes the bucket and the key, by resource name."""

    def access(self, tenant: Tenant, wish: AnyWish) -> Access | None:
        """Return what opens the bucket, once something does; it stays when the store hesitates."""

    def generations(self, tenant: Tenant, observed: Observed) -> Collection[int]:
        """Return the generations of keys that there are."""

    def opens(self, tenant: Tenant, observed: Observed, generation: int) -> Ready:
        """Tell whether the key of a generation opens the bucket."""

    def ready(self, tenant: Tenant, observed: Observed) -> Ready:
        """Say what the key waits for beside the objects, or what else is to say."""

    def requires(self, tenant: Tenant) -> Mapping[str, Requirement]:
        """Return what must be looked at; the same whatever is observed."""

    def guarded(self, tenant: Tenant) -> Mapping[str, Requirement]:
        """Return what must be ours, or not exist, before anything is made."""

    def policy(self, platform: PlatformFacts) -> Policy:
        """Return what lets a team reach the store."""


class SeaweedFS:
    """The platform's own store, by the kinds of the seaweedfs-operator; keys are derived from the seed."""

    kinds = tuple(Kind(seaweed.API, kind) for kind in seaweed.KINDS)

    def objects(self, tenant: Tenant, wish: AnyWish, *, quota: str, keep: bool) -> dict[str, Obj]:
        """Return bucket, identity, policy and credentials."""
        return seaweed.tenant_objects(tenant.part, seaweed.Tenant(
            id=tenant.id, bucket=tenant.bucket, namespace=STORAGE_NAMESPACE, quota=quota, keep=keep,
            keys=tuple(_pair(tenant, wish, generation) for generation in wish.keys.valid),
            labels=wish.labels(tenant.part),
        ))  # fmt: skip

    def access(self, tenant: Tenant, wish: AnyWish) -> Access | None:
        """Return the derived key once the store accepts it."""
        # Once handed out it stays: a store that hesitates for a moment must not take the key from running steps.
        using = wish.keys.using
        if tenant.secret not in wish.observed.resources and not self.opens(tenant, wish.observed, using):
            return None
        pair = _pair(tenant, wish, using)
        return Access(tenant.bucket, pair.access_key, pair.secret_key)

    def generations(self, tenant: Tenant, observed: Observed) -> Collection[int]:
        """Return the generations that have credentials."""
        return seaweed.generations(tenant.part, observed.resources)

    def opens(self, tenant: Tenant, observed: Observed, generation: int) -> Ready:
        """Tell whether the store says that it accepts the key."""
        names = [f"{tenant.part}-{piece}" for piece in seaweed.PIECES]
        names += [seaweed.resource(tenant.part, piece, generation) for piece in seaweed.KEYED]
        answers = (observed.health(name, name) for name in names)
        return next((waits(reason, "the object store") for ready, reason in answers if not ready), READY)

    def ready(self, tenant: Tenant, observed: Observed) -> Ready:
        """Say nothing: the objects speak for themselves."""
        del tenant, observed
        return READY

    def requires(self, tenant: Tenant) -> Mapping[str, Requirement]:
        """Look at nothing that is not ours."""
        del tenant
        return {}

    def guarded(self, tenant: Tenant) -> Mapping[str, Requirement]:
        """A Bucket object of the derived name that is not ours is refused."""
        return {"bucket": Requirement(seaweed.API, "Bucket", tenant.bucket, STORAGE_NAMESPACE)}

    def policy(self, platform: PlatformFacts) -> Policy:
        """Reach S3 in the store's namespace."""
        del platform
        return Policy(egress=((STORAGE_NAMESPACE, {}, 8333),))


class External:
    """A store that somebody else runs: bucket and key are given in a Secret, nothing is made, tried or deleted."""

    kinds: tuple[Kind, ...] = ()

    def objects(self, tenant: Tenant, wish: AnyWish, *, quota: str, keep: bool) -> dict[str, Obj]:
        """Return nothing."""
        del tenant, wish, quota, keep
        return {}

    def access(self, tenant: Tenant, wish: AnyWish) -> Access | None:
        """Return what the Secret gives now; while it gives nothing, what it gave before."""
        given = self._given(tenant, wish.observed)
        return given if isinstance(given, Access) else self._before(tenant, wish.observed)

    def generations(self, tenant: Tenant, observed: Observed) -> Collection[int]:
        """Return none: keys are given."""
        del tenant, observed
        return ()

    def opens(self, tenant: Tenant, observed: Observed, generation: int) -> Ready:
        """Say yes: a given key is nobody's here to change."""
        del tenant, observed, generation
        return READY

    def ready(self, tenant: Tenant, observed: Observed) -> Ready:
        """Say which Secret is wanted, or what is wrong with it; else what an external store means for the tenant."""
        given = self._given(tenant, observed)
        if isinstance(given, Access):
            said = f"bucket {given.bucket} is in an external store: no quota is set there, and no data is ever deleted"
            return Ready(ready=True, reason=said)
        serves = self._before(tenant, observed) is not None
        kept = "; the key that it gave before stays" if serves else ""
        return Ready(ready=False, reason=f"{given}{kept}", actor="the platform engineer", serves=serves)

    def requires(self, tenant: Tenant) -> Mapping[str, Requirement]:
        """Look at the Secret of the tenant. Its name is derived, so that no team can point at another's key."""
        return {"given": Requirement("v1", "Secret", f"s3-{tenant.id}", STORAGE_NAMESPACE)}

    def guarded(self, tenant: Tenant) -> Mapping[str, Requirement]:
        """Nothing is made, so nothing can be taken over."""
        del tenant
        return {}

    def policy(self, platform: PlatformFacts) -> Policy:
        """Reach the endpoint's port."""
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


def _pair(tenant: Tenant, wish: AnyWish, generation: int) -> seaweed.Pair:
    seed, owner = wish.seed, tenant.id
    return seaweed.Pair(generation, seed.access_key(owner, generation), seed.secret_key(owner, generation))


_BACKENDS: Mapping[str, ObjectStoreBackend] = {"seaweedfs": SeaweedFS(), "external": External()}


def backend(platform: PlatformFacts) -> ObjectStoreBackend:
    """Return the platform's object store."""
    return _BACKENDS[platform.backend]


def objects(tenant: Tenant, wish: AnyWish, *, quota: str, keep: bool) -> dict[str, Obj]:
    """Return what makes the tenant's bucket, and its Secret for KFP, Argo and KServe once a key is known to work."""
    store, platform = backend(wish.platform), wish.platform
    made = store.objects(tenant, wish, quota=quota, keep=keep)
    if opened := access(tenant, wish):
        made[tenant.secret] = s3.consumer_secret(
            tenant.namespace, opened, tenant.bucket, labels=wish.labels(tenant.part),
            endpoint=platform.s3_endpoint, region=platform.region, marks=rotation.mark(wish.keys.using),
        )  # fmt: skip
    return made


def access(tenant: Tenant, wish: AnyWish) -> Access | None:
    """Return what opens the tenant's bucket, once something does."""
    # Asked six times in a pass.
    key, memo = ("access", tenant.part), wish.observed.memo
    if key not in memo:
        memo[key] = backend(wish.platform).access(tenant, wish)
    opened: Access | None = memo[key]
    return opened


def in_use(tenant: Tenant, wish: AnyWish, made: Mapping[str, Obj]) -> dict[str, Obj]:
    """Return what was made without other generations of the key: whether those are ready changes nothing in use."""
    others = {
        seaweed.resource(tenant.part, piece, generation)
        for generation in wish.keys.valid
        if generation != wish.keys.using
        for piece in seaweed.KEYED
    }
    return {name: obj for name, obj in made.items() if name not in others}


def ready(tenant: Tenant, wish: AnyWish, judged: Ready) -> Ready:
    """Tell whether the tenant has its key; ``judged`` is what its objects say."""
    said = backend(wish.platform).ready(tenant, wish.observed)
    handed_out = tenant.secret in wish.observed.resources
    if not said or not judged:
        # A bucket whose quota changes waits for the store, and its key works meanwhile.
        return replace(said and judged, serves=handed_out)
    if handed_out:
        return said
    name = f"Secret {tenant.namespace}/{s3.STORE_SECRET}"
    return waits(f"{name} is not created yet", actor="the control plane")
