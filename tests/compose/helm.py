"""Helm and provider-helm as a value, by the rules that were measured on provider-helm 1.3.0 (Helm 3).

For every Release one Deployment, one Service, one ConfigMap and, where the chart makes objects of operators, one of
each such kind. An upgrade happens when the patches change, and never because of what is live.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any

import yaml

from vellum.components import platform_components
from vellum.kube.names import plural
from vellum.kube.objects import Key, Obj, make
from vellum.kube.patch import copied
from vellum.model.release import ReleaseComponent

CLUSTER = {"ClusterServingRuntime", "ClusterStorageContainer"}
UNSCALED = "cert-manager"
"""Its chart says no number of replicas, as KServe's real one."""


def manifest(name: str) -> list[Obj]:
    """Return the objects that the chart of a release renders."""
    component = platform_components()[name]
    assert isinstance(component, ReleaseComponent)
    labels = {"app": name}
    container = {"name": "main", "image": f"{name}:1", "resources": {"requests": {"cpu": "0.1", "memory": "1024Mi"}}}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    deployment: Obj = {"selector": {"matchLabels": labels}, "template": pod}
    if name != UNSCALED:
        deployment["replicas"] = 1
    objects = [
        make("apps/v1", "Deployment", name, spec=deployment),
        make("v1", "Service", name, spec={"selector": labels, "ports": [{"port": 80}]}),
        make("v1", "ConfigMap", name, data={"key": "value"}),
        make("v1", "Secret", name, data={}),
    ]
    objects += [
        make(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            f"{plural(kind.kind)}.{group}",
            spec={"group": group, "names": {"kind": kind.kind}, "versions": [{"name": version}]},
        )
        for kind in component.serves
        if kind not in component.crds
        for group, version in [kind.api_version.split("/")]
    ]
    objects += [
        make(kind.api_version, kind.kind, name, spec={"host": name, "list": [1, 2]}) for kind in component.custom
    ]
    return objects


_VERSIONS = count(1)
"""Unique, as on an API server: the caches of comparisons use them as keys."""


