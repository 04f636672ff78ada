"""Runs a Jupyter server for every Notebook."""

from __future__ import annotations

from vellum.kube.objects import Kind, Obj
from vellum.model.component import Spec, Wish
from vellum.model.release import Chart, ReleaseComponent
from vellum.model.team import KUBEFLOW_NAMESPACE


class NotebookControllerComponent(ReleaseComponent[Spec]):
    """Runs a Jupyter server for every Notebook."""

    name = "notebook-controller"
    summary = "Runs a Jupyter server for every Notebook"
    chart = Chart("", "notebook-controller", "0.1.0")
    namespace = KUBEFLOW_NAMESPACE
    after = ("provider-helm", "artifacts", "istiod")
    serves = (Kind("kubeflow.org/v1", "Notebook"),)

    def values(self, wish: Wish[Spec]) -> Obj:
        """Return the chart's values."""
        return {"istio": {"enabled": wish.platform.profile == "standard"}}


component = NotebookControllerComponent()
