"""Composed workloads become processes: the work of a kubelet and five controllers of a cluster.

A component that names a workload kind turns its live objects into Process values, which are kept running. The status is
the one that the kind's own controller would write. A stand-in, and named as one in the docs.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from vellum.controlplane.protocol import Store
from vellum.host.files import private_folder
from vellum.host.log_tail import own_reason
from vellum.host.ports import Ports, loopback
from vellum.host.state import State
from vellum.host.supervisor import Supervisor
from vellum.kube.objects import COMPONENT, DOMAIN, Key, Kind, Obj, labels_of, secret_values
from vellum.laptop import gateway
from vellum.laptop.folders import connect_folder
from vellum.laptop.models import Models
from vellum.laptop.mounts import IN_USE, mount
from vellum.model.component import AnyComponent
from vellum.model.process import Process, Route, Running, Site
from vellum.model.rotation import ENVIRONMENT, marked

Realised: TypeAlias = AnyComponent | Models
FINALIZER = "platform.vellum.dev/process"
OS_RETRY_SECONDS = 1.0
_MOST_KEYS = 20
"""The most keys of a Secret that a message names."""
CAUSE_SECONDS = 2.0
"""Seconds between checks why a served model is not ready: the server writes it only to its log."""


class WorkloadController:
    """Runs workload objects on this machine."""

    name = "workloads"

    def __init__(
        self,
        state: State,
        ports: Ports,
        supervisor: Supervisor,
        components: Sequence[Realised],
        programs: Mapping[str, str],
    ) -> None:
        self._state, self._ports, self._supervisor, self._programs = state, ports, supervisor, programs
        self._components = [component for component in components if component.workload]
        self.kinds: Sequence[Kind] = tuple({component.workload for component in self._components if component.workload})
        self._names: dict[Key, str] = {}
        self._routes: dict[Key, tuple[Route, ...]] = {}
        self._gateway: tuple[Path, int] | None = None

    def key_of(self, process: str) -> Key | None:
        """Return the object that a process runs."""
        # Called from the threads of processes, while the manager's thread adds and removes names.
        return next((key for key, name in self._names.copy().items() if name == process), None)

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Run, replace or stop the process of one object, and write its status."""
        del now
        obj = store.get(key)
        component = self._component(obj) if obj else None
        if obj is None or component is None:
            self._stop(key)
            return None
        if "deletionTimestamp" in obj["metadata"]:
            self._end(store, key, component, obj)
            return None
        store.set_finalizer(key, obj["metadata"]["uid"], FINALIZER, present=True)
        live = store.get(key) or obj
        try:
            return self._realise(store, key, component, live)
        except OSError as error:
            # The status must be true even on a full disk: a running process is as ready as its probe shows.
            running = self._supervisor.status(self._names.get(key, ""))
            missing = Running(ready=False, message=f"cannot be started: {error}")
            self._report(store, component, live, running if running.ready or running.message else missing)
            return OS_RETRY_SECONDS

    def _realise(self, store: Store, key: Key, component: Realised, live: Obj) -> float | None:
        if self._supervisor.status(self._names.get(key, "")).taken:
            self._recheck_ports(component, live)
        try:
            site = self._site(store, component, live)
            process = component.process(live, site)
            process = replace(
                process,
                ports=(*process.ports, *site.ports.values()),
                env={**process.env, **_generation(live)},
                env_from=(*process.env_from, *self._env_from(store, live)),
            )
        except NotStartable as reason:
            self._report(store, component, live, Running(ready=False, message=str(reason)))
            return 1.0
        return self._run(store, key, component, live, process)

    def _run(self, store: Store, key: Key, component: Realised, obj: Obj, process: Process) -> float | None:
        """Run the process and set its status; return the seconds until the next check."""
        if self._names.get(key, process.name) != process.name:
            self._stop(key)
        self._names[key], self._routes[key] = process.name, process.routes
        if process.gateway:
            self._gateway = (process.directory, process.gateway)
        self.publish_routes()
        running = self._supervisor.ensure(process)
        for volume in self._volumes(obj):
            private_folder(volume)
            (volume / IN_USE).touch(mode=0o600)
        asks = process.explains and not running.ready
        if asks and (cause := own_reason(self._state.log(process.name))):
            running = replace(running, message=cause)
        self._report(store, component, obj, running)
        return CAUSE_SECONDS if asks else None

    def publish_routes(self) -> None:
        """Give Envoy the routes of everything that runs."""
        if self._gateway:
            folder, port = self._gateway
            gateway.publish(folder, port, [route for routes in self._routes.values() for route in routes])

    def _report(self, store: Store, component: Realised, obj: Obj, running: Running) -> None:
        url = next((route.prefix for route in self._routes.get(Key.of(obj), ())), "")
        if url and self._gateway:
            running = replace(running, url=f"http://127.0.0.1:{self._gateway[1]}{url}")
        store.patch_status(Key.of(obj), obj["metadata"]["uid"], component.status(obj, running))

    def _end(self, store: Store, key: Key, component: Realised, obj: Obj) -> None:
        self._stop(key)
        policy = obj["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
        for volume in self._volumes(obj):
            (volume / IN_USE).unlink(missing_ok=True)
        if policy.get("whenDeleted") == "Delete":
            _delete_claims(store, obj)
        if not self._volumes(obj) and not component.data:
            shutil.rmtree(self._folder(obj), ignore_errors=True)
        store.set_finalizer(key, obj["metadata"]["uid"], FINALIZER, present=False)

    def _stop(self, key: Key) -> None:
        self._routes.pop(key, None)
        name = self._names.pop(key, None)
        if name:
            self._supervisor.remove(name)
            self.publish_routes()

    def _component(self, obj: Obj) -> Realised | None:
        for component in self._components:
            # Objects that users made themselves have no component's label.
            if component.workload == Key.of(obj).gvk and labels_of(obj).get(COMPONENT, Models.name) == component.name:
                return component
        return None

    def _site(self, store: Store, component: Realised, obj: Obj) -> Site:
        namespace = obj["metadata"].get("namespace", "")
        for claim in _claims(obj):
            store.ensure(claim)
        secrets = store.list("v1", "Secret", namespace=namespace)
        for secret in secrets:
            mount(self._state, secret)
        owner, twins = f"{obj['kind'].lower()}/{namespace}/{obj['metadata']['name']}", dict(component.twins)
        return Site(
            directory=self._folder(obj),
            secrets=self._state.secrets(namespace),
            ports={name: self._ports.get(f"{owner}/{name}", twin=twins.get(name, 0)) for name in component.ports},
            mounted={secret["metadata"]["name"]: secret_values(secret) for secret in secrets},
            env=container_env(store, namespace, obj),
            python=sys.executable,
            connect=connect_folder(self._state),
            programs=self._programs,
            tls=self._state.root / "pki",
            runtime=self._state.runtime,
            loopback=loopback(),
        )

    def _env_from(self, store: Store, obj: Obj) -> tuple[Path, ...]:
        """Return the folders of the Secrets from which the first container takes all its variables.

        Raises:
            NotStartable: a Secret is missing that is not optional.
        """
        container: Obj = next(iter(_pod(obj).get("containers") or ()), {})
        result, namespace = [], obj["metadata"].get("namespace", "")
        for entry in container.get("envFrom") or ():
            reference = entry.get("secretRef") or {"name": "", "optional": True}
            if store.get(Key("v1", "Secret", namespace, reference["name"])) is None and not reference.get("optional"):
                raise NotStartable(f"CreateContainerConfigError: the Secret {reference['name']} does not exist")
            result.append(self._state.secrets(namespace) / reference["name"])
        return tuple(result)

    def _recheck_ports(self, component: Realised, obj: Obj) -> None:
        namespace = obj["metadata"].get("namespace", "")
        for name in component.ports:
            self._ports.recheck(f"{obj['kind'].lower()}/{namespace}/{obj['metadata']['name']}/{name}")

    def _folder(self, obj: Obj) -> Path:
        volumes = self._volumes(obj)
        meta = obj["metadata"]
        return volumes[0] if volumes else self._state.data(meta["namespace"], f"{obj['kind'].lower()}-{meta['name']}")

    def _volumes(self, obj: Obj) -> list[Path]:
        namespace = obj["metadata"].get("namespace", "")
        named = [claim["metadata"]["name"] for claim in _claims(obj)]
        mounted = _pod(obj).get("volumes") or ()
        named += [entry["persistentVolumeClaim"]["claimName"] for entry in mounted if "persistentVolumeClaim" in entry]
        return [self._state.data(namespace, name) for name in named]


def _generation(obj: Obj) -> dict[str, str]:
    """Return the generation of its keys: another one means another process, as on a cluster another pod."""
    generation = marked(obj)
    return {ENVIRONMENT: str(generation)} if generation > 1 else {}


class NotStartable(Exception):  # noqa: N818  # an answer between two methods, not an error
    """A reference of the pod names a missing object; the kubelet would report CreateContainerConfigError."""


def _pod(obj: Obj) -> Obj:
    spec = obj["spec"]
    pod: Obj = spec.get("predictor") or (spec.get("template") or {}).get("spec") or {}
    return pod


def _claims(obj: Obj) -> list[Obj]:
    """Return the volume claims of a StatefulSet's first pod; they have no owner, so the data outlives the set."""
    meta = obj["metadata"]
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                **template["metadata"],
                "name": f"{template['metadata']['name']}-{meta['name']}-0",
                "namespace": meta["namespace"],
            },
            "spec": template["spec"],
        }
        for template in obj["spec"].get("volumeClaimTemplates") or ()
    ]


