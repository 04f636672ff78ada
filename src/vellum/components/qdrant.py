"""The team's vectors: Qdrant with its own keys, outside the team's namespace, so that the data outlives it.

A StatefulSet instead of the chart: the chart reads the key at render time, and starts Qdrant *without* one if its
Secret comes later. Here the kubelet blocks the pod until the Secret exists.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vellum.kube.objects import RESTRICTED_CONTAINER, RESTRICTED_POD, Key, Kind, Obj, make, secret, secret_env
from vellum.model.component import Bound, Data, Policy, Size, Spec, TeamComponent, TeamWish
from vellum.model.process import MOST_BYTES, Probe, Process, Route, Running, Site
from vellum.model.rotation import mark, marked
from vellum.model.state import READY, Ready, Requirement, waits
from vellum.model.team import VECTORS_NAMESPACE
from vellum.model.types import Storage

VOLUME = "data"
"""Teams lose their vectors if this changes: the volume claim is found by ``data-<name>-0``."""
_RESOURCES: dict[Size, Obj] = {
    "small": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
    "medium": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}},
    "large": {"requests": {"cpu": "2", "memory": "8Gi"}, "limits": {"cpu": "4", "memory": "16Gi"}},
}


class VectorsSpec(Spec):
    """The claim's ``vectors`` block."""

    storage: Annotated[
        Storage, Field(description="The size of Qdrant's volume; it cannot change later", default="10Gi")
    ]


class QdrantComponent(TeamComponent[VectorsSpec]):
    """StatefulSet, Service, keys and NetworkPolicy in ``vellum-vectors``."""

    name = "qdrant"
    summary = "The team's vector database with its own keys"
    spec = VectorsSpec
    block = "vectors"
    keeps_size = "the volume keeps its {}: a StatefulSet's volumes cannot be resized"
    needs = ("namespace",)
    after = ("vector-storage",)
    image = "qdrant"
    workload = Kind("apps/v1", "StatefulSet")
    ports = ("http",)
    one_key = True
    rotates = "accepts one key, so it restarts once and then refuses the old key"
    binds = (
        Bound("QDRANT_URL", "where Qdrant answers", public=True),
        Bound("QDRANT_API_KEY", "the key that may write"),
    )
    means = (("vectors.storage", "a volume keeps the size with which it was made"),)
    data = Data("vectors", "the vectors of every team")
    actor = "the kubelet"

    def objects(self, wish: TeamWish[VectorsSpec]) -> dict[str, Obj]:
        """Return the database and its protection."""
        name, labels = wish.team.qdrant, wish.labels(self.name)
        service = {
            "selector": _selector(wish),
            "ports": [{"name": "http", "port": 6333}, {"name": "grpc", "port": 6334}],
        }
        return {
            "qdrant-keys": secret(name, VECTORS_NAMESPACE, _keys(wish, wish.keys.single), labels=labels),
            "qdrant-service": make("v1", "Service", name, VECTORS_NAMESPACE, labels=labels, spec=service),
            "qdrant-set": make("apps/v1", "StatefulSet", name, VECTORS_NAMESPACE, labels=labels,
                               annotations=mark(wish.keys.single), spec=_set(wish, labels)),
            "qdrant-network": make("networking.k8s.io/v1", "NetworkPolicy", name, VECTORS_NAMESPACE, labels=labels,
                                   spec=_only_the_team(wish)),
        }  # fmt: skip

    def binding(self, wish: TeamWish[VectorsSpec]) -> dict[str, str]:
        """Return the address and the key that may write."""
        key = _keys(wish, wish.keys.using)["api-key"]
        return {"QDRANT_API_KEY": key, "QDRANT_URL": wish.platform.qdrant_url(wish.team)}

    def endpoints(self, wish: TeamWish[VectorsSpec]) -> dict[str, str]:
        """Return the address of the vectors."""
        return {"qdrant": wish.platform.qdrant_url(wish.team)}

    def kept_size(self, wish: TeamWish[VectorsSpec]) -> str:
        """Return the volume's size if the claim asks for another; else empty."""
        size = _storage(wish)
        return "" if size == wish.detail.storage else size

    def accepts(self, wish: TeamWish[VectorsSpec], generation: int) -> Ready:
        """Tell whether the database runs with these keys; one that does not exist yet starts with them."""
        live = wish.observed.resources.get("qdrant-set")
        if live is None:
            return READY
        if marked(live) != generation:
            return waits(f"{Key.of(live)} is given its new key", actor=self.actor)
        ready, reason = wish.observed.health("qdrant-set", wish.team.qdrant)
        return READY if ready else waits(reason, actor=self.actor)

    def policy(self, wish: TeamWish[VectorsSpec]) -> Policy:
        """Allow the team's own Qdrant, and no other team's."""
        return Policy(egress=((VECTORS_NAMESPACE, _selector(wish), 6333), (VECTORS_NAMESPACE, _selector(wish), 6334)))

    def adoption(self, wish: TeamWish[VectorsSpec]) -> dict[str, Requirement]:
        """Require the StatefulSet of the derived name: a foreign one is refused, because its volume holds data."""
        return {"qdrant": Requirement("apps/v1", "StatefulSet", wish.team.qdrant, VECTORS_NAMESPACE)}

    def process(self, obj: Obj, site: Site) -> Process:
        """Run the stand-in server on Qdrant's own core, qdrant-edge: Qdrant's server binary is in no registry."""
        name, port = obj["metadata"]["name"], site.ports["http"]
        own = {"VELLUM_QDRANT_DIR": str(site.directory / "storage"), "VELLUM_QDRANT_PORT": str(port)}
        return Process(
            name=name,
            argv=(site.python, "-P", "-m", "vellum.workloads.qdrant"),
            directory=site.directory,
            env={**site.env, **own},
            probe=Probe(port, "/readyz"),
            routes=(Route(f"/qdrant/{name.removeprefix('qdrant-')}/", port, "/", most_bytes=MOST_BYTES),),
        )

    def status(self, obj: Obj, running: Running) -> Obj:
        """Return the status of a StatefulSet as kube-controller-manager writes it."""
        ready = int(running.ready)
        status = {
            "replicas": 1,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "currentReplicas": 1,
            "observedGeneration": obj["metadata"]["generation"],
        }
        return status if running.ready else {**status, "message": running.message}


