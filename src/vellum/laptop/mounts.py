"""What a kubelet does with Secrets: one folder each, one file per key, replaced when the Secret changes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime

from vellum.controlplane.protocol import Store
from vellum.kube.objects import Key, Obj, secret_values
from vellum.laptop.state import State, write
from vellum.model.component import Kind


def mount(state: State, secret: Obj) -> None:
    """Write a Secret's keys as files (0600); files of keys that are gone go too."""
    meta = secret["metadata"]
    folder = state.secrets(meta["namespace"]) / meta["name"]
    values = secret_values(secret)
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    for name, value in values.items():
        path = folder / name
        if not path.exists() or path.read_text() != value:
            write(path, value)
    for path in folder.iterdir():
        if path.name not in values and not path.name.startswith("."):
            path.unlink()


class MountController:
    """Stands in for the kubelet's secret volumes."""

    name = "mounts"
    kinds: Sequence[Kind] = (Kind("v1", "Secret"),)

    def __init__(self, state: State) -> None:
        self._state = state

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Make the folder say what the Secret says."""
        del now
        secret = store.get(key)
        if secret is None:
            shutil.rmtree(self._state.secrets(key.namespace) / key.name, ignore_errors=True)
        else:
            mount(self._state, secret)
        return None


class VolumeController:
    """Stands in for a storage provisioner: a PersistentVolumeClaim is a folder; deleting it deletes the data."""

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
            folder.mkdir(parents=True, mode=0o700, exist_ok=True)
            store.set_finalizer(key, uid, self.finalizer, present=True)
            store.patch_status(key, uid, {"phase": "Bound"})
            return None
        if (folder / IN_USE).exists():
            return 0.1
        shutil.rmtree(folder, ignore_errors=True)
        store.set_finalizer(key, uid, self.finalizer, present=False)
        return None


IN_USE = ".in-use"
"""Written by the workload controller while a process runs in a volume, as Kubernetes protects claims in use."""
