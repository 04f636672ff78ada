"""What others can see of a rendered chart, as lines that can be compared, kept and read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from tests.charts import images, pod_security
from tests.charts.helm import HOOK

from vellum.compose.helm.records import COMPARED, WORKLOADS
from vellum.kube.objects import Kind, Obj, annotations_of

_PODS = (*sorted(WORKLOADS), "Job")
_WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_SCALER = "HorizontalPodAutoscaler"
_CRD = "CustomResourceDefinition"
NOT_GUARDED = frozenset({_CRD, "Secret", "Job", "Pod", "PersistentVolumeClaim"})
"""Kinds that the guard leaves alone on purpose; see ``compose.helm.records``."""
_KUBERNETES = ("", "apps", "autoscaling", "batch", "policy")


@dataclass(frozen=True, slots=True)
class Facts:
    """One rendered chart."""

    workloads: list[str] = field(default_factory=list)
    """Kind, name, replicas, account, and each container with what it requests."""
    pods: list[str] = field(default_factory=list)
    """By which labels workloads know their pods, and the ports of the containers."""
    labels: list[str] = field(default_factory=list)
    """All labels of the pods."""
    services: list[str] = field(default_factory=list)
    """Ports, and the ports of the containers that they lead to."""
    kinds: list[str] = field(default_factory=list)
    """CRDs: kind, group, served versions, scope, and whether they outlive the release."""
    apart: list[str] = field(default_factory=list)
    """Kinds that Helm installs once and never deletes, since the chart has them in crds/."""
    scalers: list[str] = field(default_factory=list)
    custom: list[str] = field(default_factory=list)
    """Objects of operators."""
    webhooks: list[str] = field(default_factory=list)
    hooks: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    """All images that it pulls or lets others pull."""
    pod_security: dict[str, list[str]] = field(default_factory=dict)
    """For each workload and Job the fields for which Pod Security ``restricted`` refuses its pods."""


def of(objects: list[Obj], namespace: str, apart: Collection[tuple[str, str]] = ()) -> Facts:
    """Return the facts of the objects that were rendered for a release in this namespace.

    Args:
        objects: all of them, hooks too.
        namespace: the release's.
        apart: kind and name of those that the chart has in crds/.
    """
    hooks = [obj for obj in objects if HOOK in annotations_of(obj)]
    plain = [obj for obj in objects if obj not in hooks]
    workloads = [item for item in plain if item["kind"] in WORKLOADS]
    told = {*WORKLOADS, "Service", _CRD, _SCALER, *_WEBHOOKS}
    return Facts(
        workloads=sorted(map(_workload, workloads)),
        pods=sorted(line for workload in workloads for line in _pods(workload)),
        labels=sorted(
            f"{_titled(workload)}: {label}={value}"
            for workload in workloads
            for label, value in workload["spec"]["template"]["metadata"]["labels"].items()
        ),
        services=sorted(_service(item, workloads) for item in plain if item["kind"] == "Service"),
        kinds=sorted(_kind(item) for item in plain if item["kind"] == _CRD),
        apart=sorted(
            item["spec"]["names"]["kind"] for item in plain if (item["kind"], item["metadata"]["name"]) in apart
        ),
        scalers=sorted(_named(item, namespace) for item in plain if item["kind"] == _SCALER),
        custom=sorted(_named(item, namespace) for item in plain if _custom(item)),
        webhooks=sorted(line for item in plain if item["kind"] in _WEBHOOKS for line in _webhooks(item)),
        hooks=sorted(f"{_named(hook, namespace)}: {annotations_of(hook)[HOOK]}" for hook in hooks),
        others=sorted(_named(item, namespace) for item in plain if item["kind"] not in told and not _custom(item)),
        images=images.of(objects),
        pod_security={
            _titled(obj): list(pod_security.faults(obj["spec"]["template"])) for obj in objects if obj["kind"] in _PODS
        },
    )


def custom(objects: Iterable[Obj]) -> set[Kind]:
    """Return the kinds of operators of which the chart makes objects."""
    return {Kind(obj["apiVersion"], obj["kind"]) for obj in objects if _custom(obj)}


def served(objects: Iterable[Obj]) -> set[Kind]:
    """Return the kinds that the chart's CRDs bring, in every version."""
    return {
        Kind(f"{obj['spec']['group']}/{version['name']}", obj["spec"]["names"]["kind"])
        for obj in objects
        if obj["kind"] == _CRD
        for version in obj["spec"]["versions"]
        if version["served"]
    }


