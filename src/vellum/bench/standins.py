"""Controllers of kinds whose own controllers cannot run here: each does on the API server what the real one does.

The pods they make are real objects: admission, Pod Security, quotas and the scheduler judge them; only kwok pretends to
run them. The object store and its tenants are not here: the laptop's controllers serve them, with a real SeaweedFS.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from vellum.bench.furniture import PROVISIONER
from vellum.components import team_components
from vellum.controlplane.protocol import Store
from vellum.kube.objects import Key, Obj, make
from vellum.model.component import Kind, Running

_PREDICTOR = "-predictor"


def _owner(key: Key, kind: Kind) -> Key:
    """Return the key of the kind's object that what is named was made for, also when that is gone: by its name."""
    name = key.name if key.kind == kind.kind else key.name.removesuffix(_PREDICTOR)
    return Key(kind.api_version, kind.kind, key.namespace, name)


class NotebookStandIn:
    """Does what Kubeflow's notebook controller 1.11 does: StatefulSet and Service, and the pod's state as status."""

    name = "stand-in/notebooks"
    kinds: Sequence[Kind] = (
        Kind("kubeflow.org/v1", "Notebook"),
        Kind("apps/v1", "StatefulSet"),
        Kind("v1", "Service"),
    )

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Make what runs the notebook, and say whether it does."""
        del now
        key = _owner(key, self.kinds[0])
        notebook = store.get(key)
        if notebook is None or "deletionTimestamp" in notebook["metadata"]:
            return None
        store.ensure(_stateful_set(notebook))
        store.ensure(_service(notebook, {"statefulset": key.name}, 8888))
        made = store.get(Key("apps/v1", "StatefulSet", key.namespace, key.name))
        _tell(store, "notebook", notebook, _ready(made))
        return None


class InferenceStandIn:
    """Does what KServe 0.20 does in Standard mode: a Deployment and a Service for the predictor, and conditions."""

    name = "stand-in/inference"
    kinds: Sequence[Kind] = (
        Kind("serving.kserve.io/v1beta1", "InferenceService"),
        Kind("apps/v1", "Deployment"),
        Kind("v1", "Service"),
    )

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Make what runs the predictor, and say whether it does."""
        del now
        key = _owner(key, self.kinds[0])
        service = store.get(key)
        if service is None or "deletionTimestamp" in service["metadata"]:
            return None
        name = f"{key.name}{_PREDICTOR}"
        store.ensure(_deployment(service, name))
        store.ensure(_service(service, {"app": f"isvc.{name}"}, 8080, name))
        made = store.get(Key("apps/v1", "Deployment", key.namespace, name))
        _tell(store, "search", service, _ready(made))
        return None


class VolumeStandIn:
    """A provisioner: a claim that waits for one gets a volume, which goes with it."""

    name = "stand-in/volumes"
    kinds: Sequence[Kind] = (Kind("v1", "PersistentVolumeClaim"), Kind("v1", "PersistentVolume"))

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Make a volume for a claim, or remove one whose claim is gone."""
        del now
        obj = store.get(key)
        if obj is None:
            return None
        if key.kind == "PersistentVolume":
            if (obj.get("status") or {}).get("phase") == "Released":
                store.delete(key, uid=obj["metadata"]["uid"])
            return None
        if "deletionTimestamp" not in obj["metadata"] and not obj["spec"].get("volumeName"):
            store.ensure(_volume(obj))
        return None


def _tell(store: Store, component: str, obj: Obj, running: Running) -> None:
    status = team_components()[component].status(obj, running)
    store.patch_status(Key.of(obj), obj["metadata"]["uid"], status)


def _ready(made: Obj | None) -> Running:
    ready = ((made or {}).get("status") or {}).get("readyReplicas", 0)
    wanted = ((made or {}).get("spec") or {}).get("replicas", 1)
    return Running(ready=ready >= wanted, message=f"{ready} of {wanted} pods are ready")


def _owned(owner: Obj, obj: Obj) -> Obj:
    meta = owner["metadata"]
    reference = {
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"],
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": [reference]}}


def _stateful_set(notebook: Obj) -> Obj:
    meta = notebook["metadata"]
    labels = {**meta.get("labels", {}), "statefulset": meta["name"], "notebook-name": meta["name"]}
    pod = notebook["spec"]["template"]["spec"]
    first = {
        "ports": [{"name": "notebook-port", "containerPort": 8888, "protocol": "TCP"}],
        **pod["containers"][0],
    }
    prefix = {"name": "NB_PREFIX", "value": f"/notebook/{meta['namespace']}/{meta['name']}"}
    first["env"] = [*first.get("env", ()), prefix]
    spec = {
        "replicas": 0 if "kubeflow-resource-stopped" in (meta.get("annotations") or {}) else 1,
        "serviceName": meta["name"],
        "selector": {"matchLabels": {"statefulset": meta["name"]}},
        "template": {
            "metadata": {"labels": labels},
            "spec": {**pod, "containers": [first, *pod["containers"][1:]]},
        },
    }
    return _owned(notebook, make("apps/v1", "StatefulSet", meta["name"], meta["namespace"], spec=spec))


def _deployment(service: Obj, name: str) -> Obj:
    meta = service["metadata"]
    predictor = dict(service["spec"]["predictor"])
    replicas = predictor.pop("minReplicas", 1)
    predictor.pop("maxReplicas", None)
    labels = {"app": f"isvc.{name}", "serving.kserve.io/inferenceservice": meta["name"]}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": f"isvc.{name}"}},
        "template": {"metadata": {"labels": labels}, "spec": predictor},
    }
    return _owned(service, make("apps/v1", "Deployment", name, meta["namespace"], spec=spec))


def _service(owner: Obj, selector: dict[str, str], port: int, name: str = "") -> Obj:
    meta = owner["metadata"]
    spec = {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": port}]}
    return _owned(owner, make("v1", "Service", name or meta["name"], meta["namespace"], spec=spec))


def _volume(claim: Obj) -> Obj:
    meta = claim["metadata"]
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": meta["namespace"],
                 "name": meta["name"], "uid": meta["uid"]}  # fmt: skip
    spec = {
        "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
        "accessModes": claim["spec"]["accessModes"], "claimRef": reference, "storageClassName": "bench",
        "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": f"/nowhere/{meta['uid']}"},
    }  # fmt: skip
    annotations = {"pv.kubernetes.io/provisioned-by": PROVISIONER}
    return make("v1", "PersistentVolume", f"pvc-{meta['uid']}", annotations=annotations, spec=spec)