def _storage(wish: TeamWish[VectorsSpec]) -> str:
    """Return the size with which the volume was made: the API server refuses any change of the templates."""
    templates = ((wish.observed.resources.get("qdrant-set") or {}).get("spec") or {}).get("volumeClaimTemplates") or ()
    made = next((template for template in templates if template["metadata"]["name"] == VOLUME), None)
    return str(made["spec"]["resources"]["requests"]["storage"]) if made else wish.detail.storage


def _keys(wish: TeamWish[VectorsSpec], generation: int) -> dict[str, str]:
    return {
        purpose: wish.seed.token(f"qdrant-{purpose}", wish.team.id, generation)
        for purpose in ("api-key", "read-only-api-key")
    }


def _selector(wish: TeamWish[VectorsSpec]) -> dict[str, str]:
    return {"app.kubernetes.io/name": "qdrant", "app.kubernetes.io/instance": wish.team.id}


def _set(wish: TeamWish[VectorsSpec], labels: dict[str, str]) -> Obj:
    when_deleted = "Retain" if wish.keep_data else "Delete"
    storage = {"requests": {"storage": _storage(wish)}}
    claim = {
        "metadata": {"name": VOLUME, "labels": wish.team.labels},
        "spec": {"accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem", "resources": storage},
    }
    return {
        "replicas": 1,
        "serviceName": wish.team.qdrant,
        "selector": {"matchLabels": _selector(wish)},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": when_deleted, "whenScaled": "Retain"},
        "template": {"metadata": _pod_metadata(wish, labels), "spec": _pod(wish)},
        "volumeClaimTemplates": [claim],
    }


def _pod_metadata(wish: TeamWish[VectorsSpec], labels: dict[str, str]) -> Obj:
    metadata: Obj = {"labels": {**labels, **_selector(wish)}}
    # It reads its keys at the start, so another generation restarts it.
    return {**metadata, "annotations": text} if (text := mark(wish.keys.single)) else metadata


def _pod(wish: TeamWish[VectorsSpec]) -> Obj:
    key = wish.team.qdrant
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {**RESTRICTED_POD, "runAsUser": 1000, "fsGroup": 1000},
        "containers": [
            {
                "name": "qdrant",
                "image": wish.platform.images["qdrant"],
                "ports": [{"name": "http", "containerPort": 6333}, {"name": "grpc", "containerPort": 6334}],
                "env": [
                    secret_env("QDRANT__SERVICE__API_KEY", key, "api-key"),
                    secret_env("QDRANT__SERVICE__READ_ONLY_API_KEY", key, "read-only-api-key"),
                    {"name": "QDRANT__TELEMETRY_DISABLED", "value": "true"},
                    {"name": "QDRANT_INIT_FILE_PATH", "value": "/tmp/.qdrant-initialized"},  # noqa: S108  # in the pod
                ],
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 5},
                "resources": _RESOURCES[wish.size],
                "securityContext": RESTRICTED_CONTAINER,
                "volumeMounts": [
                    {"name": VOLUME, "mountPath": "/qdrant/storage"},
                    {"name": "scratch", "mountPath": "/qdrant/snapshots", "subPath": "snapshots"},
                    {"name": "scratch", "mountPath": "/tmp", "subPath": "tmp"},  # noqa: S108  # in the pod
                ],
            }
        ],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    }


def _only_the_team(wish: TeamWish[VectorsSpec]) -> Obj:
    team = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": wish.team.namespace}}}
    ports = [{"port": port, "protocol": "TCP"} for port in (6333, 6334)]
    return {
        "podSelector": {"matchLabels": _selector(wish)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [team], "ports": ports}],
    }


component = QdrantComponent()
