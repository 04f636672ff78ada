"""A control plane as a value: it applies what compose desires, answers what it asks, and writes what controllers would.

Compose takes and returns plain data, so its world can be plain data too; statuses come from the components themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import yaml
from tests.compose.helm import Helm

from vellum.api import loader
from vellum.api import platform as platforms
from vellum.api.claim import Claim
from vellum.api.platform import Platform
from vellum.api.workloads import Workload
from vellum.components import all_components, platform_components
from vellum.compose import entry
from vellum.compose.helm.desired import CREATED
from vellum.kube.objects import Key, Obj, annotations_of, make, secret
from vellum.kube.patch import copied
from vellum.model.keys import DUMMY_SEED, Seed
from vellum.model.process import Running
from vellum.model.state import LIST, Composed, Known, Observed
from vellum.model.team import STORAGE_NAMESPACE

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
UID = "00000000-0000-0000-0000-000000000001"
DIGEST = "sha256:" + "0" * 64
CHARTS = "oci://registry.example.org/charts"
ENDPOINT = "https://s3.example.org"
HEAD = "apiVersion: platform.vellum.dev/v1alpha1\n"


def images(backend: str = "seaweedfs") -> dict[str, str]:
    """Return an image of every part that needs one, with this object store."""
    parts = all_components().values()
    names = {part.image for part in parts if part.image and backend in getattr(part, "backends", (backend,))}
    return {name: f"registry.example.org/{name}@{DIGEST}" for name in sorted(names)}


def _platform(profile: str, **spec: Any) -> str:
    manifest = {"kind": "KubeflowPlatform", "metadata": {"name": "kubeflow"}, "spec": {"profile": profile, **spec}}
    return HEAD + yaml.safe_dump(manifest)


def _cluster(profile: str, backend: str = "seaweedfs", **spec: Any) -> str:
    switches = {part.switch: "enabled" for part in platform_components().values() if part.switch}
    return _platform(profile, images=images(backend), charts={"repository": CHARTS}, **switches, **spec)


EXTERNAL = {"backend": "external", "endpoint": ENDPOINT, "region": "eu-central-1"}
PLATFORMS = {
    "local": _platform("local"),
    "light": _cluster("light"),
    "standard": _cluster("standard"),
    "external": _cluster("light", "external", objectStore=EXTERNAL),
}
_STORE_KINDS = ("Bucket", "S3Identity", "S3Policy", "S3PolicyBinding", "S3Credentials")
_RECONCILED: dict[str, Obj] = {
    "Namespace": {"phase": "Active"},
    **{kind: {"phase": "Ready", "observedGeneration": 1} for kind in _STORE_KINDS},
}


def given(tenant: str, **values: str) -> Obj:
    """Return the Secret by which a platform engineer gives the key to a bucket of an external store."""
    keys = {"accesskey": f"GIVEN-{tenant}", "secretkey": f"given/secret+{tenant}=="}
    return secret(f"s3-{tenant}", STORAGE_NAMESPACE, values or keys)


def written(text: str) -> Obj:
    """Return a manifest as a control plane stores it: read by the loader, with uid and generation."""
    (document,) = loader.load(text.encode(), "claim.yaml")
    return stored(document)


def settled_platform(text: str, seed: Seed = DUMMY_SEED) -> Obj:
    """Return a platform as it is once all its parts are ready."""
    world = World(written(text), foreign=[given("artifacts")], seed=seed)
    assert world.settle().ready
    return world.composite


def stored(document: Claim | Platform | Workload) -> Obj:
    manifest = document.manifest()
    manifest["metadata"] |= {"uid": UID, "generation": 1}
    return manifest


@dataclass
class World:
    """One composite, what exists beside it, and what its controllers say."""

    composite: Obj
    platform: Obj | None = None
    seed: Seed = DUMMY_SEED
    resources: dict[str, Obj] = field(default_factory=dict)
    foreign: list[Obj] = field(default_factory=list)
    not_served: set[str] = field(default_factory=set)
    answered: dict[str, Obj | None] = field(default_factory=dict)
    listed: dict[str, tuple[Obj, ...]] = field(default_factory=dict)
    helm: Helm = field(default_factory=Helm)
    known: Known = field(default_factory=Known)
    discovers: bool = False
    """Whether the function may ask the API server which kinds it serves."""
    terminating: set[str] = field(default_factory=set)
    """Kinds whose CRD is being deleted."""
    now: datetime = NOW

    def look(self) -> Composed:
        """Return compose's answer once its requirements are settled, as Crossplane's core does: at most five times."""
        for _ in range(5):
            composed = self._composed()
            asked = dict(composed.requirements)
            required = {name: self._found(name, item) for name, item in asked.items() if not name.startswith(LIST)}
            listed = {name: tuple(self._listed(item)) for name, item in asked.items() if name.startswith(LIST)}
            if (required, listed) == (self.answered, self.listed):
                return composed
            self.answered, self.listed = required, listed
        raise AssertionError("the requirements do not settle")

    def _composed(self) -> Composed:
        observed = Observed(self.resources, self.answered, self.listed, self.kinds(), known=self.known)
        if self.composite["kind"] == platforms.KIND:
            return entry.kubeflow(self.composite, observed, self.seed, self.now)
        return entry.team(self.composite, observed, self.seed, self.now)

    def kinds(self) -> dict[str, bool] | None:
        """Return the kinds from discovery; None while the function does not ask."""
        if not self.discovers:
            return None
        every = {
            kind
            for part in all_components().values()
            for word in ("kinds", "serves", "custom")
            for kind in getattr(part, word, ())
        }
        return {
            f"{kind.api_version}/{kind.kind}": kind.kind not in self.terminating
            for kind in every
            if f"{kind.api_version.split('/')[0]}/{kind.kind}" not in self.helm.gone
        }

    def step(self) -> Composed:
        """Run one pass and apply its answer; a fatal answer changes only the composite's status."""
        composed = self.look()
        conditions = [asdict(text) for text in composed.conditions]
        if not composed.fatal:
            self.resources = {
                name: self._applied(desired.obj, self.resources.get(name)) for name, desired in composed.objects.items()
            }
            self.helm.restorers &= {obj["metadata"]["name"] for obj in self.resources.values()}
            self.composite = {**self.composite, "status": copied(composed.status)}
        before = self.composite.get("status") or {}
        self.composite = {**self.composite, "status": {**before, "conditions": conditions}}
        return composed

    def settle_objects(self) -> dict[str, Obj]:
        """Return the observed objects once nothing changes any more."""
        self.settle()
        return self.resources

    def settle(self) -> Composed:
        """Step until nothing changes any more."""
        for _ in range(60):
            before = copied(self.resources)
            self.step()
            if self.resources == before:
                return self.look()
        raise AssertionError("the world does not settle")

    def _found(self, name: str, requirement: Any) -> Obj | None:
        if name == "platform":
            return self.platform
        if requirement.kind == "APIService":
            state = "False" if requirement.name in self.not_served else "True"
            entry = make(
                requirement.api_version,
                "APIService",
                requirement.name,
                status={"conditions": [{"type": "Available", "status": state}]},
            )
            group = requirement.name.partition(".")[2]
            entry["metadata"]["uid"] = f"{requirement.name}, number {self.helm.deleted[group]}"
            return entry
        if requirement.kind == "Provider":
            healthy = {"type": "Healthy", "status": "True"}
            return make(requirement.api_version, "Provider", requirement.name, status={"conditions": [healthy]})
        if requirement.name.startswith("sh.helm.release.v1."):
            return self.helm.record(requirement.name)
        wanted = Key(requirement.api_version, requirement.kind, requirement.namespace, requirement.name)
        return next((obj for obj in (*self.resources.values(), *self.foreign) if Key.of(obj) == wanted), None)

    def _listed(self, requirement: Any) -> list[Obj]:
        return self.helm.listed(requirement.kind, requirement.namespace, dict(requirement.labels))

    def _applied(self, desired: Obj, before: Obj | None) -> Obj:
        obj: Obj = copied(desired)
        obj["metadata"] |= {
            "uid": (before or {"metadata": {}})["metadata"].get("uid", f"uid of {Key.of(obj)}"),
            "generation": 1,
            "ownerReferences": [{"kind": "XMLOpsPlatform", "name": "x", "uid": UID, "controller": True}],
        }
        if obj["kind"] == "Release":
            patches = (self.resources.get("provider-helm-patches") or {}).get("data") or {}
            if "patchesFrom" in obj["spec"]["forProvider"]:
                created = {CREATED: "then"} if obj["metadata"]["name"] not in self.helm.records else {}
                was = annotations_of(before or {"metadata": {}})
                obj["metadata"]["annotations"] |= created | {name: was[name] for name in {CREATED} & was.keys()}
            return {**obj, "status": self.helm.apply(obj, patches)}
        return {**obj, "status": text} if (text := _status(obj)) else obj


def _status(obj: Obj) -> Mapping[str, Any]:
    running = Running(ready=True, message="", url="http://127.0.0.1:1")
    for part in all_components().values():
        if part.workload == (obj["apiVersion"], obj["kind"]):
            return part.status(obj, running)
    return _RECONCILED.get(obj["kind"], {})
