"""Mounts Secrets as a kubelet does: one folder each, one file per key, all keys replaced in one step."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from vellum.controlplane.protocol import Store
from vellum.host.files import private_folder, write
from vellum.host.state import State
from vellum.kube.objects import KEEP_FOLDER, Key, Kind, Obj, annotations_of, controller_uid, secret_values

DATA = "..data"
"""The link to the folder that holds the values, in every mounted Secret, here and on a cluster."""


def mount(state: State, secret: Obj) -> None:
    """Write a Secret's keys as files (0600); a reader of ``..data`` sees all the old values or all the new ones.

    As a kubelet does it: a folder that never changes holds the files, ``..data`` is a link to that folder, and each key
    is a link into ``..data``. New values get a new folder, and one rename points ``..data`` at it.
    """
    meta = secret["metadata"]
    folder = private_folder(state.secrets(meta["namespace"]) / meta["name"])
    values = {name: value.encode() for name, value in secret_values(secret).items()}
    data = folder / DATA
    if _files(data) != values:
        _link(data, _written(folder, values).name)
    for name in values:
        _link(folder / name, f"{DATA}/{name}")
    # A killed process leaves other entries; an earlier version had files in the place of the links.
    kept = {*values, DATA, data.readlink().name}
    for path in folder.iterdir():
        if path.name not in kept:
            _remove(path)


def _files(folder: Path) -> dict[str, bytes] | None:
    # Bytes: text mode changes Windows line ends, so such a value would be written again forever.
    try:
        return {path.name: path.read_bytes() for path in folder.iterdir()}
    except OSError:
        return None


def _written(folder: Path, values: Mapping[str, bytes]) -> Path:
    """Return a new folder that holds the values. Its name was never used: a reader compares names."""
    fresh = Path(tempfile.mkdtemp(prefix=datetime.now(UTC).strftime("..%Y_%m_%d_%H_%M_%S."), dir=folder))
    try:
        for name, value in values.items():
            write(fresh / name, value)
    except OSError:
        # On a full disk this is tried again and again.
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return fresh


def _link(path: Path, target: str) -> None:
    if path.is_symlink() and str(path.readlink()) == target:
        return
    fresh = path.with_name("..new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


class MountController:
    """Does the work of the kubelet's secret volumes.

    The first pass also removes folders of deleted Secrets: a SIGKILL between the deletion in the store and the one on
    disk would leave keys behind for good.
    """

    name = "mounts"
    kinds: Sequence[Kind] = (Kind("v1", "Secret"),)

    def __init__(self, state: State) -> None:
        self._state = state
        self._swept = False

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Make the folder equal to the Secret."""
        del now
        if not self._swept:
            self._sweep(store)
        secret = store.get(key)
        if secret is None:
            shutil.rmtree(self._state.secrets(key.namespace) / key.name, ignore_errors=True)
        else:
            mount(self._state, secret)
        return None

    def _sweep(self, store: Store) -> None:
        for folder in (self._state.root / "secrets").glob("*/*"):
            if store.get(Key("v1", "Secret", folder.parent.name, folder.name)) is None:
                shutil.rmtree(folder)
        self._swept = True


class VolumeController:
    """Does the work of a storage provisioner: a PersistentVolumeClaim is a folder; deleting it deletes the data.

    A team's volume claim keeps its folder unless its annotation ``KEEP_FOLDER`` is ``no``. Volume claims of older
    versions have no annotation. A claim of the same name finds the folder again.
    """

    name = "volumes"
    kinds: Sequence[Kind] = (Kind("v1", "PersistentVolumeClaim"),)
    finalizer = "platform.vellum.dev/volume"

    def __init__(self, state: State) -> None:
        self._state = state

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Create the folder, or remove it with its claim once no process runs in it."""
        del now
        claim = store.get(key)
        if claim is None:
            return None
        uid, folder = claim["metadata"]["uid"], self._state.data(key.namespace, key.name)
        if "deletionTimestamp" not in claim["metadata"]:
            store.set_finalizer(key, uid, self.finalizer, present=True)
            private_folder(folder)
            store.patch_status(key, uid, {"phase": "Bound"})
            return None
        if (folder / IN_USE).exists():
            return 0.1
        # A failed deletion is reported and tried again: the next team of this name must not find the data.
        if folder.exists() and not _is_kept(claim):
            shutil.rmtree(folder)
        store.set_finalizer(key, uid, self.finalizer, present=False)
        return None


def _is_kept(claim: Obj) -> bool:
    """Return whether the folder stays. A volume claim without an owner is deleted only where its data is to go."""
    return annotations_of(claim).get(KEEP_FOLDER, "yes" if controller_uid(claim) else "no") != "no"


IN_USE = ".in-use"
"""The workload controller sets it while a process runs in a volume, as Kubernetes protects claims in use."""
