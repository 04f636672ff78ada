"""What a controller may ask of a control plane. SQLite answers it on a laptop, the Kubernetes API on the bench.

Kept small on purpose: whatever is added here must be possible on a real API server too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias

from vellum.kube.objects import Key, Obj
from vellum.model.component import Kind
from vellum.model.state import Event

Objs: TypeAlias = list[Obj]


class Store(Protocol):
    """Objects as a controller sees them. Every returned object is the caller's own copy."""

    def get(self, key: Key) -> Obj | None:
        """Return the object, or None."""

    def list(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Objs:
        """Return the objects of a kind in name order; ``namespace`` None means all."""

    def patch_status(self, key: Key, uid: str, status: Obj) -> bool:
        """Replace the status of the object with this uid; True if that changed anything, no write if not."""

    def set_finalizer(self, key: Key, uid: str, finalizer: str, *, present: bool) -> bool:
        """Add or remove a finalizer of ours; True if that changed anything."""

    def ensure(self, obj: Obj) -> Obj:
        """Create the object if there is none of that name, never change an existing one; return what is there."""

    def delete(self, key: Key, *, uid: str) -> bool:
        """Delete the object with this uid, or mark it while finalizers hold it; False if that changed nothing."""

    def record(self, key: Key, event: Event) -> None:
        """Tell people something about the object; repeated events are counted, not repeated."""


class Controller(Protocol):
    """Makes the world agree with the objects of some kinds; called again whenever one of them changes."""

    name: str
    kinds: Sequence[Kind]

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Look at one object, which may be gone by now, and act. Return the seconds until it must be looked at again.

        Level-triggered: must give the same end whatever was missed or repeated. An exception means "try again later".
        """
