"""The store's promises, one by one: what it refuses, what it keeps, and when it writes nothing."""

from __future__ import annotations

import sqlite3
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.controlplane.conftest import Opens
from tests.controlplane.world import NOW

from vellum.compose import adoption
from vellum.controlplane.events import KEPT_EVENTS
from vellum.controlplane.store import SqliteStore
from vellum.errors import StoreError
from vellum.kube.objects import COMPONENT, Key, Obj, make
from vellum.model.repair import KEPT_RECEIPTS
from vellum.model.state import Event

NAMESPACE = Key("v1", "Namespace", "", "home")
OWNER: Obj = {"apiVersion": "x/v1", "kind": "Owner", "metadata": {"name": "owner", "uid": "owner-1"}}
OTHER: Obj = {"apiVersion": "x/v1", "kind": "Owner", "metadata": {"name": "other", "uid": "owner-2"}}
KEY = Key("v1", "ConfigMap", "home", "settings")


@pytest.fixture(autouse=True)
def home(store: SqliteStore) -> None:
    store.put(make("v1", "Namespace", "home"))


def settings(**data: Any) -> Obj:
    return make("v1", "ConfigMap", "settings", "home", labels={"ours": "yes"}, data=data)


def composed(store: SqliteStore) -> Obj:
    """Return an object of the part named part that an owner, which is stored too, controls."""
    owner = store.put({"apiVersion": "x/v1", "kind": "Owner", "metadata": {"name": "owner"}})
    wanted = make("v1", "ConfigMap", "settings", "home", labels={COMPONENT: "part"}, data={"a": "1"})
    return store.apply(wanted, owner=owner, resource="settings")[0]


def got(store: SqliteStore, key: Key = KEY) -> Obj:
    result = store.get(key)
    assert result is not None
    return result


def meta(obj: Obj, *names: str) -> list[Any]:
    return [obj["metadata"].get(name) for name in names]


def refusal(error: pytest.ExceptionInfo[StoreError]) -> tuple[str, bool]:
    return error.value.code, bool(error.value.fix)


def test_every_write_takes_the_next_resource_version(store: SqliteStore) -> None:
    first = store.put(settings(a="1"))
    second = store.put(settings(a="2"))
    assert [int(obj["metadata"]["resourceVersion"]) for obj in (first, second)] == [2, 3]
    assert store.version == 3


def test_generation_moves_with_the_spec_and_with_nothing_else(store: SqliteStore) -> None:
    uid = store.put(settings(a="1"))["metadata"]["uid"]
    store.patch_status(KEY, uid, {"phase": "Ready"})
    store.set_finalizer(KEY, uid, "test/held", present=True)
    store.put({**settings(a="1"), "metadata": {**settings()["metadata"], "labels": {"ours": "no"}}})
    assert meta(got(store), "generation") == [1]
    assert meta(store.put(settings(a="2")), "generation", "uid") == [2, uid]


def test_a_write_that_changes_nothing_is_no_write(store: SqliteStore) -> None:
    uid = store.put(settings(a="1"))["metadata"]["uid"]
    store.apply(make("v1", "ConfigMap", "applied", "home", data={"a": "1"}), owner=OWNER, resource="applied")
    store.patch_status(KEY, uid, {"phase": "Ready"})
    store.set_finalizer(KEY, uid, "test/held", present=True)
    before = store.version
    store.put(settings(a="1"))
    store.ensure(settings(a="other"))
    store.apply(make("v1", "ConfigMap", "applied", "home", data={"a": "1"}), owner=OWNER, resource="applied")
    assert store.patch_status(KEY, uid, {"phase": "Ready"}) is False
    assert store.set_finalizer(KEY, uid, "test/held", present=True) is False
    assert store.version == before


def test_put_ignores_the_versions_and_status_of_its_input(store: SqliteStore) -> None:
    uid = store.put(settings(a="1"))["metadata"]["uid"]
    read = store.get(KEY) or {}
    store.patch_status(KEY, uid, {"phase": "Ready"})
    before = store.version
    store.put({**read, "status": {"phase": "Lost"}})
    assert (store.version, got(store)["status"]) == (before, {"phase": "Ready"})
    store.delete(KEY)
    assert store.put(read)["metadata"]["uid"] != uid
    assert store.put({**read, "data": {"a": "2"}})["metadata"]["uid"] == got(store)["metadata"]["uid"] != uid


