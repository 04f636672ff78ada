"""Secrets and volumes on disk equal those in the store, also after a crash between the two writes."""

from __future__ import annotations

import errno
import shutil
import stat
from pathlib import Path

import pytest
from tests.laptop.conftest import NOW

from vellum.controlplane.manager import Manager, Reconciles
from vellum.controlplane.store import SqliteStore
from vellum.host.files import private_folder
from vellum.host.state import State
from vellum.kube.objects import KEEP_FOLDER, Key, make, secret
from vellum.laptop import mounts
from vellum.laptop.mounts import IN_USE, MountController, VolumeController, mount

BINDING = Key("v1", "Secret", "team", "binding")
VOLUME = Key("v1", "PersistentVolumeClaim", "team", "home")


def work(store: SqliteStore, *controllers: Reconciles[SqliteStore]) -> None:
    manager = Manager(store, [], controllers, lambda: NOW)
    while manager.work() < 0.05 or manager.watch._changed:
        pass


def seen(folder: Path) -> dict[str, bytes]:
    """Return the files, a mounted Secret's by the links that programs open."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.parent.name.startswith("..")
    }


def entries(folder: Path) -> set[str]:
    """Return the names in a mounted Secret, with the folder of the values as ``..time``."""
    held = (folder / "..data").readlink()
    return {"..time" if path.name == held.name else path.name for path in folder.iterdir()}


def test_a_secret_is_a_folder_of_private_files(state: State, store: SqliteStore) -> None:
    store.put(secret("binding", "team", {"KEY": "one", ".dotted": "two"}))
    work(store, MountController(state))
    folder = state.secrets("team") / "binding"
    assert seen(folder) == {"KEY": b"one", ".dotted": b"two"}
    assert entries(folder) == {"..data", "..time", "KEY", ".dotted"}
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in ("KEY", ".dotted")} == {0o600}
    folders = (folder / "..data", folder, folder.parent, folder.parent.parent)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_files_follow_the_secret_and_leftovers_of_killed_writes_go(state: State, store: SqliteStore) -> None:
    controller = MountController(state)
    store.put(secret("binding", "team", {"KEY": "one", ".dotted": "two"}))
    work(store, controller)
    folder = state.secrets("team") / "binding"
    (folder / "..2026_11_29_15_00_00.killed").mkdir()
    (folder / "..2026_11_29_15_00_00.killed" / "KEY").write_text("on")
    (folder / "..new").symlink_to("..2026_11_29_15_00_00.killed")
    store.put(secret("binding", "team", {"KEY": "changed\r\n"}))
    work(store, controller)
    assert (seen(folder), entries(folder)) == ({"KEY": b"changed\r\n"}, {"..data", "..time", "KEY"})
    written = (folder / "KEY").stat().st_ino
    work(store, controller)
    assert (folder / "KEY").stat().st_ino == written
    store.delete(BINDING)
    controller.reconcile(store, BINDING, NOW)
    assert not folder.exists()


def test_the_plain_files_of_an_earlier_version_are_replaced(state: State, store: SqliteStore) -> None:
    folder = private_folder(state.secrets("team") / "binding")
    for name, value in {"KEY": "one", "GONE": "two", ".KEY.4711.1.new": "o"}.items():
        (folder / name).write_text(value)
    store.put(secret("binding", "team", {"KEY": "one"}))
    work(store, MountController(state))
    assert (seen(folder), entries(folder)) == ({"KEY": b"one"}, {"..data", "..time", "KEY"})
    assert str((folder / "KEY").readlink()) == "..data/KEY"


def test_a_failed_mount_keeps_the_old_values_and_adds_no_folder(
    state: State, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values that cannot be written leave the old ones in place."""
    mount(state, secret("binding", "team", {"KEY": "one"}))
    folder = state.secrets("team") / "binding"

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space", path)

    with monkeypatch.context() as broken:
        broken.setattr(mounts, "write", full)
        for _ in range(3):
            with pytest.raises(OSError, match="no space"):
                mount(state, secret("binding", "team", {"KEY": "two"}))
    assert (seen(folder), entries(folder)) == ({"KEY": b"one"}, {"..data", "..time", "KEY"})


def test_keys_of_a_secret_that_went_during_a_crash_go_at_the_next_start(state: State, store: SqliteStore) -> None:
    for name in ("binding", "gone"):
        store.put(secret(name, "team", {"KEY": name}))
    work(store, MountController(state))
    store.delete(Key("v1", "Secret", "team", "gone"))
    work(store, MountController(state))
    assert seen(state.root / "secrets") == {"team/binding/KEY": b"binding"}


def test_an_unused_volume_is_deleted_with_its_claim(state: State, store: SqliteStore) -> None:
    """A volume is bound, and its data is deleted with the claim once no process uses it."""
    controller = VolumeController(state)
    store.put(make("v1", "PersistentVolumeClaim", "home", "team"))
    work(store, controller)
    folder = state.data("team", "home")
    assert ((store.get(VOLUME) or {})["status"], stat.S_IMODE(folder.stat().st_mode)) == ({"phase": "Bound"}, 0o700)
    (folder / "notes").write_text("data")
    (folder / IN_USE).touch()
    store.delete(VOLUME)
    assert controller.reconcile(store, VOLUME, NOW) == 0.1
    assert seen(folder) == {"notes": b"data", IN_USE: b""}
    (folder / IN_USE).unlink()
    controller.reconcile(store, VOLUME, NOW)
    assert (store.get(VOLUME), folder.exists()) == (None, False)


def test_a_kept_volume_is_found_by_a_claim_of_the_same_name(state: State, store: SqliteStore) -> None:
    """A volume that is marked to be kept leaves its folder for the next claim of its name."""
    controller = VolumeController(state)
    claim = make("v1", "PersistentVolumeClaim", "home", "team", annotations={KEEP_FOLDER: "yes"})
    for _ in range(2):
        store.put(claim)
        work(store, controller)
        (state.data("team", "home") / "notes").write_text("data")
        store.delete(VOLUME)
        controller.reconcile(store, VOLUME, NOW)
        assert (store.get(VOLUME), seen(state.data("team", "home"))) == (None, {"notes": b"data"})


@pytest.mark.parametrize(("said", "kept"), [({}, True), ({KEEP_FOLDER: "?"}, True), ({KEEP_FOLDER: "no"}, False)])
def test_a_teams_folder_goes_only_where_its_volume_says_so(
    state: State, store: SqliteStore, said: dict[str, str], kept: bool
) -> None:
    """An earlier version wrote no annotation, and the first pass of this one may fail before it writes one."""
    controller = VolumeController(state)
    owner = store.put(make("v1", "ConfigMap", "owner", "team"))
    store.apply(make("v1", "PersistentVolumeClaim", "home", "team", annotations=said), owner=owner, resource="home")
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