def _delete_claims(store: Store, obj: Obj) -> None:
    """Delete the volume claims of the same team; leave a claim of that name that another owner made."""
    team = labels_of(obj).get(f"{DOMAIN}/team")
    for claim in _claims(obj):
        live = store.get(Key.of(claim))
        if live and team and labels_of(live).get(f"{DOMAIN}/team") == team:
            store.delete(Key.of(live), uid=live["metadata"]["uid"])


def container_env(store: Store, namespace: str, obj: Obj) -> dict[str, str]:
    """Resolve the first container's environment as a kubelet does; a missing Secret blocks the start."""
    containers = _pod(obj).get("containers") or ()
    return resolved(store, namespace, containers[0].get("env") or () if containers else ())


def resolved(store: Store, namespace: str, entries: Iterable[Obj]) -> dict[str, str]:
    """Return variables with their values.

    Raises:
        NotStartable: Secrets, or keys of them, are missing; it names all of them.
    """
    results: dict[str, str] = {}
    missing: dict[str, None] = {}
    for entry in entries:
        reference = (entry.get("valueFrom") or {}).get("secretKeyRef")
        if reference is None:
            results[entry["name"]] = entry.get("value", "")
            continue
        secret = store.get(Key("v1", "Secret", namespace, reference["name"]))
        values = secret_values(secret) if secret else {}
        value = values.get(reference["key"])
        if value is not None:
            results[entry["name"]] = value
        elif not reference.get("optional"):
            missing[_missing(reference, namespace, None if secret is None else sorted(values))] = None
    if missing:
        raise NotStartable("; ".join(missing))
    return results


def _missing(reference: Obj, namespace: str, keys: list[str] | None) -> str:
    """Return what a reference lacks: the Secret, or the key in an existing Secret."""
    name, key = reference["name"], reference["key"]
    if keys is None:
        return f"the Secret {name} with a key {key} does not exist in the namespace {namespace}"
    known = f"it has {', '.join(keys[:_MOST_KEYS])}" if keys else "it is empty"
    return f"the Secret {name} in the namespace {namespace} has no key {key} ({known})"
