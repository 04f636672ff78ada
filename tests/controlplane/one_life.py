"""One claim's life in a process of its own, which ends itself by SIGKILL at the i-th store write: a child of the test.

``python -m tests.controlplane.one_life FOLDER I``: I is the number of the call of the store's fault hook to die at, 0
for never. A second run in the same folder goes on where the first ended, as a restarted daemon and its user would.
Prints one JSON line: how many calls there were, and everything that is stored at the end.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.controlplane.world import NOW, World, claim_key

from vellum.controlplane.store import SqliteStore

STEPS: tuple[dict[str, Any] | None, ...] = (
    {"notebooks": "enabled"},
    {"notebooks": "disabled", "size": "medium", "deletionPolicy": "Delete"},
    None,
)
"""What the user says of the claim, one after the other; None deletes it."""


class Life:
    """Counts the calls of the hook and dies at one of them."""

    def __init__(self, folder: Path, last: int) -> None:
        self.calls, self._last, self._done = 0, last, folder / "acknowledged"
        self.uids = _numbers(folder)
        self.store = SqliteStore(
            folder / "store.db", lambda: NOW, new_uid=lambda: next(self.uids), fault=self._write
        )

    def _write(self, what: str) -> None:
        del what
        self.calls += 1
        if self.calls == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def run(self) -> None:
        acknowledged = int(self._done.read_text()) if self._done.exists() else 0
        world = World(self.store)
        self._acknowledged_is_stored(acknowledged)
        for number, spec in enumerate(STEPS[acknowledged:], acknowledged + 1):
            if spec is not None:
                world.put("team-a", **spec)
            else:
                self.store.delete(claim_key("team-a"))
            self._done.write_text(str(number))
            world.settle()
        world.settle()

    def _acknowledged_is_stored(self, acknowledged: int) -> None:
        """What the user was told to be stored is there after the crash, whatever else is not."""
        found = self.store.get(claim_key("team-a"))
        said = STEPS[acknowledged - 1] if acknowledged else None
        if said is not None:
            assert found is not None
            assert found["spec"].items() >= said.items()
        elif acknowledged:
            assert found is None or "deletionTimestamp" in found["metadata"]


def _numbers(folder: Path) -> Iterator[str]:
    # Each process has its own, so that an object that was made twice is seen.
    for number in range(10_000):
        yield f"{os.getpid()}-{number}"


def main(folder: Path, last: int) -> None:
    # The child lives for a second: what garbage collection finds in it would have died with it.
    gc.disable()
    life = Life(folder, last)
    life.run()
    sys.stdout.write(json.dumps({"calls": life.calls, "objects": life.store.everything()}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
