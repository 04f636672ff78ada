"""The part of a control plane that controllers use: SQLite implements it on a laptop, the API server on the bench.

Keep it small: every method must be possible on a real API server too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias

from vellum.kube.objects import Key, Kind, Obj
from vellum.model.state import Event

Objs: TypeAlias = list[Obj]


class Store(Protocol):
    """The objects that a controller sees. Each returned object is the caller's own copy."""

    def get(self, key: Key) -> Obj | None:
        """Return the object, or None."""

    def list(
        self, api_version: str, kind: str, *, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Objs:
        """Return the objects of a kind in name order; ``namespace`` None means all namespaces."""

    def patch_status(self, key: Key, uid: str, status: Obj) -> bool:
        """Replace the status of the object with this uid; return whether that changed anything. No change, no write."""

    def set_finalizer(self, key: Key, uid: str, finalizer: str, *, present: bool) -> bool:
        """Add or remove one of Vellum's finalizers; return whether that changed anything."""

    def ensure(self, obj: Obj) -> Obj:
        """Create the object if its name is free, never change an existing one; return the stored object."""

    def delete(self, key: Key, *, uid: str) -> bool:
        """Delete the object with this uid, or mark it while finalizers hold it; return whether it changed anything."""

    def record(self, key: Key, event: Event) -> None:
        """Record an event about the object; an event that repeats only counts up."""


class Controller(Protocol):
    """Makes the world agree with the objects of some kinds; called whenever one of them changes."""

    name: str
    kinds: Sequence[Kind]

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Reconcile one object, which may be gone by now; return the seconds until the next look, or None.

        Level-triggered: missed or repeated calls must lead to the same end. An exception means "try again later".
        """