def test_applying_sets_and_drops_our_fields_and_keeps_others(store: SqliteStore) -> None:
    """Applying sets our fields, drops those that we stopped applying, and keeps fields of others."""
    store.apply(settings(a="1", b="1"), owner=OWNER, resource="settings")
    live = got(store)
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"theirs": "kept"}}
    store.put({**theirs, "metadata": {"name": "settings", "namespace": "home", "labels": {"theirs": "kept"}}})
    after, wrong = store.apply(settings(a="2"), owner=OWNER, resource="settings")
    assert (after["data"], wrong) == ({"a": "2", "theirs": "kept"}, "")
    assert after["metadata"]["labels"] == {"ours": "yes", "theirs": "kept"}
    assert meta(after, "uid", "ownerReferences") == meta(live, "uid", "ownerReferences")


def test_an_apply_tells_what_was_wrong(store: SqliteStore) -> None:
    def apply() -> str:
        return store.apply(settings(a="1"), owner=OWNER, resource="settings")[1]

    messages = [apply(), apply()]
    store.put(make("v1", "ConfigMap", "settings", "home", data={"a": "edited"}))
    messages += [apply(), apply()]
    store.delete(KEY)
    assert [*messages, apply()] == ["missing", "", "edited at .data.a", "", "missing"]


@pytest.mark.parametrize("owner", [None, OTHER])
def test_an_object_of_somebody_else_is_refused(store: SqliteStore, owner: Obj | None) -> None:
    if owner is None:
        store.put(settings(a="theirs"))
    else:
        store.apply(settings(a="theirs"), owner=owner, resource="settings")
    before = got(store)
    with pytest.raises(StoreError) as error:
        store.apply(settings(a="ours"), owner=OWNER, resource="settings")
    assert (refusal(error), got(store)) == (("VEL305", True), before)
    # Compose refuses with the same text.
    assert error.value.what == adoption.refused([before]).fatal


@pytest.mark.parametrize("state", ["does not exist", "is being deleted"])
def test_nothing_is_made_in_a_namespace_that_is_missing_or_going(store: SqliteStore, state: str) -> None:
    if state == "does not exist":
        store.finish(NAMESPACE, uid=_deleted(store))
    else:
        _deleted(store)
    before = store.everything()
    with pytest.raises(StoreError, match=state) as error:
        store.apply(settings(a="1"), owner=OWNER, resource="settings")
    assert refusal(error) == ("VEL306", True)
    for write in (store.put, store.ensure):
        with pytest.raises(StoreError, match="VEL306"):
            write(settings(a="1"))
    assert store.everything() == before


def _deleted(store: SqliteStore) -> str:
    store.delete(NAMESPACE)
    return str(got(store, NAMESPACE)["metadata"]["uid"])


def test_a_namespace_goes_only_when_it_is_deleted_and_empty(store: SqliteStore) -> None:
    store.put(settings(a="1"))
    uid = got(store, NAMESPACE)["metadata"]["uid"]
    tries = [store.finish(NAMESPACE, uid=uid)]
    store.delete(NAMESPACE)
    tries.append(store.finish(NAMESPACE, uid=uid))
    store.delete(KEY)
    tries += [store.finish(NAMESPACE, uid="another"), store.finish(NAMESPACE, uid=uid)]
    assert (tries, store.everything()) == ([False, False, False, True], [])


def test_finalizers_hold_an_object_until_the_last_one_goes(store: SqliteStore) -> None:
    uid = store.put(settings(a="1"))["metadata"]["uid"]
    for name in ("test/one", "test/two"):
        store.set_finalizer(KEY, uid, name, present=True)
    assert [store.delete(KEY, uid=uid), store.delete(KEY, uid=uid)] == [True, False]
    assert meta(got(store), "deletionTimestamp") == ["2026-03-01T12:00:00Z"]
    with pytest.raises(StoreError, match="still being deleted") as error:
        store.put(settings(a="2"))
    assert refusal(error) == ("VEL304", True)
    store.set_finalizer(KEY, uid, "test/one", present=False)
    assert got(store)["metadata"]["finalizers"] == ["test/two"]
    store.set_finalizer(KEY, uid, "test/two", present=False)
    assert store.get(KEY) is None


def test_only_the_object_with_the_uid_is_touched(store: SqliteStore) -> None:
    old = store.put(settings(a="1"))["metadata"]["uid"]
    store.delete(KEY, uid=old)
    new = store.put(settings(a="1"))
    done = [
        store.delete(KEY, uid=old),
        store.patch_status(KEY, old, {"phase": "Lost"}),
        store.set_finalizer(KEY, old, "test/held", present=True),
    ]
    assert (done, got(store)) == ([False, False, False], new)


