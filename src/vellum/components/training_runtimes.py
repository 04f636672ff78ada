"""The runtimes of TrainJobs and served models, which all teams share.

A Job applies upstream's own runtimes: it fetches kubectl from the internet as root, and they fail Pod Security. These
pass it.
"""

from __future__ import annotations

from collections.abc import Mapping

from vellum.components.access import SERVICE_ACCOUNT
from vellum.components.notebook import BINDING_PATH
from vellum.connect.binding import BINDING_SECRET
from vellum.kube.objects import RESTRICTED_CONTAINER, RESTRICTED_POD, Obj, make, secret_env_all
from vellum.model.component import PlatformComponent, Spec, Wish
from vellum.model.training import MODEL_FORMAT, MODEL_RUNTIME, NODE, RUNTIME, SERVING_RUNTIME, TRAINING_RUNTIME

TRIES = 3
"""How often a job is retried after its first failure (``backoffLimit``)."""

JOB_RESOURCES: Mapping[str, Mapping[str, str]] = {
    "requests": {"cpu": "500m", "memory": "512Mi"},
    "limits": {"cpu": "2", "memory": "2Gi"},
}
"""Default resources of a TrainJob; the job's ``resourcesPerNode`` overrides them."""
MODEL_RESOURCES: Mapping[str, Mapping[str, str]] = {
    "requests": {"cpu": "100m", "memory": "256Mi"},
    "limits": {"cpu": "1", "memory": "1Gi"},
}
"""Default resources of a served model."""


class TrainingRuntimesComponent(PlatformComponent[Spec]):
    """One ClusterTrainingRuntime and one ClusterServingRuntime, both of the workloads' image."""

    name = "training-runtimes"
    summary = "The runtimes of TrainJobs and of the models that they make"
    switch = "training"
    after = ("kubeflow-trainer", "kserve-runtimes")
    kinds = (TRAINING_RUNTIME, SERVING_RUNTIME)
    image = "workloads"
    actor = "Kubeflow Trainer"

    def objects(self, wish: Wish[Spec]) -> dict[str, Obj]:
        """Return both runtimes."""
        labels, image = wish.labels(self.name), wish.platform.images[self.image]
        return {
            "training-runtimes-jobs": make(
                TRAINING_RUNTIME.api_version,
                TRAINING_RUNTIME.kind,
                RUNTIME,
                labels=labels,
                spec={"mlPolicy": {"numNodes": 1}, "template": {"spec": {"replicatedJobs": [_job(image)]}}},
            ),
            "training-runtimes-models": make(
                SERVING_RUNTIME.api_version, SERVING_RUNTIME.kind, MODEL_RUNTIME, labels=labels, spec=_server(image)
            ),
        }


def _job(image: str) -> Obj:
    container = {"name": NODE, **_container(image, JOB_RESOURCES)}
    pod = {
        # Never: each try has its own pod, whose log stays.
        "restartPolicy": "Never",
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [container],
        "volumes": _volumes(),
    }
    return {
        "name": NODE,
        "template": {
            "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
            "spec": {"backoffLimit": TRIES, "template": {"spec": pod}},
        },
    }


def _server(image: str) -> Obj:
    container = {
        "name": "kserve-container",
        # KServe replaces this word with the InferenceService's name, and appends its args.
        "command": ["python", "-m", "vellum.workloads.models"],
        "args": ["--http_port=8080", "--model_name={{.Name}}"],
        "ports": [{"name": "http1", "containerPort": 8080, "protocol": "TCP"}],
        **_container(image, MODEL_RESOURCES),
    }
    return {
        "supportedModelFormats": [{"name": MODEL_FORMAT, "version": "0", "autoSelect": False}],
        "protocolVersions": ["v1", "v2"],
        "containers": [container],
        "volumes": _volumes(),
    }


def _container(image: str, resources: Mapping[str, Mapping[str, str]]) -> Obj:
    return {
        "image": image,
        "env": [{"name": "VELLUM_BINDING_DIR", "value": BINDING_PATH}, {"name": "HOME", "value": "/tmp"}],  # noqa: S108  # in the pod
        "envFrom": [secret_env_all(BINDING_SECRET)],
        "resources": {name: dict(amounts) for name, amounts in resources.items()},
        # On the container, because a ServingRuntime has no field for a pod's context.
        "securityContext": {**RESTRICTED_CONTAINER, **RESTRICTED_POD, "runAsUser": 1000},
        "volumeMounts": [
            {"name": "binding", "mountPath": BINDING_PATH, "readOnly": True},
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108  # in the pod
        ],
    }


def _volumes() -> list[Obj]:
    return [{"name": "binding", "secret": {"secretName": BINDING_SECRET}}, {"name": "scratch", "emptyDir": {}}]


component = TrainingRuntimesComponent()
