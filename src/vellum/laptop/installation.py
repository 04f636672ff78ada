"""One installation: its store, controllers and supervisor, as the daemon runs them."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

from vellum.api import claim, platform, workloads
from vellum.components import all_components, team_components
from vellum.compose import entry
from vellum.controlplane.composite import WAITING, CompositeController
from vellum.controlplane.manager import Manager
from vellum.controlplane.namespaces import NamespaceController, api_services
from vellum.controlplane.store import SqliteStore
from vellum.errors import LaptopError, StoreError
from vellum.host import pki, wheels
from vellum.host.ports import Ports, is_free, next_free, release, reserve
from vellum.host.state import State
from vellum.host.supervisor import Supervisor
from vellum.kube.objects import Key, Obj, annotations_of, controller_uid, labels_of, make, status_of
from vellum.laptop import connectable, folders, seaweed_controller
from vellum.laptop.generations import Generations
from vellum.laptop.models import Models
from vellum.laptop.mounts import MountController, VolumeController
from vellum.laptop.seaweed_controller import SeaweedController
from vellum.laptop.teams import TeamsController
from vellum.laptop.training import TrainJobController
from vellum.laptop.workloads import Realised, WorkloadController
from vellum.model.keys import PLATFORM_OWNER
from vellum.model.platform import PLATFORM
from vellum.model.rotation import KeyMemory
from vellum.model.state import Event
from vellum.model.team import CLAIM, Team
from vellum.model.training import TRAIN_JOB

LOG = logging.getLogger(__name__)


def clock() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def team_id(claim: Obj) -> str:
    """Return the id of the team that a stored claim stands for."""
    return Team(claim["metadata"]["namespace"], claim["metadata"]["name"], "").id


class Installation:
    """One installation, running in this process."""

    def __init__(self, state: State) -> None:
        """Open everything; first end what a killed supervisor left running.

        Raises:
            VellumError: the state is locked, damaged or without its seed, or the programs are not installed.
        """
        self.state = state
        programs = wheels.programs()
        state.open_runtime()
        seed = folders.seed(state)
        self.store = SqliteStore(state.store, clock)
        connectable.provide(folders.connect_folder(state))
        pki.ensure(state.root / "pki", clock())
        ports = Ports(state.root / "ports.json")
        self.supervisor = Supervisor(state, changed=self._changed, repaired=self._repaired)
        parts = all_components().values()
        components: tuple[Realised, ...] = (*parts, Models())
        for service in api_services([TRAIN_JOB, *(kind for part in parts for kind in part.kinds)]):
            self.store.ensure(service)
        self._move_gateway()
        self.workloads = WorkloadController(state, ports, self.supervisor, components, programs)
        self.training = TrainJobController(state, self.supervisor)
        known = Generations(state.root / "generations.json", seed)
        composites = (
            CompositeController(PLATFORM.gvk, known.composing(entry.kubeflow, lambda _: PLATFORM_OWNER)),
            CompositeController(CLAIM, known.composing(entry.team, team_id), WAITING),
        )
        self.manager = Manager(
            self.store,
            composites,
            (
                NamespaceController(),
                MountController(state),
                VolumeController(state),
                self.workloads,
                self.training,
                SeaweedController(seaweed_controller.shell(state, ports, programs["weed"]), self._poke),
                TeamsController(state),
            ),
            clock,
        )

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set, then end all processes."""
        try:
            self.manager.run(stop)
        finally:
            # Each step runs also after an error of the previous one, such as a full disk.
            with ExitStack() as closing:
                closing.callback(release, self.state.root)
                closing.callback(self.store.close)
                closing.callback(self.supervisor.close)
                closing.callback(lambda: self.training.close(self.store, clock()))

    def apply(self, manifest: Obj) -> Obj:
        """Store what a user wrote; a claim brings its namespace, and the platform if there is none.

        Raises:
            LaptopError: the gateway's port is taken and none above it is free (VEL403).
            StoreError: see the store's ``put``.
        """
        if manifest["kind"] in workloads.KINDS:
            return self._put_workload(manifest)
        namespace = manifest["metadata"].get("namespace")
        with self.store.transaction(f"apply {manifest['kind']} {manifest['metadata']['name']}"):
            if namespace:
                self.store.ensure(make("v1", "Namespace", namespace))
            manifest = _with_keys(manifest, self.store.get(Key.of(manifest)))
            if manifest["kind"] == PLATFORM.kind:
                return self._put_platform(manifest, own=_gateway_port(self.store.get(PLATFORM)))
            if self.store.get(PLATFORM) is None:
                self._put_platform(platform.Platform(platform.platform_spec()()).manifest())
            return self.store.put(manifest)

    def remove(self, key: Key) -> bool:
        """Delete what a team made itself; return False if it does not exist.

        Raises:
            LaptopError: a part of the platform made it (VEL416).
        """
        with self.store.transaction(f"delete {key}"):
            _a_persons(key, self.store.get(key))
            return self.store.delete(key)

    def _put_workload(self, manifest: Obj) -> Obj:
        """Store what a team wrote beside its claim, where its claim allows it."""
        key = Key.of(manifest)
        team, live = self._team(key.namespace)
        if claim.from_live(live).wants(team_components()["training"]):
            with self.store.transaction(f"apply {key}"):
                _a_persons(key, self.store.get(key))
                _unchanged(key, self.store.get(key), manifest)
                return self.store.put(manifest)
        raise LaptopError(
            "VEL413",
            f"{key.kind}s are not for {team}: its claim does not say training: enabled",
            where=str(key),
            fix="write training: enabled in the claim, and `vellum apply` it",
        )

    def _team(self, namespace: str) -> tuple[str, Obj]:
        """Return the claim whose team has the namespace."""
        teams: dict[str, tuple[str, Obj]] = {}
        for obj in self.store.list(*CLAIM):
            meta = obj["metadata"]
            name = f"{meta['namespace']}/{meta['name']}"
            teams[Team(meta["namespace"], meta["name"], meta["uid"]).namespace] = (name, obj)
        if namespace in teams:
            return teams[namespace]
        known = ", ".join(f"{place} ({name})" for place, (name, _) in sorted(teams.items()))
        raise LaptopError(
            "VEL414",
            f"the namespace {namespace or '(none)'} does not belong to a team",
            where="metadata.namespace",
            fix=f"write one of: {known}" if known else "start a team first: vellum up CLAIM",
        )

    def rotate(self, key: Key, generation: int, overlap: str) -> Obj:
        """Write another generation of keys into the stored object.

        Raises:
            StoreError: the object does not exist (VEL316), or it already has a higher generation (VEL315).
            pydantic.ValidationError: the overlap is not valid.
        """
        with self.store.transaction(f"rotate {key}"):
            live = self.store.get(key)
            if live is None:
                raise StoreError(
                    "VEL316", f"{key} is not there any more", where="this installation", fix="see `vellum status`"
                )
            head = {"name": key.name, "labels": labels_of(live), "annotations": annotations_of(live)}
            metadata = {**head, "namespace": key.namespace} if key.namespace else head
            asked = {"generation": generation, **({"overlap": overlap} if overlap else {})}
            spec = {**live["spec"], "keys": {**(live["spec"].get("keys") or {}), **asked}}
            manifest = {**live, "metadata": metadata, "spec": spec}
            (claim.from_live if key.kind == CLAIM.kind else platform.from_live)(manifest)
            return self.apply(manifest)

    def _put_platform(self, manifest: Obj, own: int = 0) -> Obj:
        """Store the platform; if another program has the gateway's port, the next free one takes its place."""
        wanted = _gateway_port(manifest)
        port = next_free(wanted, own=own, owner=self.state.root) if wanted else 0
        if port == wanted:
            return self.store.put(manifest)
        spec = {**manifest["spec"], "gateway": {**manifest["spec"]["gateway"], "port": port}}
        stored = self.store.put({**manifest, "spec": spec})
        message = f"port {wanted} is taken by another program; the gateway is at {port}"
        self.store.record(PLATFORM, Event("Warning", "PortTaken", message))
        return stored

    def _move_gateway(self) -> None:
        """Take the next free port if the gateway does not run and another program listens on its port."""
        with self.store.transaction("move the gateway"):
            live = self.store.get(PLATFORM)
            port = _gateway_port(live)
            if live and port and not (is_free(port) and reserve(port, self.state.root)):
                labels, annotations = dict(labels_of(live)), dict(annotations_of(live))
                updated = replace(platform.from_live(live), labels=labels, annotations=annotations)
                self._put_platform(updated.manifest())

    def _poke(self, key: Key) -> None:
        self.manager.watch.poke(key)

    def _changed(self, process: str) -> None:
        key = self.workloads.key_of(process) or self.training.key_of(process)
        if key is None:
            return
        if key.kind == "Gateway" and self.supervisor.status(process).taken:
            self._move_gateway()
        self.manager.watch.poke(key)

    def _repaired(self, process: str, wrong: str, seen: datetime, back: datetime) -> None:
        key = self.workloads.key_of(process)
        obj = self.store.get(key) if key else None
        if key and obj:
            self.store.receipt(obj, f"process {process}", wrong, seen, back)
            seconds = (back - seen).total_seconds()
            message = f"process {process} {wrong} and answers again after {seconds:.1f} s"
            self.store.record(key, Event("Warning", "Restarted", message))


