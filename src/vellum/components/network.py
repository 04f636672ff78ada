"""Default deny in both directions, and exactly what the policies of the wanted components allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vellum.kube.objects import Obj, make
from vellum.model.component import Policy, Spec, TeamComponent, TeamWish

_API = "networking.k8s.io/v1"
_BOTH = ["Ingress", "Egress"]


class NetworkComponent(TeamComponent[Spec]):
    """NetworkPolicies of the team's namespace."""

    name = "network"
    summary = "Network policies: only the traffic that the team's parts need"
    needs = ("namespace",)

    def objects(self, wish: TeamWish[Spec]) -> dict[str, Obj]:
        """Return three policies: deny all, traffic inside the team and to DNS, and what the components need."""
        return {
            "network-deny": self._policy(wish, "default-deny", {"policyTypes": _BOTH}),
            "network-inside": self._policy(
                wish,
                "inside",
                {
                    "policyTypes": _BOTH,
                    "ingress": [{"from": [{"podSelector": {}}]}],
                    "egress": [{"to": [{"podSelector": {}}]}, _dns()],
                },
            ),
            "network-parts": self._policy(wish, "parts", {"policyTypes": _BOTH, **_parts(wish.policies)}),
        }

    def _policy(self, wish: TeamWish[Spec], name: str, spec: Obj) -> Obj:
        selected = {"podSelector": {}, **spec}
        return make(_API, "NetworkPolicy", name, wish.team.namespace, labels=wish.labels(self.name), spec=selected)


def _dns() -> Obj:
    ports = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    return {
        "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
        "ports": ports,
    }


def _parts(policies: Iterable[Policy]) -> Obj:
    """Return the rules of all wanted components; a direction without rules is absent, as the API server stores it."""
    ingress = _rules("from", (peer for policy in policies for peer in policy.ingress))
    egress = [*_rules("to", (peer for policy in policies for peer in policy.egress)), *_anywhere(policies)]
    return {name: rules for name, rules in (("ingress", ingress), ("egress", egress)) if rules}


def _anywhere(policies: Iterable[Policy]) -> list[Obj]:
    ports = sorted({port for policy in policies for port in policy.anywhere})
    return [{"ports": [{"port": port, "protocol": "TCP"} for port in ports]}] if ports else []


def _rules(direction: str, peers: Iterable[tuple[str, Mapping[str, str], int]]) -> list[Obj]:
    unique = sorted({(namespace, tuple(sorted(labels.items())), port) for namespace, labels, port in peers})
    return [_rule(direction, namespace, dict(labels), port) for namespace, labels, port in unique]


def _rule(direction: str, namespace: str, labels: Mapping[str, str], port: int) -> Obj:
    peer: Obj = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    if labels:
        peer["podSelector"] = {"matchLabels": dict(labels)}
    return {direction: [peer], "ports": [{"port": port, "protocol": "TCP"}]}


component = NetworkComponent()
