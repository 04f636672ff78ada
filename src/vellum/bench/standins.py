"""Stand-ins for controllers that cannot run here: each does on the API server what the real controller does.

The pods that they make are real objects: admission, Pod Security, quotas and the scheduler judge them, and only kwok
pretends to run them. The object store and its tenants are not here: the laptop's controllers serve them, with a real
SeaweedFS. KServe's controller is real too; the stand-in here only starts it, as a kubelet would.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from vellum.bench.base_objects import PROVISIONER
from vellum.components import team_components
from vellum.controlplane.protocol import Store
from vellum.host.supervisor import Supervisor
from vellum.kube.objects import Key, Kind, Obj, current, make, owned, secret, stamp, status_of
from vellum.model.process import Process, Running
from vellum.model.release import SYSTEM

SPEC = "bench.vellum.dev/spec"
"""The annotation with the hash of the spec from which a workload was made."""
TLS_SECRET = "function-vellum-tls-server"  # noqa: S105  # a name
SOON = 0.2
"""Seconds until a process that is starting is looked at again."""


@dataclass(slots=True)
class WorkloadStandIn:
    """Makes the workload of an object, reports whether it runs, and recreates what is deleted.

    A change of the object reaches its pods through a new workload; the real controllers change the pod template.
    """

    name: str
    kinds: Sequence[Kind]
    """The kind that it serves, then the kinds that it makes."""
    component: str
    """The component whose status it writes."""
    suffix: str
    """The suffix that it adds to the object's name to name the workload."""
    makes: Callable[[Obj, str], list[Obj]]
    """Returns, for the object and the workload's name, the workload and the objects that it needs."""

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Make the workload of the object, and write whether it runs."""
        del now
        served = self.kinds[0]
        name = key.name if key.kind == served.kind else key.name.removesuffix(self.suffix)
        obj = store.get(Key(served.api_version, served.kind, key.namespace, name))
        if obj is None or "deletionTimestamp" in obj["metadata"]:
            return None
        wanted, *more = self.makes(obj, f"{name}{self.suffix}")
        wanted = _marked(wanted)
        workload, *_ = [store.ensure(made) for made in (wanted, *more)]
        if _mark(workload) != _mark(wanted) and "deletionTimestamp" not in workload["metadata"]:
            store.delete(Key.of(workload), uid=workload["metadata"]["uid"])
            return None
        status = team_components()[self.component].status(obj, _running(workload))
        store.patch_status(Key.of(obj), obj["metadata"]["uid"], status)
        return None


class Kubelet:
    """Runs a program in place of the pods of its Deployment, which kwok only pretends to run."""

    kinds: Sequence[Kind] = (Kind("apps/v1", "Deployment"),)

    def __init__(self, supervisor: Supervisor, process: Process, namespace: str, deployment: str) -> None:
        """Store the process, and a name or pattern for its Deployment: Crossplane adds the revision to a package's."""
        self.name = f"kubelet/{process.name}"
        self._supervisor, self._process = supervisor, process
        self._namespace, self._deployment = namespace, deployment
        self._running: set[Key] = set()

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Start or stop the program, as the Deployment asks."""
        del now
        if key.namespace != self._namespace or not fnmatchcase(key.name, self._deployment):
            return None
        if _wanted(store.get(key)):
            self._running.add(key)
            self._supervisor.ensure(self._process)
        else:
            self._running.discard(key)
            if not self._running:
                self._supervisor.end(self._process.name)
        return None


class FunctionRuntime:
    """Runs the function as a process, and writes its address for Crossplane, as the runtime ``External`` requires."""

    name = "stand-in/function"
    kinds: Sequence[Kind] = (Kind("pkg.crossplane.io/v1", "FunctionRevision"), Kind("v1", "Secret"))

    def __init__(self, supervisor: Supervisor, process: Process, endpoint: str, certificate: str) -> None:
        """Store the function's process and address, and the certificate that it presents."""
        self._supervisor, self._process, self._endpoint = supervisor, process, endpoint
        self._certificate = certificate
        self._running: set[Key] = set()

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Start or stop the process, and write its address and health into the status of the active revision."""
        if key.kind == "Secret":
            return None
        obj = store.get(key)
        if obj is None or "deletionTimestamp" in obj["metadata"] or obj["spec"]["desiredState"] != "Active":
            self._running.discard(key)
            if not self._running:
                self._supervisor.end(self._process.name)
            return None
        self._running.add(key)
        if not self._supervisor.ensure(self._process).ready:
            return SOON
        if (current(obj, "RuntimeHealthy") or {}).get("status") != "True":
            # Crossplane waits for this Secret, although it needs it only for the webhooks of providers.
            shown = {"tls.crt": self._certificate}
            store.ensure(owned(secret(TLS_SECRET, SYSTEM, shown), obj))
            store.patch_status(key, obj["metadata"]["uid"], self._healthy(obj, stamp(now)))
        return None

    def _healthy(self, obj: Obj, now: str) -> Obj:
        """Return the status that Crossplane's own runtime writes (v2.3.4, pkg/v1 conditions), beside what it has."""
        status = status_of(obj)
        healthy = {"type": "RuntimeHealthy", "status": "True", "reason": "HealthyPackageRevision"}
        rest = [condition for condition in status.get("conditions") or () if condition["type"] != healthy["type"]]
        here = {"endpoint": self._endpoint, "tlsServerSecretName": TLS_SECRET}
        return {**status, **here, "conditions": [*rest, {**healthy, "lastTransitionTime": now}]}


