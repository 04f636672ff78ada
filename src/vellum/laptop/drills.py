"""Faults made on purpose on this machine: every process is killed, composed objects are deleted and edited."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from vellum.components import team_components
from vellum.host.client import Client
from vellum.kube.health import health
from vellum.kube.objects import Key, Kind, Obj, controller_uid, current, make
from vellum.model.drill import Drill, is_back

DELETED = (
    Kind("v1", "ConfigMap"),
    Kind("v1", "Secret"),
    Kind("networking.k8s.io/v1", "NetworkPolicy"),
    *(part.workload for part in team_components().values() if part.expendable and part.workload),
)
"""Kinds without data: their content is composed again, and a notebook's home is a volume of its own."""
EDITED: Mapping[Kind, Obj] = MappingProxyType(
    {
        Kind("v1", "ResourceQuota"): {"spec": {"hard": {"pods": "9999"}}},
        Kind("networking.k8s.io/v1", "NetworkPolicy"): {"spec": {"policyTypes": []}},
        Kind("rbac.authorization.k8s.io/v1", "Role"): {"rules": []},
    }
)
"""Fields that no program reads on a laptop, so a process that is starting does not get a wrong value."""


def drills(client: Client) -> Iterator[Drill]:
    """Yield a kill of every process, and for the platform and each claim faults in its first object of every kind."""
    for process in client.ask("processes"):
        yield _killed(client, process["name"])
    for composite in client.ask("list"):
        for kind in DELETED:
            if before := _first(client, kind, composite):
                yield _deleted(client, kind, before)
        for kind, change in EDITED.items():
            if before := _first(client, kind, composite):
                yield _edited(client, kind, before, change)


def _killed(client: Client, name: str) -> Drill:
    before = _process(client, name)

    def kill() -> None:
        """Kill the process, unless it is down already."""
        # Pid 0 would be this process's own group.
        if before["pid"]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(before["pid"], signal.SIGKILL)

    def whole() -> bool:
        """Return whether the fault is repaired."""
        now = _process(client, name)
        return bool(now["ready"]) and now["pid"] not in (0, before["pid"])

    what = "killed" if before["pid"] else "down already"
    return Drill(f"process {name}", what, kill, whole, lambda: _at_rest(client))


def _process(client: Client, name: str) -> Obj:
    gone: Obj = {"ready": False, "pid": 0}
    return next((process for process in client.ask("processes") if process["name"] == name), gone)


def _first(client: Client, kind: Kind, composite: Obj) -> Obj | None:
    result = _listed(client, kind)
    return next((obj for obj in result if controller_uid(obj) == composite["metadata"]["uid"]), None)


def _listed(client: Client, kind: Kind) -> list[Obj]:
    result: list[Obj] = client.ask("list", kinds=[kind])
    return result


def _deleted(client: Client, kind: Kind, before: Obj) -> Drill:
    key = Key.of(before)

    def delete() -> None:
        """Delete the object."""
        client.ask("delete", kind=key.gvk, namespace=key.namespace, name=key.name)

    return _drill(client, kind, before, "deleted", delete)


def _edited(client: Client, kind: Kind, before: Obj, change: Obj) -> Drill:
    key = Key.of(before)
    manifest = make(key.api_version, key.kind, key.name, key.namespace, **change)
    return _drill(client, kind, before, "edited", lambda: client.ask("edit", manifest=manifest))


def _drill(client: Client, kind: Kind, before: Obj, what: str, harm: Callable[[], object]) -> Drill:
    key = Key.of(before)

    def whole() -> bool:
        """Return whether the fault is repaired."""
        now = next((obj for obj in _listed(client, kind) if Key.of(obj) == key), None)
        return is_back(before, now) and health(now, key.name)[0]

    return Drill(str(key), what, harm, whole, lambda: _at_rest(client))


def _at_rest(client: Client) -> bool:
    composites: list[Obj] = client.ask("list")
    processes: list[Obj] = client.ask("processes")
    ready = [(current(obj, "Ready") or {}).get("status") == "True" for obj in composites]
    return all(ready) and all(process["ready"] for process in processes)
