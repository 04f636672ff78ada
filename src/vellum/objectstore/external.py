"""An existing store of the user: Vellum makes nothing in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from vellum.kube.objects import Kind, Obj
from vellum.model.component import Policy, Wish
from vellum.model.platform import PlatformFacts
from vellum.model.state import READY, Observed, Ready, Requirement
from vellum.model.team import STORAGE_NAMESPACE
from vellum.objectstore.interface import Tenant
from vellum.objectstore.secret import Access, read


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
            text = f"bucket {given.bucket} is in an external store: Vellum sets no quota there, and never deletes data"
            return Ready(ready=True, reason=text)
        serves = self._before(tenant, observed) is not None
        kept = "; the earlier key stays in use" if serves else ""
        return Ready(ready=False, reason=f"{given}{kept}", actor="the platform engineer", serves=serves)

    def requires(self, tenant: Tenant) -> Mapping[str, Requirement]:
        """Return the Secret of the tenant. Its name is derived, so that a team cannot point at another's key."""
        return {"given": Requirement("v1", "Secret", f"s3-{tenant.id}", STORAGE_NAMESPACE)}

    def adoption(self, tenant: Tenant) -> Mapping[str, Requirement]:
        """Return nothing: it makes no objects, so it cannot adopt any."""
        del tenant
        return {}

    def policy(self, platform: PlatformFacts) -> Policy:
        """Allow the endpoint's port."""
        address = urlsplit(platform.external)
        return Policy(anywhere=(address.port or (443 if address.scheme == "https" else 80),))

    def _given(self, tenant: Tenant, observed: Observed) -> Access | str:
        name = f"Secret {STORAGE_NAMESPACE}/s3-{tenant.id}"
        result = observed.required.get(f"{tenant.part}/given")
        if result is None:
            other = "" if tenant.named_by else "; a third key, bucket, may name another bucket"
            return f"{name} does not exist; it gives the accesskey and secretkey of bucket {tenant.bucket}{other}"
        access = read(result, tenant.bucket)
        if isinstance(access, str):
            return f"{name} cannot be used: {access}"
        if tenant.named_by and access.bucket != tenant.bucket:
            return f"{name} cannot be used: its bucket is not {tenant.bucket}, which {tenant.named_by} names"
        return access

    def _before(self, tenant: Tenant, observed: Observed) -> Access | None:
        copy = observed.resources.get(tenant.secret)
        access = read(copy, tenant.bucket) if copy else ""
        return access if isinstance(access, Access) else None