def _a_persons(key: Key, live: Obj | None) -> None:
    """Refuse to overwrite or delete what a claim composed.

    Raises:
        LaptopError: the object has an owner (VEL416).
    """
    if live is not None and controller_uid(live) is not None:
        raise LaptopError(
            "VEL416",
            f"{key.kind} {key.name} belongs to a part of the platform",
            where=str(key),
            fix="choose another name; objects of a part are deleted with its claim",
        )


def _unchanged(key: Key, live: Obj | None, manifest: Obj) -> None:
    """Refuse what an API server refuses: of a TrainJob's spec only ``suspend`` may change.

    Raises:
        LaptopError: another field changed (VEL415).
    """
    if live is None or key.kind != TRAIN_JOB.kind or "deletionTimestamp" in live["metadata"]:
        return
    before, after = ({**obj["spec"], "suspend": None} for obj in (live, manifest))
    if changed := [name for name in {**before, **after} if before.get(name) != after.get(name)]:
        raise LaptopError(
            "VEL415",
            f"spec.{changed[0]} of a TrainJob cannot change",
            where=str(key),
            fix="give the job another name, or remove it first: vellum delete --file FILE",
        )


def _with_keys(manifest: Obj, live: Obj | None) -> Obj:
    """Return the manifest with the stored ``keys`` if it has none, so that applying an old file undoes no rotation.

    Raises:
        StoreError: it asks for keys that were replaced (VEL315).
    """
    before: Obj = ((live or {}).get("spec") or {}).get("keys") or {}
    wanted: Obj = {**before, **(manifest["spec"].get("keys") or {})}
    newest = KeyMemory.read(status_of(live).get("keys") or {}).newest
    newest = max(newest, before.get("generation", 1))
    if wanted.get("generation", newest) < newest:
        what = (
            f"the keys are of generation {newest}, and the file says {wanted['generation']}, whose keys were replaced"
        )
        fix = f"write keys: {{generation: {newest}}} into the file, or delete the line"
        raise StoreError("VEL315", what, where=str(Key.of(manifest)), fix=fix)
    return {**manifest, "spec": {**manifest["spec"], "keys": wanted}}


def _gateway_port(obj: Obj | None) -> int:
    """Return the port that a platform asks for, 0 where it names none."""
    return int((((obj or {}).get("spec") or {}).get("gateway") or {}).get("port") or 0)
