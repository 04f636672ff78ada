"""What a kubelet does with Secrets: one folder each, one file per key, replaced when the Secret changes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime

from vellum.controlplane.protocol import Store
from vellum.kube.objects import KEEP_FOLDER, Key, Obj, annotations_of, controller_uid, secret_values
from vellum.laptop.state import State, private_folder, write
from vellum.model.component import Kind


def mount(state: State, secret: Obj) -> None:
    """Write a Secret's keys as files (0600); files of keys that are gone go too."""
    meta = secret["metadata"]
    folder = state.secrets(meta["namespace"]) / meta["name"]
    values = secret_values(secret)
    private_folder(folder)
    for name, value in values.items():
        path = folder / name
        # Bytes: read as text, a Windows line end never equals itself and would be written again for ever.
        if not path.exists() or path.read_bytes() != value.encode():
            write(path, value)
    for path in folder.iterdir():
        if path.name not in values:
            path.unlink()


class MountController:
    """Stands in for the kubelet's secret volumes.

    The first look also removes folders of Secrets that are gone: a SIGKILL between the deletion in the store and the
    one on disk would leave keys behind that nobody asks about any more.
    """

    name = "mounts"
    kinds: Sequence[Kind] = (Kind("v1", "Secret"),)

    def __init__(self, state: State) -> None:
        self._state = state
        self._swept = False

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Make the folder say what the Secret says."""
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
    """Stands in for a storage provisioner: a PersistentVolumeClaim is a folder; deleting it deletes the data.

    A team's volume claim keeps its folder unless its annotation ``KEEP_FOLDER`` is ``no``. Old ones have none.
    A claim of the same name finds the folder again.
    """

    name = "volumes"
    kinds: Sequence[Kind] = (Kind("v1", "PersistentVolumeClaim"),)
    finalizer = "platform.vellum.dev/volume"

    def __init__(self, state: State) -> None:
        self._state = state

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Make the folder, or remove it with its claim once nothing runs in it."""
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
        # What cannot be deleted is said and tried again: the next team of this name must not find it.
        if folder.exists() and not _is_kept(claim):
            shutil.rmtree(folder)
        store.set_finalizer(key, uid, self.finalizer, present=False)
        return None


def _is_kept(claim: Obj) -> bool:
    """Tell whether the folder stays. A volume claim without an owner is deleted only where its data is to go."""
    return annotations_of(claim).get(KEEP_FOLDER, "yes" if controller_uid(claim) else "no") != "no"


IN_USE = ".in-use"
"""Written by the workload controller while a process runs in a volume, as Kubernetes protects claims in use."""
