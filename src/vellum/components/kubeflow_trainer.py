"""Runs every TrainJob: Kubeflow Trainer, and JobSet, which its chart installs too."""

from __future__ import annotations

from vellum.kube.objects import Kind, Obj
from vellum.model.component import Spec, Wish
from vellum.model.release import Chart, Image, ReleaseComponent
from vellum.model.training import TRAIN_JOB, TRAINING_RUNTIME

_MEANS = (
    "enabled: Kubeflow Trainer is installed; disabled: refused where it is installed (ProfileChanged), "
    "and then nothing changes"
)


class KubeflowTrainerComponent(ReleaseComponent[Spec]):
    """Runs every TrainJob."""

    name = "kubeflow-trainer"
    summary = "Runs every TrainJob"
    switch = "training"
    means = (("training", _MEANS),)
    chart = Chart("oci://ghcr.io/kubeflow/charts", "kubeflow-trainer", "2.3.0")
    images = (
        Image("ghcr.io/kubeflow/trainer/trainer-controller-manager:v2.3.0"),
        Image("registry.k8s.io/jobset/jobset:v0.12.0"),
    )
    # Its chart has its three kinds as templates without a keep policy: Helm would delete every TrainJob with them.
    outlives = True
    namespace = "kubeflow-system"
    makes_namespace = True
    after = ("provider-helm", "istiod")
    crds = (Kind("jobset.x-k8s.io/v1alpha2", "JobSet"),)
    serves = (TRAIN_JOB, TRAINING_RUNTIME, *crds)

    def values(self, wish: Wish[Spec]) -> Obj:
        """Return the chart's values."""
        del wish
        return {
            # The chart's Job would fetch kubectl from the internet as root to install them; Vellum composes its own.
            "runtimes": {"defaultEnabled": False},
            "manager": {"resources": {"requests": {"cpu": "20m", "memory": "64Mi"}}},
            # The default requests half a core.
            "jobset": {"controller": {"resources": {"requests": {"cpu": "20m", "memory": "64Mi"}}}},
        }


component = KubeflowTrainerComponent()
