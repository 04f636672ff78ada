"""The team's governed namespace: Pod Security, quota, limits, who owns it and who pays."""

from __future__ import annotations

from dataclasses import dataclass

from vellum.kube.objects import DOMAIN, Obj, make
from vellum.kube.usage import usage
from vellum.model.component import Size, Spec, TeamComponent, TeamWish
from vellum.model.platform import PLATFORM
from vellum.model.state import Requirement


@dataclass(frozen=True, slots=True)
class Room:
    """The requests that a team of one size may make in total; limits are twice as much."""

    cpu: int
    memory_gib: int
    pods: int
    volumes: int
    storage_gib: int


ROOM: dict[Size, Room] = {
    "small": Room(cpu=4, memory_gib=8, pods=30, volumes=5, storage_gib=50),
    "medium": Room(cpu=16, memory_gib=32, pods=80, volumes=10, storage_gib=200),
    "large": Room(cpu=64, memory_gib=128, pods=200, volumes=20, storage_gib=1000),
}


class NamespaceComponent(TeamComponent[Spec]):
    """Namespace, ResourceQuota and LimitRange."""

    name = "namespace"
    summary = "The team's namespace with its quota and limits"

    def objects(self, wish: TeamWish[Spec]) -> dict[str, Obj]:
        """Return the namespace first: the team's other objects need it."""
        team, room = wish.team, ROOM[wish.size]
        made = {
            "namespace": _namespace(wish),
            "namespace-quota": make(
                "v1",
                "ResourceQuota",
                "team",
                team.namespace,
                labels=wish.labels(self.name),
                spec={"hard": _quota(room)},
            ),
            "namespace-limits": make(
                "v1",
                "LimitRange",
                "team",
                team.namespace,
                labels=wish.labels(self.name),
                spec={
                    "limits": [
                        {
                            "type": "Container",
                            "default": {"cpu": "1", "memory": "1Gi"},
                            "defaultRequest": {"cpu": "100m", "memory": "256Mi"},
                            "max": {"cpu": str(room.cpu), "memory": f"{room.memory_gib}Gi"},
                        }
                    ]
                },
            ),
        }
        if wish.platform.crossplane:
            made["namespace-usage"] = _usage(wish)
        return made

    def adoption(self, wish: TeamWish[Spec]) -> dict[str, Requirement]:
        """Require the namespace of that name: Crossplane's apply would adopt a foreign one and later delete it."""
        return {"namespace": Requirement("v1", "Namespace", wish.team.namespace)}


def _namespace(wish: TeamWish[Spec]) -> Obj:
    team = wish.team
    labels = {
        **wish.labels("namespace"),
        # KFP's NetworkPolicies select team namespaces by this label (kubeflow/manifests, common/kubeflow-namespace).
        "app.kubernetes.io/part-of": "kubeflow-profile",
        "kubernetes.io/metadata.name": team.namespace,
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
        f"{DOMAIN}/s3-client": "true",
    }
    if wish.cost_center:
        labels[f"{DOMAIN}/cost-center"] = wish.cost_center
    annotations = {f"{DOMAIN}/claim": f"{team.claim_namespace}/{team.claim_name}"}
    if wish.owner:
        annotations[f"{DOMAIN}/owner"] = wish.owner
    return make("v1", "Namespace", team.namespace, labels=labels, annotations=annotations)


def _usage(wish: TeamWish[Spec]) -> Obj:
    """Return the Usage that keeps the platform while the claim exists.

    It never has ``replay``: a refused deletion of the platform would then happen unasked after the last claim.
    """
    team = wish.team
    reason = f"claim {team.claim_namespace}/{team.claim_name} uses it"
    return usage(f"claim-{team.id}", of=PLATFORM, reason=reason, labels=wish.labels("namespace"))


def _quota(room: Room) -> dict[str, str]:
    return {
        "limits.cpu": str(2 * room.cpu),
        "limits.memory": f"{2 * room.memory_gib}Gi",
        "persistentvolumeclaims": str(room.volumes),
        "pods": str(room.pods),
        "requests.cpu": str(room.cpu),
        "requests.memory": f"{room.memory_gib}Gi",
        "requests.storage": f"{room.storage_gib}Gi",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }


component = NamespaceComponent()
