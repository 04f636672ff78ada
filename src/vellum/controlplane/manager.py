"""The loop: what changed is looked at, by every controller of its kind, one after the other, for ever.

One thread, so controllers need no locks. An item that fails is tried again later, a little later each time; nobody
else waits for it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from vellum.controlplane.composite import CompositeController
from vellum.controlplane.store import SqliteStore
from vellum.kube.objects import Key, controller_uid
from vellum.model.component import Kind
from vellum.model.state import Event

LOG = logging.getLogger(__name__)
FIRST_RETRY, LAST_RETRY = 0.05, 30.0
Item = tuple[int, Key]


class Reconciles(Protocol):
    """A controller of this control plane: every ``Controller``, and those that need more than the small protocol."""

    name: str
    kinds: Sequence[Kind]

    def reconcile(self, store: SqliteStore, key: Key, now: datetime) -> float | None:
        """Look at one object and act; see ``Controller``."""


class Manager:
    """Runs composites and controllers on one store."""

    def __init__(
        self,
        store: SqliteStore,
        composites: Sequence[CompositeController],
        controllers: Sequence[Reconciles],
        clock: Callable[[], datetime],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: random.Random | None = None,
    ) -> None:
        self.store = store
        self.watch = store.watch()
        self._composites = composites
        self._controllers: tuple[Reconciles, ...] = (*composites, *controllers)
        self._clock, self._monotonic = clock, monotonic
        self._jitter = jitter or random.Random(0)  # noqa: S311  # spreads retries, guards nothing
        self._due: dict[Item, float] = {}
        self._failures: dict[Item, int] = {}
        for obj in store.everything():
            self._enqueue(Key.of(obj))

    def run(self, stop: threading.Event) -> None:
        """Work until the event is set."""
        while not stop.is_set():
            self.watch.wait(min(self.work(), 1.0))

    def run_until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Work until ``done``; False if that took longer than so many seconds."""
        deadline = self._monotonic() + seconds
        while not done():
            if self._monotonic() > deadline:
                return False
            self.watch.wait(min(self.work(), 0.05))
        return True

    def work(self) -> float:
        """Do everything that is due now; return the seconds until something else is."""
        for changed in self.watch.changes():
            self._enqueue(changed)
        now = self._monotonic()
        for item in [item for item, due in self._due.items() if due <= now]:
            self._attend(item)
        waiting = self._due.values()
        return max(0.0, min(waiting) - self._monotonic()) if waiting else LAST_RETRY

    def _enqueue(self, changed: Key) -> None:
        now = self._monotonic()
        for index, controller in enumerate(self._controllers):
            if any(
                kind.kind == changed.kind and kind.api_version == changed.api_version
                for kind in controller.kinds
            ):
                self._due[(index, changed)] = now
        for index, composite in enumerate(self._composites):
            for key in (*composite.interested(changed), *self._owner(changed, composite)):
                self._due[(index, key)] = now

    def _owner(self, changed: Key, composite: CompositeController) -> list[Key]:
        obj = self.store.get(changed)
        kind = composite.kinds[0]
        uid = controller_uid(obj) if obj else None
        # A deleted object cannot say who owned it: all composites of the kind look again, which costs no write.
        owners = self.store.list(kind.api_version, kind.kind)
        return [Key.of(owner) for owner in owners if obj is None or owner["metadata"]["uid"] == uid]

    def _attend(self, item: Item) -> None:
        index, key = item
        del self._due[item]
        try:
            again = self._controllers[index].reconcile(self.store, key, self._clock())
        except Exception as error:  # noqa: BLE001  # one broken object must not stop all others
            LOG.warning("%s failed on %s: %s", self._controllers[index].name, key, error, exc_info=True)
            self._retry_later(item, error)
            return
        self._failures.pop(item, None)
        if again is not None:
            self._due.setdefault(item, self._monotonic() + again)

    def _retry_later(self, item: Item, error: Exception) -> None:
        tries = self._failures[item] = self._failures.get(item, 0) + 1
        delay = min(LAST_RETRY, FIRST_RETRY * 2.0 ** min(tries, 16)) * self._jitter.uniform(0.8, 1.2)
        self._due[item] = self._monotonic() + delay
        controller = self._controllers[item[0]]
        self.store.record(item[1], Event("Warning", "ReconcileError", f"{controller.name}: {error}"))
