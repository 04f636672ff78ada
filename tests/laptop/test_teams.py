"""A deleted claim removes the files of its ingests: their text always, the rest with deletionPolicy Delete."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest
from tests.laptop.conftest import NOW
from tests.laptop.test_mounts import seen, work

from vellum.api import claim
from vellum.components.notebook import HOME
from vellum.controlplane.store import SqliteStore
from vellum.host.state import State
from vellum.kube.objects import Key
from vellum.laptop.folders import ingest_folder
from vellum.laptop.teams import TeamsController
from vellum.model.team import Team

KEY = Key(claim.API_VERSION, claim.KIND, "default", "team-a")
LOGS = {"lock": b"", "runs/1/pipeline.log": b"log", "runs/1/listing.json": b"names"}
TEXT = dict.fromkeys(("runs/1/steps/read/text", "runs/2/steps.going/read/text", "runs/1/tmp/cut"), b"pages")


def put(store: SqliteStore, name: str, policy: str) -> None:
    spec = claim.claim_spec().model_validate({"deletionPolicy": policy})
    store.put(claim.Claim("default", name, spec).manifest())


def ingested(state: State, name: str) -> Path:
    """Leave behind what an ingest leaves that was killed."""
    folder = ingest_folder(state, f"default/{name}")
    for path, content in {**LOGS, **TEXT}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


@pytest.mark.parametrize(("policy", "left"), [("Retain", LOGS), ("Delete", {})])
def test_a_claim_that_goes_takes_along_what_its_ingests_left(
    state: State, store: SqliteStore, policy: str, left: dict[str, bytes]
) -> None:
    put(store, "team-a", policy)
    put(store, "team-b", policy)
    folder, other = ingested(state, "team-a"), ingested(state, "team-b")
    # Its notebook was turned off, or went with an earlier claim of this name that said Retain.
    home = state.data(Team("default", "team-a", "").namespace, HOME)
    (home / "work").mkdir(parents=True)
    work(store, TeamsController(state))
    store.delete(KEY)
    work(store, TeamsController(state))
    assert store.get(KEY) is None
    assert (seen(folder), folder.exists(), home.exists()) == (left, bool(left), bool(left))
    assert seen(other) == {**LOGS, **TEXT}
    assert list(json.loads((state.root / "teams.json").read_text())) == ["default/team-b"]


def test_nothing_goes_while_other_parts_of_the_claim_are_going(state: State, store: SqliteStore) -> None:
    put(store, "team-a", "Delete")
    folder = ingested(state, "team-a")
    work(store, TeamsController(state))
    uid = (store.get(KEY) or {})["metadata"]["uid"]
    store.set_finalizer(KEY, uid, "another/controller", present=True)
    store.delete(KEY)
    work(store, TeamsController(state))
    assert seen(folder) == {**LOGS, **TEXT}
    store.set_finalizer(KEY, uid, "another/controller", present=False)
    work(store, TeamsController(state))
    assert (store.get(KEY), folder.exists()) == (None, False)


def test_a_claim_waits_for_its_ingest_that_still_runs_and_says_so(state: State, store: SqliteStore) -> None:
    put(store, "team-a", "Delete")
    folder, controller = ingested(state, "team-a"), TeamsController(state)
    work(store, controller)
    store.delete(KEY)
    with (folder / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert controller.reconcile(store, KEY, NOW) == 1.0
        assert seen(folder) == {**LOGS, **TEXT}
    assert [event["message"] for event in store.events()] == [
        "an ingest of this claim runs; it goes when that has ended"
    ]
    controller.reconcile(store, KEY, NOW)
    assert (store.get(KEY), folder.exists()) == (None, False)


def test_a_claim_that_was_never_ingested_just_goes(state: State, store: SqliteStore) -> None:
    put(store, "team-a", "Delete")
    work(store, TeamsController(state))
    store.delete(KEY)
    work(store, TeamsController(state))
    assert store.get(KEY) is None
