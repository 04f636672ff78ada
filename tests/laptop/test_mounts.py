"""Secrets and volumes on disk say what the store says, also after a crash between the two."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
from tests.laptop.conftest import NOW

from vellum.controlplane.manager import Manager, Reconciles
from vellum.controlplane.store import SqliteStore
from vellum.kube.objects import KEEP_FOLDER, Key, make, secret
from vellum.laptop.mounts import IN_USE, MountController, VolumeController
from vellum.laptop.state import State

BINDING = Key("v1", "Secret", "team", "binding")
VOLUME = Key("v1", "PersistentVolumeClaim", "team", "home")


def work(store: SqliteStore, *controllers: Reconciles[SqliteStore]) -> None:
    manager = Manager(store, [], controllers, lambda: NOW)
    while manager.work() < 0.05 or manager.watch._changed:
        pass


def seen(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_secret_is_a_folder_of_private_files(state: State, store: SqliteStore) -> None:
    store.put(secret("binding", "team", {"KEY": "one", ".dotted": "two"}))
    work(store, MountController(state))
    folder = state.secrets("team") / "binding"
    assert seen(folder) == {"KEY": b"one", ".dotted": b"two"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent, folder.parent.parent)} == {
        0o700
    }


def test_files_follow_the_secret_and_leftovers_of_killed_writes_go(state: State, store: SqliteStore) -> None:
    controller = MountController(state)
    store.put(secret("binding", "team", {"KEY": "one", ".dotted": "two"}))
    work(store, controller)
    folder = state.secrets("team") / "binding"
    (folder / ".KEY.4711.1.new").write_text("on")
    store.put(secret("binding", "team", {"KEY": "changed\r\n"}))
    work(store, controller)
    assert seen(folder) == {"KEY": b"changed\r\n"}
    written = (folder / "KEY").stat().st_ino
    work(store, controller)
    assert (folder / "KEY").stat().st_ino == written
    store.delete(BINDING)
    controller.reconcile(store, BINDING, NOW)
    assert not folder.exists()


def test_keys_of_a_secret_that_went_during_a_crash_go_at_the_next_start(
    state: State, store: SqliteStore
) -> None:
    for name in ("binding", "gone"):
        store.put(secret(name, "team", {"KEY": name}))
    work(store, MountController(state))
    store.delete(Key("v1", "Secret", "team", "gone"))
    work(store, MountController(state))
    assert seen(state.root / "secrets") == {"team/binding/KEY": b"binding"}


def test_a_volume_is_bound_and_its_data_goes_with_its_claim_once_nobody_uses_it(
    state: State, store: SqliteStore
) -> None:
    controller = VolumeController(state)
    store.put(make("v1", "PersistentVolumeClaim", "home", "team"))
    work(store, controller)
    folder = state.data("team", "home")
    assert ((store.get(VOLUME) or {})["status"], stat.S_IMODE(folder.stat().st_mode)) == (
        {"phase": "Bound"},
        0o700,
    )
    (folder / "notes").write_text("data")
    (folder / IN_USE).touch()
    store.delete(VOLUME)
    assert controller.reconcile(store, VOLUME, NOW) == 0.1
    assert seen(folder) == {"notes": b"data", IN_USE: b""}
    (folder / IN_USE).unlink()
    controller.reconcile(store, VOLUME, NOW)
    assert (store.get(VOLUME), folder.exists()) == (None, False)


def test_a_volume_that_says_so_keeps_its_folder_for_a_claim_of_the_same_name(
    state: State, store: SqliteStore
) -> None:
    controller = VolumeController(state)
    claim = make("v1", "PersistentVolumeClaim", "home", "team", annotations={KEEP_FOLDER: "yes"})
    for _ in range(2):
        store.put(claim)
        work(store, controller)
        (state.data("team", "home") / "notes").write_text("data")
        store.delete(VOLUME)
        controller.reconcile(store, VOLUME, NOW)
        assert (store.get(VOLUME), seen(state.data("team", "home"))) == (None, {"notes": b"data"})


@pytest.mark.parametrize(
    ("said", "kept"), [({}, True), ({KEEP_FOLDER: "?"}, True), ({KEEP_FOLDER: "no"}, False)]
)
def test_a_teams_folder_goes_only_where_its_volume_says_so(
    state: State, store: SqliteStore, said: dict[str, str], kept: bool
) -> None:
    """An earlier version wrote no annotation, and the first pass of this one may fail before it writes one."""
    controller = VolumeController(state)
    owner = store.put(make("v1", "ConfigMap", "owner", "team"))
    store.apply(
        make("v1", "PersistentVolumeClaim", "home", "team", annotations=said), owner=owner, resource="home"
    )
    work(store, controller)
    (state.data("team", "home") / "notes").write_text("data")
    store.delete(VOLUME)
    controller.reconcile(store, VOLUME, NOW)
    assert (store.get(VOLUME), state.data("team", "home").exists()) == (None, kept)


def test_a_claim_stays_until_its_data_is_really_gone(
    state: State, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller = VolumeController(state)
    store.put(make("v1", "PersistentVolumeClaim", "home", "team"))
    work(store, controller)
    store.delete(VOLUME)

    def fails(path: Path) -> None:
        raise PermissionError(path)

    with monkeypatch.context() as broken:
        broken.setattr(shutil, "rmtree", fails)
        with pytest.raises(PermissionError):
            controller.reconcile(store, VOLUME, NOW)
    assert store.get(VOLUME)
    controller.reconcile(store, VOLUME, NOW)
    assert store.get(VOLUME) is None
