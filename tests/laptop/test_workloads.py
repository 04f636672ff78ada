"""Workload objects become processes, and end with all that belongs to them: a real supervisor, tiny servers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.host.servers import Supervised

from vellum.controlplane.store import SqliteStore
from vellum.host.ports import Ports
from vellum.kube.objects import DOMAIN, Key, Kind, Obj, make
from vellum.laptop.workloads import Realised, WorkloadController
from vellum.model.component import PlatformComponent, Spec, Wish
from vellum.model.process import Process, Running, Site
from vellum.model.rotation import ENVIRONMENT, mark

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SET = Key("apps/v1", "StatefulSet", "team", "served")
VOLUME = Key("v1", "PersistentVolumeClaim", "team", "data-served-0")


class Served(PlatformComponent[Spec]):
    """A part whose process is a tiny server."""

    name = "served"
    summary = "A tiny server"
    spec = Spec
    workload = Kind("apps/v1", "StatefulSet")
    ports = ("http",)

    def __init__(self, supervised: Supervised) -> None:
        self.supervised = supervised

    def objects(self, wish: Wish[Spec]) -> dict[str, Obj]:
        raise AssertionError("nothing is composed here")

    def process(self, obj: Obj, site: Site) -> Process:
        return self.supervised.server(obj["metadata"]["name"], port=site.ports["http"])

    def status(self, obj: Obj, running: Running) -> Obj:
        return {"readyReplicas": int(running.ready), "message": running.message}


@pytest.fixture
def store(supervised: Supervised) -> Iterator[SqliteStore]:
    store = SqliteStore(supervised.state.store, lambda: NOW)
    store.put(make("v1", "Namespace", "team"))
    yield store
    store.close()


def controller(supervised: Supervised, *components: Realised) -> WorkloadController:
    ports = Ports(supervised.state.root / "ports.json")
    return WorkloadController(supervised.state, ports, supervised.supervisor, components, {})


def stateful_set(team: str) -> Obj:
    labels = {"app.kubernetes.io/component": "served", f"{DOMAIN}/team": team}
    spec = {
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
        "volumeClaimTemplates": [{"metadata": {"name": "data", "labels": {f"{DOMAIN}/team": team}}, "spec": {}}],
    }
    return make("apps/v1", "StatefulSet", "served", "team", labels=labels, spec=spec)


@pytest.mark.parametrize(
    ("labels", "left"), [(None, True), ({f"{DOMAIN}/team": "b"}, True), ({f"{DOMAIN}/team": "a"}, False)]
)
def test_a_set_takes_its_teams_volume_along_and_nobody_elses(
    supervised: Supervised, store: SqliteStore, labels: dict[str, str] | None, left: bool
) -> None:
    workloads = controller(supervised, Served(supervised))
    store.put(make("v1", "PersistentVolumeClaim", "data-served-0", "team", labels=labels, spec={}))
    store.put(stateful_set("a"))
    workloads.reconcile(store, SET, NOW)
    store.delete(SET)
    workloads.reconcile(store, SET, NOW)
    assert (store.get(SET), store.get(VOLUME) is not None) == (None, left)


def test_another_generation_of_keys_is_another_process(supervised: Supervised, store: SqliteStore) -> None:
    workloads = controller(supervised, Served(supervised))
    environments = []
    for marked in ({}, mark(2), mark(2), mark(3)):
        store.put({**stateful_set("a"), "metadata": {**stateful_set("a")["metadata"], "annotations": marked}})
        workloads.reconcile(store, SET, NOW)
        (process, _, _) = supervised.supervisor.running()["served"]
        environments.append(process.env.get(ENVIRONMENT))
    assert environments == [None, "2", "2", "3"]


def test_a_process_is_found_while_others_come_and_go(supervised: Supervised, tmp_path: Path) -> None:
    workloads, done = controller(supervised), threading.Event()
    names = workloads._names
    names |= {SET: "served", **{Key("v1", "Thing", "", str(-number)): "another" for number in range(2000)}}

    def comes_and_goes() -> None:
        number = 0
        while not done.is_set():
            number += 1
            names[Key("v1", "Thing", "", str(number))] = "another"
            names.pop(Key("v1", "Thing", "", str(number - 9)), None)

    other, before = threading.Thread(target=comes_and_goes), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    other.start()
    try:
        assert {workloads.key_of("absent") for _ in range(1000)} == {None}
        assert workloads.key_of("served") == SET
    finally:
        done.set()
        other.join()
        sys.setswitchinterval(before)
