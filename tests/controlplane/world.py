"""A laptop's control plane without processes: every workload and tenant becomes ready by a status, as operators write it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from vellum.api import platform
from vellum.api.claim import API_VERSION, KIND, Claim, claim_spec
from vellum.components import all_components
from vellum.compose import entry
from vellum.controlplane.composite import WAITING, CompositeController
from vellum.controlplane.manager import Manager
from vellum.controlplane.namespaces import NamespaceController, api_services
from vellum.controlplane.store import SqliteStore
from vellum.kube.objects import Key, Kind, Obj, condition, make
from vellum.model.keys import Seed
from vellum.model.process import Running
from vellum.model.team import STORAGE_NAMESPACE, VECTORS_NAMESPACE
from vellum.objectstore.seaweed import API

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SEED = Seed(b"a seed that no installation has ever drawn")
PLATFORM = Key(API_VERSION, platform.KIND, "", platform.NAME)
COMPONENTS = tuple(all_components().values())
HOME = "default"


class Workloads:
    """Writes what the controller of each workload's kind would write once the workload runs; holds it while it ends."""

    name = "workloads"
    kinds: Sequence[Kind] = tuple({part.workload for part in COMPONENTS if part.workload})

    def reconcile(self, store: SqliteStore, key: Key, now: datetime) -> float | None:
        obj = store.get(key)
        if obj is None:
            return None
        uid = obj["metadata"]["uid"]
        if "deletionTimestamp" in obj["metadata"]:
            store.set_finalizer(key, uid, "test/process", present=False)
            return None
        store.set_finalizer(key, uid, "test/process", present=True)
        part = next(part for part in COMPONENTS if part.workload == (obj["apiVersion"], obj["kind"]))
        store.patch_status(key, uid, part.status(obj, Running(ready=True, message="")))
        return None


class Tenants:
    """Writes what the object store's operator writes once a bucket and its key exist."""

    name = "tenants"
    kinds: Sequence[Kind] = tuple(
        Kind(API, kind) for kind in ("Bucket", "S3Identity", "S3Policy", "S3PolicyBinding", "S3Credentials")
    )

    def reconcile(self, store: SqliteStore, key: Key, now: datetime) -> float | None:
        obj = store.get(key)
        if obj is not None:
            status = {"phase": "Ready", "observedGeneration": obj["metadata"]["generation"]}
            store.patch_status(key, obj["metadata"]["uid"], status)
        return None


class World:
    """One store and everything that works on it."""

    def __init__(self, store: SqliteStore, seed: Seed = SEED, platform_status: Obj | None = None) -> None:
        """Build it; a platform with a status was composed on a cluster, and this world does not compose it."""
        self.store, self.seed, self.seconds = store, seed, 0.0
        for service in api_services([kind for part in COMPONENTS for kind in part.kinds]):
            store.ensure(service)
        store.ensure(make("v1", "Namespace", HOME))
        if store.get(PLATFORM) is None:
            store.put(platform.Platform(platform.platform_spec()()).manifest())
        if platform_status:
            for namespace in (STORAGE_NAMESPACE, VECTORS_NAMESPACE, "kubeflow"):
                store.ensure(make("v1", "Namespace", namespace))
            store.patch_status(PLATFORM, (store.get(PLATFORM) or {})["metadata"]["uid"], platform_status)
        self.platforms = CompositeController(
            Kind(API_VERSION, platform.KIND), lambda obj, observed, now: entry.kubeflow(obj, observed, seed, now)
        )
        self.claims = CompositeController(
            Kind(API_VERSION, KIND), lambda obj, observed, now: entry.team(obj, observed, seed, now), WAITING
        )
        self.manager = Manager(
            store,
            [self.claims] if platform_status else [self.platforms, self.claims],
            [NamespaceController(), Workloads(), Tenants()],
            lambda: NOW,
            monotonic=lambda: self.seconds,
        )

    def put(self, name: str, **spec: Any) -> Obj:
        return self.store.put(claim(name, **spec))

    def settle(self) -> None:
        """Work until nothing changes and nothing is due within a second; waiting costs no time."""
        for _ in range(500):
            before = self.store.version
            rest = self.manager.work()
            if self.store.version == before:
                if rest > 1:
                    return
                self.seconds += rest
        raise AssertionError("the control plane does not come to rest")

    def live(self, name: str) -> Obj:
        result = self.store.get(claim_key(name))
        assert result is not None
        return result

    def ready(self, name: str, kind: str = "Ready") -> str:
        entry = condition(self.live(name), kind)
        assert entry is not None
        return f"{entry['status']} {entry['reason']}"

    def receipts(self, name: str) -> list[Obj]:
        result: list[Obj] = self.live(name)["status"].get("receipts", [])
        return result

    def of(self, name: str) -> list[Key]:
        return [Key.of(obj) for obj in self.store.controlled_by(self.live(name)["metadata"]["uid"])]

    def snapshot(self) -> dict[Key, Obj]:
        return {Key.of(obj): obj for obj in self.store.everything()}


def claim(name: str, **spec: Any) -> Obj:
    return Claim(HOME, name, claim_spec().model_validate(spec)).manifest()


def claim_key(name: str) -> Key:
    return Key(API_VERSION, KIND, HOME, name)