def test_a_returned_object_is_the_callers_own(store: SqliteStore) -> None:
    given = settings(a="1")
    for obj in (given, store.put(given), got(store), store.list("v1", "ConfigMap")[0]):
        obj["data"]["a"] = "changed"
        obj["metadata"]["labels"]["ours"] = "changed"
    assert (got(store)["data"], got(store)["metadata"]["labels"]) == ({"a": "1"}, {"ours": "yes"})


def test_a_list_is_by_kind_namespace_and_labels_in_name_order(store: SqliteStore) -> None:
    store.put(make("v1", "Namespace", "away"))
    for name, namespace, team in (("b", "home", "x"), ("a", "home", "y"), ("c", "away", "x")):
        store.put(make("v1", "ConfigMap", name, namespace, labels={"team": team}))
    store.put(make("v2", "ConfigMap", "d", "home"))

    def names(**which: Any) -> list[str]:
        return [obj["metadata"]["name"] for obj in store.list("v1", "ConfigMap", **which)]

    assert (names(), names(namespace="home"), names(labels={"team": "x"})) == (["c", "a", "b"], ["a", "b"], ["c", "b"])


def test_a_watch_gives_every_changed_key_once(store: SqliteStore) -> None:
    watch = store.watch()
    store.put(settings(a="1"))
    store.put(settings(a="2"))
    store.put(settings(a="2"))
    assert (watch.changes(), watch.changes()) == ([KEY], [])
    store.delete(KEY)
    assert watch.changes() == [KEY]


def test_a_transaction_that_fails_leaves_no_trace_in_memory_or_file(store: SqliteStore, opened: Opens) -> None:
    live = composed(store)
    before, version, watch = store.everything(), store.version, store.watch()

    def half() -> None:
        with store.transaction("all or nothing"):
            store.put(settings(a="2"))
            store.put(make("v1", "ConfigMap", "more", "home"))
            store.delete(NAMESPACE)
            store.record(KEY, Event("Normal", "Said", "never happened"))
            store.receipt(live, "never", "happened", NOW, NOW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    seen = (store.everything(), store.version, watch.changes(), store.events())
    assert seen == (before, version, [], [])
    store.close()
    again = opened()
    assert (again.everything(), again.version) == (before, version)


def test_a_status_that_cannot_be_stored_is_what_everybody_reads(store: SqliteStore, opened: Opens) -> None:
    live = store.put(settings(a="1"))
    uid, watch = live["metadata"]["uid"], store.watch()
    store.patch_status(KEY, uid, {"ready": True, "receipts": ["one"]})
    watch.changes()
    pages = store._database._db.execute("PRAGMA page_count").fetchone()[0]
    store._database._db.execute(f"PRAGMA max_page_count={pages}")
    large = "x" * 2**17
    assert store.patch_status(KEY, uid, {"ready": False, "why": large}, keeps=("receipts",)) is True
    assert got(store)["status"] == {"ready": False, "why": large, "receipts": ["one"]}
    assert watch.changes() == [KEY]
    assert store.patch_status(KEY, uid, {"ready": False, "why": large}, keeps=("receipts",)) is False
    trouble = store.trouble()
    assert trouble is not None
    assert trouble.code == "VEL303"

    store._database._db.execute("PRAGMA max_page_count=100000")
    assert store.trouble() is None
    after = store.everything()
    store.close()
    assert opened().everything() == after


@pytest.mark.parametrize(
    "body",
    [
        "null",
        "[]",
        "5",
        "{}",
        '{"metadata": []}',
        '{"apiVersion": 1, "kind": "x", "metadata": {"name": "x"}}',
        "[" * 100_000,
        '{"apiVersion": "v1", "kind": "x", "metadata": {"name": "x", "uid": "u", "generation": 1}, "spec": []}',
    ],
    ids=range(8),
)
def test_a_store_that_holds_what_is_no_object_is_refused(store: SqliteStore, opened: Opens, body: str) -> None:
    store._database._db.execute("UPDATE objects SET body=? WHERE kind='Namespace' AND name='home'", (body,))
    store.close()
    with pytest.raises(StoreError, match="VEL302"):
        opened()


def test_a_full_disk_changes_nothing_even_if_somebody_goes_on(store: SqliteStore, opened: Opens) -> None:
    store.put(settings(a="1"))
    before, version = store.everything(), store.version
    pages = store._database._db.execute("PRAGMA page_count").fetchone()[0]
    store._database._db.execute(f"PRAGMA max_page_count={pages}")
    large = make("v1", "ConfigMap", "large", "home", data={"a": "x" * 2**17})
    with pytest.raises(StoreError, match="VEL303"):
        store.put(large)

    def goes_on() -> None:
        with store.transaction("a pass"):
            store.put(settings(a="2"))
            with pytest.raises(StoreError, match="VEL303"):
                store.apply(large, owner=OWNER, resource="large")
            store.put(settings(a="3"))

    with pytest.raises(StoreError, match="VEL303"):
        goes_on()
    assert (store.everything(), store.version) == (before, version)
    store._database._db.execute("PRAGMA max_page_count=100000")
    store.put(settings(a="4"))
    after = store.everything()
    store.close()
    assert opened().everything() == after


def test_what_was_acknowledged_is_there_after_a_restart(store: SqliteStore, opened: Opens) -> None:
    store.apply(settings(a="1", b="1"), owner=OWNER, resource="settings")
    store.record(KEY, Event("Normal", "Said", "something"))
    before, version, events = store.everything(), store.version, store.events()
    store.close()
    again = opened()
    assert (again.everything(), again.version, again.events()) == (before, version, events)
    after, wrong = again.apply(settings(a="1"), owner=OWNER, resource="settings")
    assert (after["data"], wrong) == ({"a": "1"}, "")


def test_a_second_writer_is_refused_and_told_who_writes(store: SqliteStore, opened: Opens) -> None:
    with pytest.raises(StoreError, match=r"process \d+ is already writing") as error:
        opened()
    assert refusal(error) == ("VEL301", True)
    store.close()
    assert opened().get(NAMESPACE)


@pytest.mark.parametrize("damage", ["other file", "other words", "other JSON", "no version"])
def test_a_damaged_file_is_refused_and_left_alone(store: SqliteStore, opened: Opens, damage: str) -> None:
    store.close()
    _damage(store.path, damage)
    before = store.path.read_bytes()
    for _ in range(2):
        with pytest.raises(StoreError, match="cannot be opened") as error:
            opened()
        assert refusal(error) == ("VEL302", True)
    assert store.path.read_bytes() == before


def _damage(path: Path, damage: str) -> None:
    if damage == "other file":
        path.write_bytes(b"not a database at all" * 100)
        return
    statement = {
        "other words": "UPDATE objects SET body='{'",
        "other JSON": "UPDATE objects SET body='[]'",
        "no version": "UPDATE meta SET value='new' WHERE name='version'",
    }[damage]
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()


def test_a_newer_file_is_refused(store: SqliteStore, opened: Opens) -> None:
    store.close()
    db = sqlite3.connect(store.path)
    db.execute("UPDATE meta SET value='2' WHERE name='schema'")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match="newer Vellum") as error:
        opened()
    assert refusal(error) == ("VEL302", True)


