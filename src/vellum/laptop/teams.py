"""What this machine keeps about claims beside the store: their namespaces, and the files of their ingests.

``vellum.connect("TEAM")`` finds a binding through ``teams.json``, without a supervisor.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from vellum.components.notebook import HOME
from vellum.controlplane.protocol import Store
from vellum.host.files import read_json, write_json
from vellum.host.state import State
from vellum.kube.objects import DOMAIN, Key, Kind, Obj
from vellum.laptop.folders import ingest_folder
from vellum.model.state import Event
from vellum.model.team import CLAIM, Team

FINALIZER = f"{DOMAIN}/ingest"
TEXT = ("runs/*/steps*", "runs/*/tmp")
"""The folder where ``workloads/ingest`` keeps what it reads, until its process has ended; after a kill it stays."""
WAIT_SECONDS = 1.0


class TeamsController:
    """Keeps ``teams.json`` equal to the stored claims, and removes the folder of a claim's ingests with the claim."""

    name = "teams"
    kinds: Sequence[Kind] = (CLAIM,)

    def __init__(self, state: State) -> None:
        self._state, self._path = state, state.root / "teams.json"

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Write the file if it differs; hold a claim that is being deleted until its folder is gone."""
        del now
        obj = store.get(key)
        again = self._hold(store, key, obj) if obj else None
        teams = {}
        for known in store.list(*CLAIM):
            meta = known["metadata"]
            team = Team(meta["namespace"], meta["name"], meta["uid"])
            teams[f"{meta['namespace']}/{meta['name']}"] = {"namespace": team.namespace}
        if read_json(self._path, None) != teams:
            write_json(self._path, teams)
        return again

    def _hold(self, store: Store, key: Key, obj: Obj) -> float | None:
        meta = obj["metadata"]
        if "deletionTimestamp" not in meta:
            store.set_finalizer(key, meta["uid"], FINALIZER, present=True)
            return None
        # The last step: once bucket and keys are gone, an ingest that still runs soon fails.
        if meta.get("finalizers") != [FINALIZER]:
            return None
        everything = obj["spec"].get("deletionPolicy") == "Delete"
        if not _clean(ingest_folder(self._state, f"{key.namespace}/{key.name}"), everything=everything):
            store.record(key, Event("Normal", "Waiting", "an ingest of this claim runs; it goes when that has ended"))
            return WAIT_SECONDS
        if everything:
            # Also a home whose volume claim was deleted earlier, with a claim that said Retain.
            team = Team(key.namespace, key.name, meta["uid"])
            home = self._state.data(team.namespace, HOME)
            if home.exists():
                shutil.rmtree(home)
        store.set_finalizer(key, meta["uid"], FINALIZER, present=False)
        return None


def _clean(folder: Path, *, everything: bool) -> bool:
    """Remove the text that ingests left, or all of their files; return False while an ingest runs."""
    if not folder.is_dir():
        return True
    with (folder / "lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        for path in [folder] if everything else [path for text in TEXT for path in folder.glob(text)]:
            shutil.rmtree(path)
    return True