@dataclass
class Helm:
    """Everything that Helm has recorded, and the live objects that came of it."""

    records: dict[str, tuple[int, str, list[Obj]]] = field(default_factory=dict)
    """Release to the revision, its status and its manifest."""
    live: dict[Key, Obj] = field(default_factory=dict)
    patches: dict[str, list[str]] = field(default_factory=dict)
    scalers: list[Obj] = field(default_factory=list)
    unreported: dict[str, tuple[int, str]] = field(default_factory=dict)
    """The revision that hung and was rolled back: provider-helm reports it until it is woken."""
    gone: set[str] = field(default_factory=set)
    """Kinds as group/Kind whose CRD was deleted by hand."""
    breaks: bool = False
    """Whether every upgrade fails."""
    breaks_without: str = ""
    """Unless the patches have this in their names, an upgrade fails."""
    rolled_back: dict[str, int] = field(default_factory=dict)
    refuses: bool = False
    """Whether an upgrade takes no patch."""
    foreign: str = ""
    """The release that meets a stranger's object: its installation never begins."""
    deleted: Counter[str] = field(default_factory=Counter)
    """How often a user deleted a CRD of each group."""
    restorers: set[str] = field(default_factory=set)
    """Installed releases that bring only CRDs."""
    bare: str = ""
    """Why a release that brings only CRDs cannot be installed."""
    unreachable: str = ""
    """Why no upgrade can begin."""

    def apply(self, release: Obj, stored: Mapping[str, str]) -> Obj:
        """Do what provider-helm does when it looks at a Release; return its status."""
        name, spec = release["metadata"]["name"], release["spec"]["forProvider"]
        synced: Obj = {"type": "Synced", "status": "True"}
        texts = [stored[item["configMapKeyRef"]["key"]] for item in spec.get("patchesFrom", ())]
        if name == self.foreign:
            why = "cannot be imported into the current release: invalid ownership metadata"
            return {"conditions": [{"type": "Synced", "status": "False", "message": why}]}
        if name.endswith("-crds"):
            if self.bare:
                return {"conditions": [{"type": "Synced", "status": "False", "message": self.bare}]}
            if name not in self.restorers:
                self.restorers.add(name)
                self._bring(name.removesuffix("-crds"))
            return {"conditions": [synced, {"type": "Ready", "status": "True"}]}
        if name not in self.records:
            self._upgrade(name, spec["namespace"], 1, [], texts)
            self._bring(name)
            # What Crossplane's runtime writes after an installation overwrites the checksum of the patches.
            self.patches[name] = ["lost"] if texts else []
        elif "*" not in release["spec"].get("managementPolicies", "*"):
            pass
        elif self.unreachable and self.patches[name] != texts:
            synced = {"type": "Synced", "status": "False", "message": self.unreachable}
        elif not self.refuses:
            self._look_again(name, spec["namespace"], texts, limit=release["spec"].get("rollbackLimit", 0))
        revision, state, _ = self.records[name]
        if release["metadata"]["annotations"].get("platform.vellum.dev/seen") == str(revision):
            self.unreported.pop(name, None)
        revision, state = self.unreported.get(name, (revision, state))
        at = {"revision": revision, "state": state}
        ready = {"type": "Ready", "status": "True" if state == "deployed" else "False", "reason": state}
        return {"atProvider": at, "conditions": [ready, synced]}

    def _bring(self, name: str) -> None:
        """Make the kinds of a crds/ folder, as every installation does."""
        component = platform_components()[name]
        assert isinstance(component, ReleaseComponent)
        self.gone -= {f"{kind.api_version.split('/')[0]}/{kind.kind}" for kind in component.crds}

    def _look_again(self, name: str, namespace: str, texts: list[str], limit: int) -> None:
        """Upgrade while the patches are not those of the last success; roll back what failed while they are."""
        revision, state, before = self.records[name]
        if self.patches[name] != texts and state in ("deployed", "failed"):
            if self.breaks or self.breaks_without not in "".join(texts):
                self.records[name] = (revision + 1, "failed", before)
            else:
                self._upgrade(name, namespace, revision + 1, before, texts)
        elif state == "failed" and self.rolled_back.get(name, 0) < limit:
            self.rolled_back[name] = self.rolled_back.get(name, 0) + 1
            self._upgrade(name, namespace, revision + 1, before, texts)
        elif state == "deployed":
            self.rolled_back.pop(name, None)

    def _upgrade(self, name: str, namespace: str, revision: int, before: list[Obj], texts: list[Any]) -> None:
        objects = manifest(name)
        for text in texts:
            for patch in yaml.safe_load(text)["patches"]:
                for obj in objects:
                    if obj["kind"] == patch["target"]["kind"]:
                        _patch(obj, yaml.safe_load(patch["patch"]))
        old = {(obj["kind"], obj["metadata"]["name"]): obj for obj in before}
        for obj in objects:
            where = "" if obj["kind"] in CLUSTER else namespace
            key = Key(obj["apiVersion"], obj["kind"], where, obj["metadata"]["name"])
            custom = "." in obj["apiVersion"]
            same = custom and key in self.live and old.get((obj["kind"], obj["metadata"]["name"])) == obj
            if not same:
                self.put(key, obj, name)
        made = {
            f"{item['spec']['group']}/{item['spec']['names']['kind']}"
            for item in objects
            if "names" in item.get("spec", ())
        }
        self.gone -= made
        self.records[name] = (revision, "deployed", objects)
        self.patches[name] = texts

    def put(self, key: Key, obj: Obj, release: str) -> None:
        """Make an object live."""
        live: Obj = copied(obj)
        live["metadata"] |= {
            "uid": f"uid of {key}",
            "resourceVersion": str(next(_VERSIONS)),
            "generation": 1,
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {
                "meta.helm.sh/release-name": release,
                "meta.helm.sh/release-namespace": _namespace(release),
            },
        }
        if key.namespace:
            live["metadata"]["namespace"] = key.namespace
        if obj["kind"] == "Deployment":
            live["spec"] |= {"strategy": {"type": "RollingUpdate"}, "replicas": obj["spec"].get("replicas", 1)}
            live["status"] = {"readyReplicas": live["spec"]["replicas"], "observedGeneration": 1}
        self.live[key] = live

    def edit(self, key: Key, *path: str | int, value: Any) -> None:
        """Change a field by hand."""
        self.live[key]["metadata"]["resourceVersion"] = str(next(_VERSIONS))
        target: Any = self.live[key]
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value

    def record(self, name: str) -> Obj | None:
        """Return the Secret in which Helm keeps the newest revision."""
        release, _, revision = name.removeprefix("sh.helm.release.v1.").rpartition(".v")
        result = self.records.get(release)
        if release in self.unreported and self.unreported[release][0] == int(revision):
            result = (int(revision), self.unreported[release][1], [])
        if result is None or result[0] != int(revision):
            return None
        labels = {"owner": "helm", "name": release, "status": result[1], "version": str(result[0])}
        payload = _payload(json.dumps(result))
        made = make("v1", "Secret", name, "a-namespace", labels=labels, data={"release": payload})
        version = hashlib.sha256(payload.encode()).hexdigest()
        made["metadata"] |= {"uid": f"uid of {name}", "resourceVersion": version}
        return made

    def listed(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Obj]:
        """Return what a list of this kind, with these labels, has."""
        if kind == "HorizontalPodAutoscaler" and not labels:
            return self.scalers
        return [obj for key, obj in self.live.items() if (key.kind, key.namespace) == (kind, namespace)]


@cache
def _payload(found: str) -> str:
    revision, status, objects = json.loads(found)
    text = "\n---\n".join(["", *(f"# Source: a template\n{yaml.safe_dump(obj)}" for obj in objects)])
    payload = json.dumps({"manifest": text, "version": revision, "info": {"status": status}}).encode()
    return base64.b64encode(base64.b64encode(gzip.compress(payload, mtime=0))).decode()


def _patch(obj: Obj, operations: list[Obj]) -> None:
    for operation in operations:
        if operation["op"] == "test":
            continue
        *steps, last = operation["path"].split("/")[1:]
        target: Any = obj
        for step in steps:
            target = target[int(step) if isinstance(target, list) else step]
        place: Any = int(last) if isinstance(target, list) else last
        if operation["op"] == "remove":
            del target[place]
        else:
            target[place] = operation["value"]


def _namespace(release: str) -> str:
    component = platform_components()[release]
    assert isinstance(component, ReleaseComponent)
    return component.namespace