def unguarded(objects: Iterable[Obj]) -> set[str]:
    """Return the kinds at which the guard would not look, though it does not leave them alone on purpose."""
    return {
        obj["kind"]
        for obj in objects
        if not _custom(obj)
        and HOOK not in annotations_of(obj)
        and obj["kind"] not in NOT_GUARDED
        and f"{obj['apiVersion']}/{obj['kind']}" not in COMPARED
    }


def _custom(obj: Obj) -> bool:
    group = obj["apiVersion"].rpartition("/")[0]
    return group not in _KUBERNETES and not group.endswith(".k8s.io")


def _named(obj: Obj, namespace: str) -> str:
    meta = obj["metadata"]
    elsewhere = meta.get("namespace", namespace)
    return f"{obj['kind']} {'' if elsewhere == namespace else f'{elsewhere}/'}{meta['name']}"


def _titled(obj: Obj) -> str:
    return f"{obj['kind']} {obj['metadata']['name']}"


def _pods(obj: Obj) -> Iterator[str]:
    spec = obj["spec"]
    yield f"{_titled(obj)} selects {', '.join(sorted('='.join(label) for label in spec['selector']['matchLabels'].items()))}"
    for container in spec["template"]["spec"]["containers"]:
        for port in container.get("ports") or ():
            yield f"{_titled(obj)}: {container['name']} {port['containerPort']}"


def _workload(obj: Obj) -> str:
    pod = obj["spec"]["template"]["spec"]
    containers = ", ".join(map(_container, [*(pod.get("initContainers") or ()), *pod["containers"]]))
    # A missing number means 1, and Helm does not restore it.
    replicas = "" if obj["kind"] == "DaemonSet" else f", replicas {obj['spec'].get('replicas', 'unsaid')}"
    return f"{_titled(obj)}{replicas}, account {pod['serviceAccountName']}: {containers}"


def _container(container: Obj) -> str:
    asked = (container.get("resources") or {}).get("requests") or {}
    return f"{container['name']} {asked['cpu']} {asked['memory']}" if asked else f"{container['name']} without requests"


def _service(obj: Obj, workloads: list[Obj]) -> str:
    spec = obj["spec"]
    behind = [
        workload["spec"]["template"]
        for workload in workloads
        if _selects(spec["selector"], workload["spec"]["template"])
    ]
    ports = ", ".join(_port(port, behind) for port in spec["ports"])
    return f"{obj['metadata']['name']} {spec.get('type', 'ClusterIP')}: {ports if behind else 'selects no workload'}"


def _selects(selector: Obj, template: Obj) -> bool:
    return bool(selector.items() <= template["metadata"]["labels"].items())


def _port(port: Obj, templates: list[Obj]) -> str:
    target = port.get("targetPort", port["port"])
    named = [
        item["containerPort"]
        for template in templates
        for container in template["spec"]["containers"]
        for item in container.get("ports") or ()
        if item.get("name") == target
    ]
    (at,) = named or [target]
    return f"{port['port']}→{at}"


def _kind(crd: Obj) -> str:
    spec = crd["spec"]
    versions = "+".join(sorted(version["name"] for version in spec["versions"] if version["served"]))
    kept = ", kept" if annotations_of(crd).get("helm.sh/resource-policy") == "keep" else ""
    return f"{spec['names']['kind']} {spec['group']}/{versions}, {spec['scope']}{kept}"


def _webhooks(obj: Obj) -> Iterator[str]:
    for webhook in obj["webhooks"]:
        service = webhook["clientConfig"]["service"]
        path = f"{service['name']}:{service.get('port', 443)}"
        yield f"{obj['kind']} {obj['metadata']['name']}: {webhook['name']} by {path}, {webhook.get('failurePolicy', 'Fail')}"
