"""A Helm chart as a value: from objects with placeholders to the files of a chart and its archive. No I/O.

The objects of a stand-in are written in JSON, which is YAML, so a placeholder can be filled with any value: a number, a
list, a map. ``value("replicas")`` makes a placeholder; "{{ .Release.Name }}" in a text works as in every chart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vellum.kube import names
from vellum.kube.objects import DOMAIN, Obj, make

RELEASE = "{{ .Release.Name }}"
NAMESPACE = "{{ .Release.Namespace }}"
STAND_IN = {f"bench.{DOMAIN}/stand-in": "the chart cannot be had as a Go module"}
_HOLE = re.compile(r'"«(.*?)»"')


@dataclass(frozen=True, slots=True)
class If:
    """An object that is made only when a value is true."""

    path: str
    object: Obj


@dataclass(frozen=True, slots=True)
class Chart:
    """A stand-in: the objects that others see of the real chart with this name and version."""

    name: str
    version: str
    objects: tuple[Obj | If, ...]
    values: Obj = field(default_factory=dict)
    """Every value that has an effect, with the real chart's default; others are ignored, as Helm does."""


def value(path: str) -> str:
    """Return a placeholder for the value at this path, of any type."""
    return f"«.Values.{path}»"


def expression(words: str) -> str:
    """Return a placeholder for the result of a template expression."""
    return f"«{words}»"


def files(chart: Chart) -> dict[str, bytes]:
    """Return the chart's files by their path in it."""
    about = {
        "apiVersion": "v2",
        "name": chart.name,
        "version": chart.version,
        "type": "application",
        "description": f"stand-in for {chart.name} {chart.version}",
        "annotations": STAND_IN,
    }
    return {
        "Chart.yaml": _json(about).encode(),
        "values.yaml": _json(chart.values).encode(),
        "templates/objects.yaml": "\n".join(map(_document, chart.objects)).encode(),
    }


def _document(obj: Obj | If) -> str:
    if isinstance(obj, If):
        return f"{{{{ if .Values.{obj.path} }}}}\n{_document(obj.object)}\n{{{{ end }}}}"
    return "---\n" + _HOLE.sub(r"{{ toJson (\1) }}", _json(obj))


def _json(result: object) -> str:
    return json.dumps(result, indent=1, ensure_ascii=False)


# Objects of which charts are made


def crd(api_version: str, kind: str, *, scope: str = "Namespaced", keep: str = "keep", more: Iterable[str] = ()) -> Obj:
    """Build a CRD that accepts everything: of the real schema, only the names are known here.

    Args:
        api_version: group and stored version.
        kind: its kind; the plural follows Kubernetes' rule.
        scope: Namespaced or Cluster.
        keep: Helm's resource policy for when the release is uninstalled.
        more: other served versions.
    """
    group, _, version = api_version.partition("/")
    plural = names.plural(kind)
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    versions = [
        {
            "name": item,
            "served": True,
            "storage": item == version,
            "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": schema},
        }
        for item in (version, *more)
    ]
    named = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    annotations = {**STAND_IN, "helm.sh/resource-policy": keep} if keep else STAND_IN
    spec = {"group": group, "scope": scope, "names": named, "versions": versions}
    return make(
        "apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{plural}.{group}", annotations=annotations, spec=spec
    )


@dataclass(frozen=True, slots=True)
class Container:
    """The one container of a workload's pods; it passes Pod Security ``restricted`` except for the seccomp profile."""

    name: str
    image: str
    ports: Mapping[str, int] = field(default_factory=dict)
    resources: str = ""
    """The path of the value; empty for none."""
    args: tuple[str, ...] = ()
    env: tuple[Obj, ...] = ()
    security: Mapping[str, object] = field(default_factory=dict)
    """Fields of its security context that add to ``restricted`` or differ from it."""

    def object(self) -> Obj:
        """Return the container as a pod's spec has it."""
        security = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}
        made: Obj = {"name": self.name, "image": self.image, "securityContext": {**security, **self.security}}
        if self.ports:
            made["ports"] = [{"name": name, "containerPort": port} for name, port in self.ports.items()]
        if self.resources:
            made["resources"] = value(self.resources)
        return {
            **made,
            **({"args": list(self.args)} if self.args else {}),
            **({"env": list(self.env)} if self.env else {}),
        }


def workload(  # noqa: PLR0913  # a workload has this many independent fields
    name: str,
    container: Container,
    labels: Mapping[str, str],
    *,
    kind: str = "Deployment",
    account: str = "",
    replicas: str | int = 1,
    pod: Mapping[str, object] | None = None,
    annotations: Mapping[str, str] | None = None,
    beside: Mapping[str, str] | None = None,
) -> Obj:
    """Build a Deployment or a DaemonSet; ``pod`` adds to the pods' spec, ``annotations`` apply to the pods too.

    ``labels`` select the pods; the labels ``beside`` are on the pods only.
    """
    worn = {**labels, **(beside or {})}
    meta: Obj = {"labels": worn, **({"annotations": dict(annotations)} if annotations else {})}
    spec: Obj = {
        "selector": {"matchLabels": dict(labels)},
        "template": {
            "metadata": meta,
            "spec": {"serviceAccountName": account or name, "containers": [container.object()], **(pod or {})},
        },
    }
    if kind == "Deployment":
        spec["replicas"] = replicas
    return make("apps/v1", kind, name, NAMESPACE, labels=worn, spec=spec)


def account(name: str) -> Obj:
    """Build a ServiceAccount."""
    return make("v1", "ServiceAccount", name, NAMESPACE)


def service(
    name: str, selector: Mapping[str, str], ports: Mapping[str, tuple[int, int]], kind: str = "ClusterIP"
) -> Obj:
    """Build a Service; ``ports`` maps a name to port and target."""
    listed = [{"name": port, "port": at, "targetPort": target} for port, (at, target) in ports.items()]
    return make(
        "v1",
        "Service",
        name,
        NAMESPACE,
        labels=selector,
        spec={"type": kind, "selector": dict(selector), "ports": listed},
    )


def scaler(name: str) -> Obj:
    """Build the HorizontalPodAutoscaler of a Deployment, for one to five pods."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return make("autoscaling/v2", "HorizontalPodAutoscaler", name, NAMESPACE,
                spec={"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5, "metrics": [
                    {"type": "Resource", "resource":
                     {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]})  # fmt: skip


def rights(  # noqa: PLR0913  # a role and its binding have this many independent fields
    kind: str, name: str, account_name: str, rules: Iterable[Obj], namespace: str = NAMESPACE, *, binding: str = ""
) -> tuple[Obj, Obj]:
    """Build a Role or ClusterRole, and a binding of the same name to an account in the release's namespace."""
    where = "" if kind == "ClusterRole" else namespace
    api = "rbac.authorization.k8s.io/v1"
    subject = {"kind": "ServiceAccount", "name": account_name, "namespace": NAMESPACE}
    return (
        make(api, kind, name, where, rules=list(rules)),
        make(
            api,
            f"{kind}Binding",
            binding or name,
            where,
            subjects=[subject],
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        ),
    )