class VolumeStandIn:
    """A provisioner: a waiting claim gets a volume, which is deleted with the claim."""

    name = "stand-in/volumes"
    kinds: Sequence[Kind] = (Kind("v1", "PersistentVolumeClaim"), Kind("v1", "PersistentVolume"))

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Create a volume for a claim, or delete the volume of a claim that is gone."""
        del now
        obj = store.get(key)
        if obj is None:
            return None
        if key.kind == "PersistentVolume":
            if status_of(obj).get("phase") == "Released":
                store.delete(key, uid=obj["metadata"]["uid"])
            return None
        if "deletionTimestamp" not in obj["metadata"] and not obj["spec"].get("volumeName"):
            store.ensure(_volume(obj))
        return None


def _running(workload: Obj) -> Running:
    ready = status_of(workload).get("readyReplicas", 0)
    wanted = workload["spec"].get("replicas", 1)
    return Running(ready=ready >= wanted, message=f"{ready} of {wanted} pods are ready")


def _marked(obj: Obj) -> Obj:
    """Return the object with a hash of its spec: defaults that the API server adds do not make it another one."""
    mark = hashlib.sha256(json.dumps(obj["spec"], sort_keys=True).encode()).hexdigest()[:16]
    return {**obj, "metadata": {**obj["metadata"], "annotations": {SPEC: mark}}}


def _mark(obj: Obj) -> str | None:
    return (obj["metadata"].get("annotations") or {}).get(SPEC)


def _wanted(deployment: Obj | None) -> bool:
    if deployment is None or "deletionTimestamp" in deployment["metadata"]:
        return False
    return bool(deployment["spec"].get("replicas", 1))


def _notebook(notebook: Obj, name: str) -> list[Obj]:
    meta = notebook["metadata"]
    labels = {**meta.get("labels", {}), "statefulset": meta["name"], "notebook-name": meta["name"]}
    pod = notebook["spec"]["template"]["spec"]
    first = {"ports": [{"name": "notebook-port", "containerPort": 8888, "protocol": "TCP"}], **pod["containers"][0]}
    prefix = {"name": "NB_PREFIX", "value": f"/notebook/{meta['namespace']}/{meta['name']}"}
    first["env"] = [*first.get("env", ()), prefix]
    spec = {
        "replicas": 0 if "kubeflow-resource-stopped" in (meta.get("annotations") or {}) else 1,
        "serviceName": meta["name"],
        "selector": {"matchLabels": {"statefulset": meta["name"]}},
        "template": {"metadata": {"labels": labels}, "spec": {**pod, "containers": [first, *pod["containers"][1:]]}},
    }
    workload = make("apps/v1", "StatefulSet", name, meta["namespace"], spec=spec)
    return [owned(workload, notebook), _service(notebook, {"statefulset": name}, 8888, name)]


def _service(owner: Obj, selector: dict[str, str], port: int, name: str) -> Obj:
    meta = owner["metadata"]
    spec = {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": port}]}
    return owned(make("v1", "Service", name, meta["namespace"], spec=spec), owner)


def _volume(claim: Obj) -> Obj:
    meta = claim["metadata"]
    reference = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
    }
    spec = {
        "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
        "accessModes": claim["spec"]["accessModes"],
        "claimRef": reference,
        "storageClassName": "bench",
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": f"/nowhere/{meta['uid']}"},
    }
    annotations = {"pv.kubernetes.io/provisioned-by": PROVISIONER}
    return make("v1", "PersistentVolume", f"pvc-{meta['uid']}", annotations=annotations, spec=spec)


NOTEBOOKS = WorkloadStandIn(
    "stand-in/notebooks",
    (Kind("kubeflow.org/v1", "Notebook"), Kind("apps/v1", "StatefulSet"), Kind("v1", "Service")),
    "notebook",
    "",
    _notebook,
)
"""What Kubeflow's notebook controller 1.11 makes: StatefulSet and Service, and the pod's state as status."""
