"""One claim's life in processes that end themselves by SIGKILL at the i-th store write: run by test_sigkill.

``python -m tests.controlplane.one_life FOLDER I [I ...]``: for every I a process is forked (imports cost more than a
life), dies at the I-th call of the store's fault hook, and a second one goes on in the same folder as a restarted
daemon and its user would. 0 means never. Prints one JSON line for each: how many calls there were, what was stored
whenever the control plane came to rest.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from tests.controlplane.world import NOW, World, claim_key

from vellum.controlplane.store import SqliteStore
from vellum.kube.objects import Obj

STEPS: tuple[dict[str, Any] | None, ...] = (
    {"notebooks": "enabled"},
    {"notebooks": "disabled", "size": "medium", "deletionPolicy": "Delete"},
    None,
)
"""The specs that the user applies, one after the other; None deletes the claim."""


class Life:
    """Counts the calls of the hook and dies at one of them."""

    def __init__(self, folder: Path, last: int) -> None:
        self._calls, self._last, self._folder = 0, last, folder
        # Each process draws its own, so that an object that was made twice is seen.
        uids = (f"uid-{os.getpid()}-{number}" for number in itertools.count())
        self._store = SqliteStore(folder / "store.db", lambda: NOW, new_uid=lambda: next(uids), fault=self._write)

    def _write(self, what: str) -> None:
        del what
        self._calls += 1
        if self._calls == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def run(self) -> None:
        done = self._folder / "acknowledged"
        acknowledged = int(done.read_text()) if done.exists() else 0
        stored = self._stored_step(acknowledged)
        world = World(self._store)
        if acknowledged and stored == acknowledged:
            self._rest(world, acknowledged)
        for number, spec in enumerate(STEPS[acknowledged:], acknowledged + 1):
            if spec is not None:
                world.put("team-a", **spec)
            else:
                self._store.delete(claim_key("team-a"))
            done.write_text(str(number))
            self._rest(world, number)
        (self._folder / "calls").write_text(str(self._calls))
        self._store.close()

    def _stored_step(self, acknowledged: int) -> int:
        """Return which step is stored: the acknowledged one, or the next, whose acknowledgement the crash swallowed."""
        result = self._store.get(claim_key("team-a"))
        if result is None or "deletionTimestamp" in result["metadata"]:
            stored = [0, len(STEPS)]
        else:
            matches = [text is not None and result["spec"].items() >= text.items() for text in STEPS]
            stored = [number for number, match in enumerate(matches, 1) if match]
        (step,) = {acknowledged, acknowledged + 1} & set(stored)
        return step

    def _rest(self, world: World, number: int) -> None:
        world.settle()
        (self._folder / f"rest-{number}").write_text(json.dumps(_without_uids(self._store)))


def _without_uids(store: SqliteStore) -> list[Obj]:
    """Return the stored objects; uids differ from run to run, so each is replaced by its owner's name."""
    objects = store.everything()
    text = json.dumps(objects)
    for obj in objects:
        text = text.replace(f'"{obj["metadata"]["uid"]}"', f'"the uid of {obj["kind"]} {obj["metadata"]["name"]}"')
    result: list[Obj] = json.loads(text)
    for obj in result:
        # The number of writes depends on the moment of the crash; the content must not.
        del obj["metadata"]["resourceVersion"], obj["metadata"]["generation"]
    return result


def child(folder: Path, last: int) -> int:
    """Run a life in a process of its own; return how it ended."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    status = 1
    try:
        Life(folder, last).run()
        status = 0
    except BaseException:  # noqa: BLE001  # a forked process must not run on in its parent's frames
        traceback.print_exc()
    finally:
        os._exit(status)


def main(folder: Path, numbers: list[int]) -> None:
    for number in numbers:
        own = folder / str(number)
        own.mkdir()
        ends = [child(own, number)] + ([child(own, 0)] if number else [])
        rests = {path.name: json.loads(path.read_text()) for path in sorted(own.glob("rest-*"))}
        calls = int((own / "calls").read_text())
        sys.stdout.write(json.dumps({"ends": ends, "calls": calls, "rests": rests}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(number) for number in sys.argv[2:]])
