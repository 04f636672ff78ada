"""Search over the team's documents: an InferenceService whose predictor asks the team's Qdrant."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vellum.components.access import SERVICE_ACCOUNT
from vellum.components.notebook import BINDING_PATH
from vellum.connect.binding import BINDING_SECRET
from vellum.kube.objects import RESTRICTED_CONTAINER, RESTRICTED_POD, Kind, Obj, make, secret_env_all
from vellum.model.component import Bound, Policy, Size, Spec, TeamComponent, TeamWish
from vellum.model.process import INFERENCE, MOST_BYTES, Probe, Process, Route, Running, Site
from vellum.model.rotation import mark
from vellum.model.team import KUBEFLOW_NAMESPACE, MESH_NAMESPACE

SERVICE = "search"
_RESOURCES: dict[Size, Obj] = {
    "small": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
    "medium": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
    "large": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "4", "memory": "4Gi"}},
}


class SearchSpec(Spec):
    """The claim's ``search`` block."""

    replicas: Annotated[
        int, Field(description="The number of predictors; a laptop runs one", default=1, ge=1, le=5, examples=[2])
    ]


class SearchComponent(TeamComponent[SearchSpec]):
    """One InferenceService, reachable inside the cluster only."""

    name = "search"
    summary = "Inference by KServe: answers questions from the team's documents, citing document and page"
    spec = SearchSpec
    block = "search"
    switch = "inference"
    needs = ("namespace", "access", "qdrant")
    kinds = (Kind("serving.kserve.io/v1beta1", "InferenceService"),)
    operators = ("kserve",)
    image = "workloads"
    workload = kinds[0]
    ports = ("http",)
    holders = ("search",)
    rotates = "restarts; on a cluster a new pod answers before the old one stops"
    binds = (Bound("VELLUM_SEARCH_URL", "where the search model answers, by KServe's protocols", public=True),)
    means = (
        ("inference", "the search service is added or removed; bucket and vectors stay"),
        ("search.replicas", "pods of the search service are added or removed"),
    )
    expendable = True
    actor = "KServe"

    def objects(self, wish: TeamWish[SearchSpec]) -> dict[str, Obj]:
        """Return the InferenceService in Standard mode: no Knative, no scale to zero."""
        annotations = {
            "serving.kserve.io/deploymentMode": "Standard",
            "serving.kserve.io/autoscalerClass": "none",
            # KServe gives the pods the service's annotations (0.20, buildObjectMeta), so a changed one rolls them.
            **mark(wish.keys.using),
        }
        labels = {**wish.labels(self.name), "networking.kserve.io/visibility": "cluster-local"}
        return {
            "search": make(
                "serving.kserve.io/v1beta1",
                "InferenceService",
                SERVICE,
                wish.team.namespace,
                labels=labels,
                annotations=annotations,
                spec={"predictor": _predictor(wish)},
            )
        }

    def binding(self, wish: TeamWish[SearchSpec]) -> dict[str, str]:
        """Return the address for KServe's v1 and v2 protocols."""
        return {"VELLUM_SEARCH_URL": wish.platform.serving_url(wish.team, SERVICE)}

    def endpoints(self, wish: TeamWish[SearchSpec]) -> dict[str, str]:
        """Return the address for questions."""
        return {"search": wish.platform.serving_url(wish.team, SERVICE)}

    def policy(self, wish: TeamWish[SearchSpec]) -> Policy:
        """Allow requests from Kubeflow's namespace, and from the mesh's gateway."""
        del wish
        return Policy(ingress=((KUBEFLOW_NAMESPACE, {}, 8080), (MESH_NAMESPACE, {}, 8080)))

    def process(self, obj: Obj, site: Site) -> Process:
        """Run the predictor, a real KServe ModelServer; it starts with Qdrant and is ready once Qdrant answers."""
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        port = site.ports["http"]
        own = {"VELLUM_BIND": "127.0.0.1", "VELLUM_BINDING_DIR": str(site.secrets / BINDING_SECRET)}
        argv = (site.python, "-P", "-m", "vellum.workloads.search", f"--http_port={port}")
        return Process(
            name=f"{name}-{namespace}",
            argv=argv,
            directory=site.directory,
            env={**site.env, **own},
            probe=Probe(port, f"/v2/models/{SERVICE}/ready"),
            priority=1,
            routes=(Route(f"/serving/{namespace}/{name}/", port, "/", served=INFERENCE, most_bytes=MOST_BYTES),),
        )

    def status(self, obj: Obj, running: Running) -> Obj:
        """Return the status as KServe writes it in Standard mode."""
        state = "True" if running.ready else "False"
        message = {} if running.ready else {"message": running.message}
        conditions = [
            {"type": kind, "status": state, **message} for kind in ("IngressReady", "PredictorReady", "Ready")
        ]
        status: Obj = {"conditions": conditions, "observedGeneration": obj["metadata"]["generation"]}
        return {**status, "url": running.url} if running.url else status


def _predictor(wish: TeamWish[SearchSpec]) -> Obj:
    return {
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "minReplicas": wish.detail.replicas,
        "maxReplicas": wish.detail.replicas,
        "securityContext": {**RESTRICTED_POD, "runAsUser": 1000},
        "containers": [
            {
                "name": "kserve-container",
                "image": wish.platform.images["workloads"],
                "command": ["python", "-m", "vellum.workloads.search"],
                "args": ["--http_port=8080"],
                "env": [{"name": "VELLUM_BINDING_DIR", "value": BINDING_PATH}],
                "envFrom": [secret_env_all(BINDING_SECRET, optional=True)],
                "ports": [{"name": "http1", "containerPort": 8080, "protocol": "TCP"}],
                "readinessProbe": {
                    "httpGet": {"path": f"/v2/models/{SERVICE}/ready", "port": 8080},
                    "periodSeconds": 5,
                },
                "resources": _RESOURCES[wish.size],
                "securityContext": RESTRICTED_CONTAINER,
                "volumeMounts": [
                    {"name": "binding", "mountPath": BINDING_PATH, "readOnly": True},
                    {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108  # in the pod
                ],
            }
        ],
        "volumes": [
            {"name": "binding", "secret": {"secretName": BINDING_SECRET, "optional": True}},
            {"name": "scratch", "emptyDir": {}},
        ],
    }


component = SearchComponent()
