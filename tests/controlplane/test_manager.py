"""Reconciling as a user sees it: objects are created, kept, repaired and deleted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest
from tests.controlplane.world import NOW, PLATFORM, SEED, World, claim_key

from vellum.api import platform
from vellum.controlplane.manager import Manager
from vellum.controlplane.store import SqliteStore
from vellum.kube.objects import Key, Kind, Obj, controller_uid, make, secret, secret_values
from vellum.model.keys import Seed
from vellum.model.state import Composed, Observed
from vellum.model.team import STORAGE_NAMESPACE, VECTORS_NAMESPACE, Team
from vellum.objectstore.secret import STORE_SECRET

TEAM = Team("default", "team-a", "")
BINDING = Key("v1", "Secret", TEAM.namespace, "vellum-binding")


def receipt(wrong: str) -> Obj:
    """Return the receipt of the binding; the pass that saw the fault repaired it, so it took 0 seconds."""
    now = "2026-03-01T12:00:00Z"
    return {"component": "binding", "object": str(BINDING), "wrong": wrong, "seen": now, "back": now, "seconds": 0.0}


def test_a_full_claim_becomes_ready(world: World) -> None:
    world.put("team-a", notebooks="enabled")
    world.settle()
    assert (world.ready("team-a"), world.ready("team-a", "Synced")) == ("True Available", "True ReconcileSuccess")
    assert all(part["ready"] for part in world.live("team-a")["status"]["components"])


def test_a_settled_platform_writes_nothing(world: World) -> None:
    world.put("team-a", notebooks="enabled")
    world.settle()
    before = world.store.version
    for _ in range(50):
        world.seconds += 40
        world.manager.work()
    assert world.store.version == before


def test_a_restart_of_a_settled_platform_writes_nothing(world: World) -> None:
    world.put("team-a", notebooks="enabled")
    world.settle()
    before = world.snapshot()
    World(world.store).settle()
    assert world.snapshot() == before


def test_a_deleted_object_comes_back_with_a_receipt_and_an_event(world: World) -> None:
    world.put("team-a")
    world.settle()
    before = world.store.get(BINDING)
    assert before
    world.store.delete(BINDING)
    world.settle()
    after = world.store.get(BINDING)
    assert after
    assert (after["data"], after["metadata"]["uid"] == before["metadata"]["uid"]) == (before["data"], False)
    assert world.receipts("team-a") == [receipt("missing")]
    assert [entry["message"] for entry in world.store.events() if entry["type"] == "Warning"] == [
        f"{BINDING} was missing and is put back"
    ]


def test_an_edited_field_is_put_back_and_what_others_added_stays(world: World) -> None:
    world.put("team-a")
    world.settle()
    live = world.store.get(BINDING)
    assert live
    edited = make("v1", "Secret", BINDING.name, BINDING.namespace, labels={"added": "by-hand"})
    world.store.put({**edited, "type": "Opaque", "data": {"VELLUM_BUCKET": "c3RvbGVu"}})
    world.settle()
    after = world.store.get(BINDING)
    assert after
    assert (after["data"], after["metadata"]["labels"].get("added")) == (live["data"], "by-hand")
    assert world.receipts("team-a") == [receipt("edited at .data.VELLUM_BUCKET")]


def test_a_repaired_platform_settles_and_keeps_its_receipts(world: World) -> None:
    """The receipts survive a restart."""
    world.put("team-a")
    world.settle()
    world.store.delete(BINDING)
    world.settle()
    before = world.snapshot()
    again = World(world.store)
    again.settle()
    assert (again.snapshot(), again.receipts("team-a")) == (before, [receipt("missing")])


def test_a_receipt_that_is_written_while_a_pass_composes_stays(world: World) -> None:
    world.put("team-a")
    world.settle()
    compose, binding = world.claims._compose, world.store.get(BINDING)
    assert binding

    def meanwhile(composite: Obj, observed: Observed, now: datetime) -> Composed:
        if not world.receipts("team-a"):
            world.store.receipt(binding, str(BINDING), "missing", NOW, NOW)
        return compose(composite, observed, now)

    world.claims._compose = meanwhile
    world.put("team-a", size="medium")
    world.settle()
    assert (world.ready("team-a"), world.receipts("team-a")) == ("True Available", [receipt("missing")])


def test_deleting_a_claim_removes_what_carries_its_uid_and_nothing_else(world: World) -> None:
    world.put("team-b")
    world.settle()
    before = world.snapshot()
    world.put("team-a", notebooks="enabled", deletionPolicy="Delete")
    world.settle()
    assert len(world.of("team-a")) > 20
    world.store.delete(claim_key("team-a"))
    world.settle()
    assert world.snapshot() == before


def test_disabling_notebooks_removes_exactly_their_objects_but_the_home(world: World) -> None:
    world.put("team-a")
    world.settle()
    without = set(world.snapshot())
    world.put("team-a", notebooks="enabled")
    world.settle()
    assert {(key.kind, key.name) for key in set(world.snapshot()) - without} == {
        ("Notebook", "notebook"),
        ("PersistentVolumeClaim", "notebook-workspace"),
        ("Secret", "notebook-token"),
    }
    world.put("team-a")
    world.settle()
    left = {(key.kind, key.name) for key in set(world.snapshot()) - without}
    assert (left, world.receipts("team-a")) == ({("PersistentVolumeClaim", "notebook-workspace")}, [])


def test_a_part_switched_off_and_on_again_was_not_deleted_by_anybody(world: World) -> None:
    world.put("team-a", notebooks="enabled")
    world.settle()
    world.put("team-a")
    world.manager.work()
    world.put("team-a", notebooks="enabled")
    world.settle()
    assert (world.ready("team-a"), world.receipts("team-a")) == ("True Available", [])


@pytest.mark.parametrize(
    ("api_version", "kind", "namespace", "name"),
    [("v1", "Namespace", "", TEAM.namespace), ("apps/v1", "StatefulSet", VECTORS_NAMESPACE, TEAM.qdrant)],
)
def test_an_object_of_somebody_else_is_neither_adopted_nor_changed(
    world: World, api_version: str, kind: str, namespace: str, name: str
) -> None:
    world.settle()
    foreign = world.store.ensure(make(api_version, kind, name, namespace, spec={"theirs": True}))
    world.put("team-a")
    before = {key for key in world.snapshot() if key.kind != "MLOpsPlatform"}
    world.settle()
    assert (world.ready("team-a"), world.ready("team-a", "PartsReady")) == ("False Waiting", "False NotOurs")
    assert {key for key in world.snapshot() if key.kind != "MLOpsPlatform"} == before
    result = world.store.get(Key.of(foreign)) or {}
    assert (result["spec"], controller_uid(result)) == ({"theirs": True}, None)
    world.store.delete(claim_key("team-a"))
    world.settle()
    assert world.store.get(Key.of(foreign)) == result


def test_an_unguarded_object_of_somebody_else_stops_only_itself(world: World) -> None:
    world.put("team-a")
    world.settle()
    settings = Key("v1", "ConfigMap", TEAM.namespace, "kfp-launcher")
    world.store.delete(settings)
    world.store.ensure(make("v1", "ConfigMap", settings.name, settings.namespace, data={"theirs": "yes"}))
    world.settle()
    assert world.ready("team-a", "Synced") == "False ReconcileError"
    assert (world.store.get(settings) or {})["data"] == {"theirs": "yes"}
    world.store.delete(settings)
    world.seconds += 3
    world.settle()
    assert (world.ready("team-a"), world.ready("team-a", "Synced")) == ("True Available", "True ReconcileSuccess")


def test_a_wrong_seed_changes_nothing_of_the_platform(world: World) -> None:
    world.settle()
    before = {key: obj for key, obj in world.snapshot().items() if key != PLATFORM}
    World(world.store, Seed(b"the seed of some other installation")).settle()
    text = (world.store.get(PLATFORM) or {})["status"]
    assert {"WrongSeed"} <= {entry["reason"] for entry in text["conditions"]}
    assert {key: obj for key, obj in world.snapshot().items() if key != PLATFORM} == before
    World(world.store).settle()
    restored = (world.store.get(PLATFORM) or {})["status"]
    assert {entry["type"]: entry["status"] for entry in restored["conditions"]} == {
        "Synced": "True",
        "Ready": "True",
        "PartsReady": "True",
    }


def test_a_wrong_seed_changes_nothing_of_a_claim(world: World) -> None:
    world.put("team-a")
    world.settle()
    before = {key: obj for key, obj in world.snapshot().items() if key.kind == "Secret"}
    stranger = World(world.store, Seed(b"the seed of some other installation"))
    stranger.settle()
    assert {key: obj for key, obj in world.snapshot().items() if key.kind == "Secret"} == before
    back = World(world.store, SEED)
    back.settle()
    assert (back.ready("team-a"), world.receipts("team-a")) == ("True Available", [])


def test_two_teams_never_see_each_others_names(world: World) -> None:
    for name in ("team-a", "team-b"):
        world.put(name, notebooks="enabled")
    world.settle()
    other = {"team-a": Team("default", "team-b", "").id, "team-b": TEAM.id}
    for name, stranger in other.items():
        mine = world.store.controlled_by(world.live(name)["metadata"]["uid"])
        assert [Key.of(obj) for obj in mine if stranger in str(obj)] == []


def test_a_claim_without_a_platform_waits_and_says_for_whom(world: World) -> None:
    world.store.delete(PLATFORM)
    world.put("team-a")
    world.settle()
    assert (world.ready("team-a"), world.ready("team-a", "PartsReady")) == ("False Waiting", "False NoPlatform")
    assert world.of("team-a") == []


def test_a_broken_controller_stops_nobody_else(world: World) -> None:
    class Broken:
        name = "broken"
        kinds: Sequence[Kind] = (Kind("v1", "Secret"),)

        def reconcile(self, store: SqliteStore, key: Key, now: datetime) -> float | None:
            raise RuntimeError("never works")

    other = Manager(world.store, [], [Broken()], lambda: NOW)
    world.put("team-a")
    world.settle()
    other.work()
    assert world.ready("team-a") == "True Available"
    assert {entry["message"] for entry in world.store.events() if entry["type"] == "Warning"} == {"broken: never works"}


def test_a_refused_platform_says_why_without_the_condition_ready(store: SqliteStore) -> None:
    """A platform that is refused in its first pass sets no condition Ready, as on Crossplane."""
    store.ensure(make("v1", "Namespace", "kubeflow"))
    World(store).settle()
    messages = {entry["type"]: entry["reason"] for entry in (store.get(PLATFORM) or {})["status"]["conditions"]}
    assert messages == {"Synced": "ReconcileError", "PartsReady": "NotOurs"}
    event, told = store.events()
    assert told["reason"] == "NotOurs"
    assert (event["kind"], event["type"], event["reason"]) == ("KubeflowPlatform", "Warning", "ComposeResources")


def test_a_given_key_is_copied_when_it_comes_and_when_it_changes(world: World) -> None:
    """Only the store wakes the claim: the Secret is not composed, a pass only asked for it."""
    store = {"backend": "external", "endpoint": "https://s3.example.org"}
    spec = platform.platform_spec().model_validate({"profile": "light", "objectStore": store})
    world.store.delete(PLATFORM)
    world.settle()
    world.store.put(platform.Platform(spec).manifest())
    world.put("team-a", inference="disabled", pipelines="disabled")
    world.settle()
    copy = Key("v1", "Secret", TEAM.namespace, STORE_SECRET)
    assert world.store.get(copy) is None
    for key in ("first", "second"):
        world.store.put(secret(f"s3-{TEAM.id}", STORAGE_NAMESPACE, {"accesskey": "A", "secretkey": key}))
        world.settle()
        result, bound = world.store.get(copy), world.store.get(BINDING)
        assert result
        assert bound
        assert secret_values(result)["secretkey"] == secret_values(bound)["AWS_SECRET_ACCESS_KEY"] == key
    world.store.delete(Key("v1", "Secret", STORAGE_NAMESPACE, f"s3-{TEAM.id}"))
    world.settle()
    assert world.store.get(copy) == result
    assert next(part for part in world.live("team-a")["status"]["components"] if part["name"] == "bucket")["actor"] == (
        "the platform engineer"
    )