def test_a_folder_that_does_not_exist_is_refused(opened: Opens, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="VEL302"):
        opened(tmp_path / "nowhere" / "store.db")


def test_nobody_else_can_read_the_files(store: SqliteStore, tmp_path: Path) -> None:
    store.put(settings(a="1"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(["store.db", "store.db-shm", "store.db-wal", "store.lock"], 0o600)


def test_the_same_sentence_is_counted_not_repeated(store: SqliteStore) -> None:
    before = store.version
    for message in ("one", "two", "one", "one"):
        store.record(KEY, Event("Warning", "Said", message))
    assert [(event["message"], event["count"]) for event in store.events()] == [("one", 3), ("two", 1)]
    assert store.version == before


def test_events_are_bounded_and_the_newest_stay(store: SqliteStore) -> None:
    with store.transaction("a crash loop"):
        for number in range(KEPT_EVENTS + 5):
            store.record(KEY, Event("Warning", "Said", str(number)))
    assert [event["message"] for event in store.events()] == [str(number) for number in range(5, KEPT_EVENTS + 5)]


def test_receipts_are_in_the_owners_status_newest_first(store: SqliteStore, opened: Opens) -> None:
    """The receipts survive a restart."""
    live = composed(store)
    for number in range(KEPT_RECEIPTS + 5):
        store.receipt(live, f"process {number}", "killed by signal 9", NOW, NOW + timedelta(seconds=1.25))
    store.close()
    receipts = got(opened(), Key("x/v1", "Owner", "", "owner"))["status"]["receipts"]
    assert receipts[0] == {
        "component": "part",
        "object": f"process {KEPT_RECEIPTS + 4}",
        "wrong": "killed by signal 9",
        "seen": "2026-03-01T12:00:00Z",
        "back": "2026-03-01T12:00:01Z",
        "seconds": 1.25,
    }
    assert [receipt["object"] for receipt in receipts] == [
        f"process {number}" for number in range(KEPT_RECEIPTS + 4, 4, -1)
    ]
