"""The reconcile loop: every changed object goes to each controller of its kind, one after the other.

There is one thread, so controllers need no locks. An object that fails is tried again after a growing pause, which
delays no other object.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from vellum.controlplane.protocol import Store
from vellum.controlplane.watch import Watch
from vellum.kube.objects import Key, Kind, Obj, controller_uid
from vellum.model.state import Event

LOG = logging.getLogger(__name__)
FIRST_RETRY, LAST_RETRY = 0.05, 30.0
SAID_AFTER = 3
"""An error counts as permanent after this many tries: the first ones often meet a state that still changes."""
Item = tuple[int, Key]


class Watched(Store, Protocol):
    """A store that reports changes: this control plane's own, or a Kubernetes API server."""

    def everything(self) -> list[Obj]:
        """Return all objects that controllers may work on."""

    def watch(self) -> Watch:
        """Return a new subscription to every change."""


S = TypeVar("S", bound=Watched)
T_contra = TypeVar("T_contra", bound=Watched, contravariant=True)


class Reconciles(Protocol[T_contra]):
    """A controller: any ``Controller``, or one that needs more of its store than the protocol ``Store`` has."""

    name: str
    kinds: Sequence[Kind]

    def reconcile(self, store: T_contra, key: Key, now: datetime) -> float | None:
        """Reconcile one object; see ``Controller``."""


class Composite(Reconciles[T_contra], Protocol[T_contra]):
    """A controller of composites, which must also see changes of objects that it only required."""

    def interested(self, changed: Key) -> list[Key]:
        """Return the composites that required the changed object in their last pass."""


class Manager(Generic[S]):
    """Runs the controllers of composites and of other kinds on one store."""

    def __init__(  # noqa: PLR0913  # three lists of what it runs on, two clocks and a die
        self,
        store: S,
        composites: Sequence[Composite[S]],
        controllers: Sequence[Reconciles[S]],
        clock: Callable[[], datetime],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: random.Random | None = None,
    ) -> None:
        self.store = store
        self.watch = store.watch()
        self._composites = composites
        self._controllers: tuple[Reconciles[S], ...] = (*composites, *controllers)
        self._clock, self._monotonic = clock, monotonic
        self._jitter = jitter or random.Random(0)  # noqa: S311  # spreads retries, guards nothing
        self._due: dict[Item, float] = {}
        self._failures: dict[Item, int] = {}
        self._errors: dict[Item, str] = {}
        self._owner: dict[Key, str] = {}
        self._by_uid: dict[str, tuple[int, Key]] = {}
        for obj in store.everything():
            self._learn(Key.of(obj), obj)
        for obj in store.everything():
            self._enqueue(Key.of(obj))

    def works_on(self, kind: Kind) -> bool:
        """Return whether any of its controllers works on the kind."""
        return any(kind in controller.kinds for controller in self._controllers)

    def failing(self) -> dict[Key, str]:
        """Return the objects that fail repeatedly, each with its error. Any thread may call this."""
        failures = self._failures.copy()
        return {item[1]: error for item, error in self._errors.copy().items() if failures.get(item, 0) >= SAID_AFTER}

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set."""
        while not stop.is_set():
            try:
                rest = self.work()
            except Exception:  # the store may answer again later, so the loop must survive
                LOG.exception("the reconcile loop failed; it continues in a second")
                rest = 1.0
                stop.wait(rest)
            self.watch.wait(min(rest, 1.0))

    def work(self) -> float:
        """Reconcile everything that is due now; return the seconds until something else is."""
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
            if changed.gvk in controller.kinds:
                self._due[(index, changed)] = now
        for index, composite in enumerate(self._composites):
            for key in composite.interested(changed):
                self._due[(index, key)] = now
        for item in self._owners(changed):
            self._due[item] = now

    def _owners(self, changed: Key) -> list[Item]:
        """Return the composites that control the changed object, or did. Listing all composites would cost O(n²)."""
        before = self._owner.get(changed)
        obj = self.store.get(changed)
        if obj is None and before is None:
            # The object was made and deleted between two looks, so its owner is unknown: reconcile all composites.
            return list(self._by_uid.values())
        self._learn(changed, obj)
        uids = {before, self._owner.get(changed)}
        return [self._by_uid[uid] for uid in uids if uid in self._by_uid]

    def _learn(self, key: Key, obj: Obj | None) -> None:
        """Remember who controls the object, and where a composite's uid is, until the object is gone."""
        if obj is None:
            self._owner.pop(key, None)
            self._by_uid = {uid: item for uid, item in self._by_uid.items() if item[1] != key}
            return
        self._owner[key] = controller_uid(obj) or ""
        for index, composite in enumerate(self._composites):
            if composite.kinds[0] == key.gvk:
                self._by_uid[obj["metadata"]["uid"]] = (index, key)

    def _attend(self, item: Item) -> None:
        index, key = item
        del self._due[item]
        try:
            again = self._controllers[index].reconcile(self.store, key, self._clock())
        except Exception as error:  # one broken object must not stop all others
            LOG.warning("%s failed on %s: %s", self._controllers[index].name, key, error, exc_info=True)
            self._retry_later(item, error)
            return
        self._failures.pop(item, None)
        self._errors.pop(item, None)
        if again is not None:
            self._due.setdefault(item, self._monotonic() + again)

    def _retry_later(self, item: Item, error: Exception) -> None:
        tries = self._failures[item] = self._failures.get(item, 0) + 1
        delay = min(LAST_RETRY, FIRST_RETRY * 2.0 ** min(tries, 16)) * self._jitter.uniform(0.8, 1.2)
        self._due[item] = self._monotonic() + delay
        self._errors[item] = f"{type(error).__name__}: {error}"
        controller = self._controllers[item[0]]
        try:
            self.store.record(item[1], Event("Warning", "ReconcileError", f"{controller.name}: {error}"))
        except Exception as full:  # noqa: BLE001
            # Most reconciles fail because the disk is full or the API server is silent; the loop must survive both.
            LOG.warning("the event was not stored: %s", full)
