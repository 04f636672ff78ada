"""Changed keys, collected for one reader."""

from __future__ import annotations

import threading

from vellum.kube.objects import Key


class Watch:
    """The keys that changed since the reader last asked. Writers and process threads wake the reader."""

    def __init__(self) -> None:
        self._changed: dict[Key, None] = {}
        self._condition = threading.Condition()

    def poke(self, key: Key) -> None:
        """Add a key, and wake the reader."""
        with self._condition:
            self._changed[key] = None
            self._condition.notify_all()

    def changes(self) -> list[Key]:
        """Return the keys that changed since the last call, in the order of their first change."""
        with self._condition:
            changed = list(self._changed)
            self._changed.clear()
        return changed

    def wait(self, seconds: float) -> None:
        """Return when a key changes, or after this many seconds."""
        with self._condition:
            if not self._changed:
                self._condition.wait(seconds)
