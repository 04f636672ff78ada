"""Which claim has which namespace, as a file: how ``vellum.connect("TEAM")`` finds a binding without asking anybody."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from vellum.api import claim
from vellum.controlplane.protocol import Store
from vellum.kube.objects import Key
from vellum.laptop.state import State, read_json, write_json
from vellum.model.component import Kind
from vellum.model.team import Team


class TeamsController:
    """Keeps ``teams.json`` equal to the stored claims."""

    name = "teams"
    kinds: Sequence[Kind] = (Kind(claim.API_VERSION, claim.KIND),)

    def __init__(self, state: State) -> None:
        self._path = state.root / "teams.json"

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Write the file if it says something else."""
        del key, now
        teams = {}
        for obj in store.list(claim.API_VERSION, claim.KIND):
            meta = obj["metadata"]
            team = Team(meta["namespace"], meta["name"], meta["uid"])
            teams[f"{meta['namespace']}/{meta['name']}"] = {"namespace": team.namespace}
        if read_json(self._path, None) != teams:
            write_json(self._path, teams)
        return None
