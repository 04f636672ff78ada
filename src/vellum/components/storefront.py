"""The front of the object store: lists keys in S3's order, and refuses keys that SeaweedFS would confuse."""

from __future__ import annotations

from vellum.components.storage import FRONT, FRONT_SECRET
from vellum.kube.objects import DOMAIN, RESTRICTED_CONTAINER, RESTRICTED_POD, Kind, Obj, make
from vellum.model.component import PlatformComponent, Spec, Wish
from vellum.model.process import Probe, Process, Route, Running, Site
from vellum.model.team import STORAGE_NAMESPACE
from vellum.objectstore.seaweed import STORE

PORT = 8333
READY_PATH, LIVE_PATH = "/.vellum/ready", "/.vellum/live"
"""Paths that answer 200 when the store lists its buckets, and when the front runs; no bucket can have these names."""
_GRACE_SECONDS = 25
"""For requests in progress when a pod ends; Kubernetes kills it after 30 s."""
_KEYS = "/keys"


class StorefrontComponent(PlatformComponent[Spec]):
    """A Deployment before the store, behind the Service that ``storage`` composes."""

    name = "storefront"
    summary = "The front of the object store: S3's keys in S3's order"
    needs = ("storage",)
    backends = ("seaweedfs",)
    image = "workloads"
    workload = Kind("apps/v1", "Deployment")
    ports = ("http",)
    actor = "the front's Deployment"

    def objects(self, wish: Wish[Spec]) -> dict[str, Obj]:
        """Return the Deployment, and the policies that let clients reach it."""
        labels = {**wish.labels(self.name), **FRONT}
        return {
            "storefront-deployment": make(
                "apps/v1",
                "Deployment",
                "s3",
                STORAGE_NAMESPACE,
                labels=labels,
                spec=_deployment(wish.platform.images["workloads"], labels),
            ),
            "storefront-network": make(
                "networking.k8s.io/v1", "NetworkPolicy", "s3", STORAGE_NAMESPACE, labels=labels, spec=_policy()
            ),
        }

    def process(self, obj: Obj, site: Site) -> Process:
        """Run the front. It connects to the store's Unix socket, and reads its key from a file."""
        del obj
        port = site.ports["http"]
        env = {
            **site.env,
            "VELLUM_BIND": "127.0.0.1",
            "VELLUM_S3_GRACE": "3",
            "VELLUM_S3_IDENTITIES": str(site.secrets / FRONT_SECRET / "s3.json"),
            "VELLUM_S3_PORT": str(port),
            "VELLUM_S3_STORE": str(site.runtime / "s3.sock"),
        }
        # The store has its own probe: while the store does not answer, a restart of the front does not help.
        return Process(
            name="s3",
            argv=(site.python, "-P", "-m", "vellum.workloads.s3"),
            directory=site.directory,
            env=env,
            probe=Probe(port, LIVE_PATH),
            routes=(Route("/", port),),
            priority=2,
        )

    def status(self, obj: Obj, running: Running) -> Obj:
        """Return the status of a Deployment as kube-controller-manager writes it."""
        wanted = obj["spec"]["replicas"]
        ready = wanted if running.ready else 0
        status = {
            "replicas": wanted,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "updatedReplicas": wanted,
            "observedGeneration": obj["metadata"]["generation"],
        }
        return status if running.ready else {**status, "message": running.message}


def _deployment(image: str, labels: dict[str, str]) -> Obj:
    container = {
        "name": "s3",
        "image": image,
        "command": ["python", "-m", "vellum.workloads.s3"],
        "env": [
            {"name": "VELLUM_S3_GRACE", "value": str(_GRACE_SECONDS)},
            {"name": "VELLUM_S3_IDENTITIES", "value": f"{_KEYS}/s3.json"},
            {"name": "VELLUM_S3_STORE", "value": f"{STORE}-filer.{STORAGE_NAMESPACE}.svc:{PORT}"},
        ],
        "ports": [{"name": "http-s3", "containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": _probe(READY_PATH),
        "livenessProbe": _probe(LIVE_PATH),
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"cpu": "2", "memory": "512Mi"}},
        "securityContext": RESTRICTED_CONTAINER,
        "volumeMounts": [{"name": "keys", "mountPath": _KEYS, "readOnly": True}],
    }
    keys = {"secretName": FRONT_SECRET, "items": [{"key": "s3.json", "path": "s3.json"}], "defaultMode": 0o440}
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {**RESTRICTED_POD, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000},
        "containers": [container],
        "volumes": [{"name": "keys", "secret": keys}],
    }
    return {
        "replicas": 2,
        "selector": {"matchLabels": dict(FRONT)},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }


def _probe(path: str) -> Obj:
    return {"httpGet": {"path": path, "port": PORT}, "periodSeconds": 5, "timeoutSeconds": 5}


def _policy() -> Obj:
    clients = {"namespaceSelector": {"matchLabels": {f"{DOMAIN}/s3-client": "true"}}}
    return {
        "podSelector": {"matchLabels": dict(FRONT)},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [clients], "ports": [{"port": PORT, "protocol": "TCP"}]}],
    }


component = StorefrontComponent()
