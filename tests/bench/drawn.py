"""Manifests of every kind that the release guard compares, each with a few fields spelled in another harmless way.

The fields come from the API server's own OpenAPI documents, so none is left out: every field of every object is at
some time null, empty, zero or false, whether the chart would write it or not.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from vellum.kube.objects import Obj

Path = tuple[str | int, ...]
Change = tuple[Path, Any]
Schemas = Mapping[str, Any]

LABELS = {"app": "drawn"}
CONTAINER: Obj = {
    "name": "main",
    "image": "registry.example.org/main:1",
    "args": ["--port", "8080"],
    "ports": [{"name": "http", "containerPort": 8080}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}],
    "env": [
        {"name": "PLAIN", "value": "1000m"},
        {"name": "FIELD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "one", "optional": True}}},
    ],
    "envFrom": [{"prefix": "A_", "configMapRef": {"name": "settings", "optional": True}}],
    "resources": {"requests": {"cpu": "0.1", "memory": "1024Mi"}, "limits": {"cpu": 2, "memory": "2Gi"}},
    "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http", "httpHeaders": [{"name": "A", "value": "b"}]}},
    "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 5},
    "startupProbe": {"exec": {"command": ["true"]}, "failureThreshold": 30},
    "lifecycle": {"preStop": {"exec": {"command": ["sleep", "1"]}}},
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsUser": 1000},
    "volumeMounts": [{"name": "folder", "mountPath": "/folder"}, {"name": "settings", "mountPath": "/settings"}],
}
POD: Obj = {
    "containers": [CONTAINER],
    "initContainers": [{"name": "first", "image": "registry.example.org/first:latest"}],
    "serviceAccountName": "main",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "terminationGracePeriodSeconds": 10,
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, "fsGroup": 1000},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": {"labelSelector": {"matchLabels": LABELS}, "topologyKey": "zone"}}
            ]
        }
    },
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
    "volumes": [
        {"name": "folder", "emptyDir": {"sizeLimit": "1024Mi"}},
        {
            "name": "settings",
            "configMap": {"name": "settings", "defaultMode": 420, "items": [{"key": "a", "path": "a"}]},
        },
        {"name": "keys", "secret": {"secretName": "keys"}},
        {"name": "host", "hostPath": {"path": "/var/log"}},
        {"name": "empty", "emptyDir": {}},
        {
            "name": "token",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"path": "token"}},
                    {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                ]
            },
        },
        {
            "name": "own",
            "ephemeral": {
                "volumeClaimTemplate": {
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
                }
            },
        },
    ],
}
TEMPLATE: Obj = {"metadata": {"labels": LABELS}, "spec": POD}
_WORKLOAD: Obj = {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}
RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
SUBJECTS = [{"kind": "ServiceAccount", "name": "main", "namespace": "default"}]
_RBAC = "rbac.authorization.k8s.io"


def _bound(kind: str) -> Obj:
    return {"roleRef": {"apiGroup": _RBAC, "kind": kind, "name": "view"}, "subjects": SUBJECTS}


KINDS: Mapping[str, tuple[str, Obj]] = {
    "Deployment": ("apps/v1", {"spec": {
        **_WORKLOAD, "replicas": 2, "strategy": {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 1}}}}),
    "StatefulSet": ("apps/v1", {"spec": {
        **_WORKLOAD, "serviceName": "main", "volumeClaimTemplates": [{
            "metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
                                                   "resources": {"requests": {"storage": "1024Mi"}}}}]}}),
    "DaemonSet": ("apps/v1", {"spec": {**_WORKLOAD, "updateStrategy": {"rollingUpdate": {"maxUnavailable": "10%"}}}}),
    "ConfigMap": ("v1", {"data": {"a": "1000m", "b": "", "c": "several\nlines\n"}, "binaryData": {"d": "AAEC"}}),
    "Service": ("v1", {"spec": {"selector": LABELS, "ports": [
        {"name": "http", "port": 80, "targetPort": "http"}, {"name": "dns", "port": 53, "protocol": "UDP"}]}}),
    "ServiceAccount": ("v1", {"imagePullSecrets": [{"name": "keys"}], "automountServiceAccountToken": False}),
    "ClusterRole": (f"{_RBAC}/v1", {"rules": [*RULES, {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]}),
    "Role": (f"{_RBAC}/v1", {"rules": RULES}),
    "ClusterRoleBinding": (f"{_RBAC}/v1", _bound("ClusterRole")),
    "RoleBinding": (f"{_RBAC}/v1", _bound("Role")),
    "HorizontalPodAutoscaler": ("autoscaling/v2", {"spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "main"}, "minReplicas": 2, "maxReplicas": 4,
        "metrics": [{"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1024Mi"}}}],
        "behavior": {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}}}}),
    "NetworkPolicy": ("networking.k8s.io/v1", {"spec": {
        "podSelector": {"matchLabels": LABELS}, "ingress": [{"from": [{"namespaceSelector": {}}], "ports": [{"port": "http"}]}],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}}),
    "PodDisruptionBudget": ("policy/v1", {"spec": {"maxUnavailable": "50%", "selector": {"matchLabels": LABELS}}}),
}  # fmt: skip
AMOUNTS = {
    "0.1": ["100m", ".1", "1e-1", "+0.10", "100000u"],
    "1024Mi": ["1Gi", "1073741824", "1048576Ki", "1073741824000m"],
    "2": ["2000m", "2.0", "2e0"],
    "2Gi": ["2048Mi", "2147483648"],
    "1Gi": ["1024Mi"],
    "1m": ["0.001", "1e-3"],
}
"""Amounts of the manifests, with other spellings."""


def base(kind: str, name: str = "drawn") -> Obj:
    """Return the manifest of a kind."""
    api_version, rest = KINDS[kind]
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **json.loads(json.dumps(rest))}


def harmless(kind: str, schemas: Schemas) -> list[Change]:
    """Return every way to spell one field that says no more than before, or the same."""
    obj = base(kind)
    (root,) = [item for item in schemas.values() if _is_of(item, obj["apiVersion"], kind)]
    results = []
    for name, schema in root["properties"].items():
        if name not in ("apiVersion", "kind", "metadata", "status"):
            results += list(_empty(schemas, schema, obj.get(name), (name,)))
    if kind in ("StatefulSet", "DaemonSet"):
        # Their pods are those of a Deployment, whose thousands of fields are enough once.
        results = [change for change in results if change[0][:2] != ("spec", "template")]
    return results + [
        (path, text)
        for path, value in leaves(obj)
        for text in AMOUNTS.get(str(value), ())
        if not {"env", "data"} & {*path}
    ]


def harmful(kind: str) -> list[Change]:
    """Return one other value for each value of the manifest, and another choice where an empty map is one."""
    return [*((path, _other(value)) for path, value in leaves(base(kind))), *_CHOICES.get(kind, ())]


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every value that is neither a map nor a list, outside of the metadata."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in ("apiVersion", "kind", "metadata", "status") or len(path) > 1:
                yield from leaves(item, (*path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from leaves(item, (*path, place))
    elif path:
        yield path, value


def changed(obj: Obj, changes: list[Change]) -> Obj:
    """Return a copy with these values in it."""
    made: Obj = json.loads(json.dumps(obj))
    for path, value in changes:
        target: Any = made
        for step, following in pairwise(path):
            if isinstance(target, dict) and not isinstance(target.get(step), (dict, list)):
                target[step] = [] if isinstance(following, int) else {}
            target = target[step]
        target[path[-1]] = value
    return made


def batches(changes: list[Change], dice: random.Random, together: int) -> Iterator[list[Change]]:
    """Yield all changes in a random order, some together, none of them below another."""
    left = dice.sample(changes, len(changes))
    for start in range(0, len(left), together):
        taken: list[Change] = []
        for change in left[start : start + together]:
            if not any(_below(change[0], item[0]) or _below(item[0], change[0]) for item in taken):
                taken.append(change)
        yield taken


def _below(path: Path, other: Path) -> bool:
    return path[: len(other)] == other


def _is_of(schema: Mapping[str, Any], api_version: str, kind: str) -> bool:
    group, _, version = api_version.rpartition("/")
    wanted = {"group": group, "version": version, "kind": kind}
    return wanted in (schema.get("x-kubernetes-group-version-kind") or ())


def _empty(schemas: Schemas, schema: Mapping[str, Any], value: Any, path: Path) -> Iterator[Change]:
    """Yield the empty values of a field and of all fields below it."""
    schema, name = _resolved(schemas, schema)
    empty = _EMPTY.get(name or str(schema.get("type", "object")), (None,))
    yield from ((path, item) for item in empty)
    if schema.get("type") == "array":
        for place in range(len(value or ())):
            yield from _empty(schemas, schema["items"], value[place], (*path, place))
    # A pod in a job in a cluster of jobs would not end.
    elif len(path) < _DEEPEST:
        below = value if isinstance(value, dict) else {}
        for item, inner in (schema.get("properties") or {}).items():
            yield from _empty(schemas, inner, below.get(item), (*path, item))


def _resolved(schemas: Schemas, schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    while reference := schema.get("$ref") or next(
        (item["$ref"] for item in schema.get("allOf", ()) if "$ref" in item), ""
    ):
        name = reference.rsplit("/", 1)[-1]
        schema = schemas[name]
        if name.endswith(("Quantity", "IntOrString")):
            return schema, "text"
    return schema, ""


_DEEPEST = 12
_FOLDER: Path = ("spec", "template", "spec", "volumes", 4)
_PEER: Path = ("spec", "ingress", 0, "from", 0)
_CHOICES: Mapping[str, list[Change]] = {
    "Deployment": [(_FOLDER, {"name": "empty", "hostPath": {"path": "/"}})],
    "NetworkPolicy": [(_PEER, {"podSelector": {}}), (_PEER, {"ipBlock": {"cidr": "0.0.0.0/0"}})],
}
_EMPTY: Mapping[str, tuple[Any, ...]] = {
    "object": (None, {}),
    "array": (None, []),
    "string": (None, ""),
    "boolean": (None, False),
    "integer": (None, 0),
    "number": (None, 0),
    "text": (None,),
}
_OTHERS: Mapping[type, Callable[[Any], Any]] = {
    bool: lambda value: not value,
    int: lambda value: value + 1,
    str: lambda value: f"{int(value[:-2]) + 1}{value[-2:]}" if value[:-2].isdigit() else f"{value}x",
}


def _other(value: Any) -> Any:
    return _OTHERS[type(value)](value)
