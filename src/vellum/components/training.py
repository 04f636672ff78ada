"""Training by the team: the right to start Kubeflow Trainer's jobs in its namespace, and to serve their models."""

from __future__ import annotations

from vellum.components.access import SERVICE_ACCOUNT
from vellum.kube.objects import Obj, make
from vellum.model.component import Policy, Spec, TeamComponent, TeamWish
from vellum.model.team import MESH_NAMESPACE

_API = "rbac.authorization.k8s.io/v1"
_ALL = ["create", "delete", "get", "list", "patch", "update", "watch"]
_RULES: list[Obj] = [
    {"apiGroups": ["trainer.kubeflow.org"], "resources": ["trainjobs"], "verbs": _ALL},
    {"apiGroups": ["trainer.kubeflow.org"], "resources": ["trainjobs/status"], "verbs": ["get"]},
    # Kubeflow's SDK reads these to show a job's steps, and why a step does not start.
    {"apiGroups": ["jobset.x-k8s.io"], "resources": ["jobsets"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["serving.kserve.io"], "resources": ["inferenceservices"], "verbs": _ALL},
]

_MEANS = (
    "disabled: the team's account may no longer make, see or end TrainJobs, nor serve its own models, "
    "and requests of running programs with these rights are refused; existing jobs and services stay, but "
    "unless inference is enabled the mesh's gateway no longer reaches the services; enabled: it may"
)


class TrainingComponent(TeamComponent[Spec]):
    """A Role and its binding; the team creates its jobs itself."""

    name = "training"
    summary = "Training by Kubeflow Trainer: the team may run TrainJobs and serve the models that they make"
    switch = "training"
    # Off by default: a team gets no right that it does not need, and most platforms do not have Trainer.
    default = "disabled"
    means = (("training", _MEANS),)
    needs = ("namespace", "access", "bucket")
    after = ("training-runtimes",)

    def objects(self, wish: TeamWish[Spec]) -> dict[str, Obj]:
        """Return the Role of the team's account; its pods already reach the bucket, the vectors and each other."""
        namespace, labels = wish.team.namespace, wish.labels(self.name)
        account = {"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "training"}
        return {
            "training-role": make(_API, "Role", "training", namespace, labels=labels, rules=_RULES),
            "training-binding": make(
                _API, "RoleBinding", "training", namespace, labels=labels, roleRef=role, subjects=[account]
            ),
        }

    def policy(self, wish: TeamWish[Spec]) -> Policy:
        """Allow the mesh's gateway at the port where KServe serves the team's own models."""
        del wish
        return Policy(ingress=((MESH_NAMESPACE, {}, 8080),))


component = TrainingComponent()
