"""A supervisor that leads one claim through its life and kills itself, by SIGKILL, at its n-th effect.

``python -m tests.platform.one_life N COUNTED``: effects are store commits, process starts and ends, batches for
the object store, mounts, route files and removed folders, each before and after. What was reached is written to the file COUNTED, a line an effect.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

from vellum.connect.installation import state_root
from vellum.controlplane.store import SqliteStore
from vellum.host.child import Child
from vellum.host.state import State
from vellum.kube.objects import Key, Obj
from vellum.laptop import gateway, installation, mounts, seaweed_controller, workloads

CLAIM: Obj = {
    "apiVersion": "platform.vellum.dev/v1alpha1",
    "kind": "MLOpsPlatform",
    "metadata": {"name": "team-a", "namespace": "default"},
    "spec": {"deletionPolicy": "Retain"},
}
KEY = Key.of(CLAIM)


class Effects:
    """Counts effects and ends this process at one of them."""

    def __init__(self, fatal: int, counted: Path) -> None:
        self._fatal, self._file, self._count = fatal, counted.open("w"), 0
        self._mutex = threading.Lock()

    def at(self, what: str) -> None:
        with self._mutex:
            self._count += 1
            print(what, file=self._file, flush=True)
            if self._count == self._fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def watched(*arguments: Any, **more: Any) -> Any:
            self.at(f"{name}: before")
            result = function(*arguments, **more)
            self.at(f"{name}: after")
            return result

        return watched


def watched(effects: Effects) -> None:
    """Count every call that leaves the process."""
    make_shell = seaweed_controller.shell
    for place, name, counted in (
        (installation, "SqliteStore", partial(SqliteStore, fault=effects.at)),
        (Child, "__init__", effects.around("start", Child.__init__)),
        (Child, "end", effects.around("end", Child.end)),
        (seaweed_controller, "shell", lambda *arguments: effects.around("weed", make_shell(*arguments))),
        (workloads, "mount", effects.around("mount", mounts.mount)),
        (gateway, "publish", effects.around("routes", gateway.publish)),
        (shutil, "rmtree", effects.around("remove", shutil.rmtree)),
    ):
        patch.object(place, name, counted).start()


def ready(inside: installation.Installation, generation: int) -> bool:
    obj = inside.store.get(KEY) or {"metadata": {}}
    status = obj.get("status") or {}
    conditions = {entry["type"]: entry["status"] for entry in status.get("conditions") or ()}
    return status.get("observedGeneration") == generation and conditions.get("Ready") == "True"


def live(inside: installation.Installation, stop: threading.Event) -> None:
    """Create the claim, change it, delete it."""
    inside.apply(CLAIM)
    until(lambda: ready(inside, 1))
    inside.apply({**CLAIM, "spec": {**CLAIM["spec"], "inference": "disabled"}})
    until(lambda: ready(inside, 2))
    inside.store.delete(KEY)
    until(lambda: inside.store.get(KEY) is None)
    stop.set()


def until(done: Callable[[], bool]) -> None:
    while not done():
        time.sleep(0.02)


def main() -> None:
    os.umask(0o077)
    watched(Effects(int(sys.argv[1]), Path(sys.argv[2])))
    inside, stop = installation.Installation(State.open(state_root())), threading.Event()
    threading.Thread(target=live, args=(inside, stop), daemon=True).start()
    inside.run(stop)


if __name__ == "__main__":
    main()
