"""Store each team's highest generation of keys in the seed's Secret; it stays after the team is deleted."""

from __future__ import annotations

import base64
import json

from vellum.cluster.api import Api, ConflictError, NotFoundError
from vellum.cluster.install import SEED
from vellum.kube.objects import Obj, secret_values, status_of
from vellum.model import keys
from vellum.model.platform import PLATFORM
from vellum.model.rotation import KeyMemory
from vellum.model.team import CLAIM, Team

_TRIES = 5


def record(api: Api) -> None:
    """Record the generations that claims and the platform use or want; keep higher recorded ones.

    Raises:
        StoreError: the API server refuses, or does not answer (VEL307).
    """
    for _ in range(_TRIES):
        seed = api.get(SEED)
        if seed is None:
            return
        known = keys.generations(secret_values(seed).get(keys.GENERATIONS, ""))
        newer = {owner: max(newest, known.get(owner, 0)) for owner, newest in _live(api).items() if newest > 1}
        if (merged := {**known, **newer}) == known:
            return
        text = base64.b64encode(json.dumps(merged, sort_keys=True).encode()).decode()
        version = {"resourceVersion": seed["metadata"]["resourceVersion"]}
        try:
            api.merge(SEED, {"metadata": version, "data": {keys.GENERATIONS: text}})
        except ConflictError:
            continue
        return


def _live(api: Api) -> dict[str, int]:
    try:
        claims = api.list(CLAIM)[0]
    except NotFoundError:
        claims = []
    generations = {
        Team(claim["metadata"]["namespace"], claim["metadata"]["name"], "").id: _newest(claim) for claim in claims
    }
    platform = api.get(PLATFORM)
    return {**generations, keys.PLATFORM_OWNER: _newest(platform)} if platform else generations


def _newest(obj: Obj) -> int:
    generation = ((obj.get("spec") or {}).get("keys") or {}).get("generation") or 0
    return max(KeyMemory.read(status_of(obj).get("keys") or {}).newest, int(generation))
