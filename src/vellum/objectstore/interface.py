"""What a store of buckets must do, and whose bucket it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from vellum.kube.objects import Kind, Obj
from vellum.model.component import Policy, Wish
from vellum.model.platform import PlatformFacts
from vellum.model.state import Observed, Ready, Requirement
from vellum.objectstore.secret import Access


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

    def adoption(self, tenant: Tenant) -> Mapping[str, Requirement]:
        """Return the objects that must be ours, or not exist, before anything is made."""

    def policy(self, platform: PlatformFacts) -> Policy:
        """Return the network policy that lets a team reach the store."""
