"""The objects that Crossplane needs before it starts: kinds, rights, a node, a storage class. Only reads files.

Real, and read from their modules: the CRDs of Crossplane and provider-helm, Crossplane's webhooks, the rights of its
chart, kwok's stages. Stand-ins, named as such: the rights that Crossplane's rbac-manager would create for our kinds,
for those of provider-helm, and for provider-helm itself. Operators and their kinds come with their charts.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import yaml

from vellum.bench.machine import BREAKER_BURST
from vellum.bench.programs import CROSSPLANE
from vellum.kube.objects import DOMAIN, Obj, make
from vellum.model.release import PROVIDER, SYSTEM
from vellum.package.compositions import FUNCTION
from vellum.package.rights import AGGREGATED

PROVISIONER = f"bench.{DOMAIN}/stand-in"
_RBAC = "rbac.authorization.k8s.io/v1"
_NODES, _PODS_A_NODE = 4, 500


def kinds(crossplane: Path, provider_helm: Path) -> list[Obj]:
    """Return the CRDs of Crossplane and of provider-helm, which the package manager would install."""
    real = [crd for folder in (crossplane, provider_helm) for crd in _documents(folder)]
    for crd in real:
        # Only one version of our kinds is stored, and no webhook here could convert another.
        crd["spec"].pop("conversion", None)
    return real


def _documents(folder: Path) -> Iterator[Obj]:
    for path in sorted(folder.rglob("*.yaml")):
        yield from (document for document in yaml.load_all(path.read_text(), yaml.CSafeLoader) if document)


def base(chart: Path) -> list[Obj]:
    """Return namespaces, rights, nodes and the storage class."""
    return [
        make("v1", "Namespace", SYSTEM),
        _crossplane(),
        *_rights(chart),
        *(_node(number) for number in range(_NODES)),
        make(
            "storage.k8s.io/v1",
            "StorageClass",
            "bench",
            provisioner=PROVISIONER,
            volumeBindingMode="Immediate",
            annotations={"storageclass.kubernetes.io/is-default-class": "true"},
        ),
    ]


def _crossplane() -> Obj:
    """Return the Deployment of Crossplane's chart. kwok pretends to run its pod; the process is a program."""
    labels = {"app": "crossplane"}
    args = ["core", "start", f"--circuit-breaker-burst={BREAKER_BURST}"]
    container = {"name": "crossplane", "image": f"bench.invalid/crossplane:{CROSSPLANE}", "args": args}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return make(
        "apps/v1",
        "Deployment",
        "crossplane",
        SYSTEM,
        labels=labels,
        spec={"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    )


def webhooks(folder: Path, port: int, authority: bytes) -> list[Obj]:
    """Return Crossplane's webhook configurations as its init container writes them, with URLs instead of a Service."""
    configurations = list(_documents(folder))
    for webhook in (one for configuration in configurations for one in configuration["webhooks"]):
        path = webhook["clientConfig"]["service"]["path"]
        url = f"https://localhost:{port}{path}"
        webhook["clientConfig"] = {"url": url, "caBundle": base64.b64encode(authority).decode()}
    return configurations


def _rights(chart: Path) -> Iterator[Obj]:
    """Return Crossplane's own rights from its chart, and those that its rbac-manager adds for our kinds."""
    selector = {"clusterRoleSelectors": [{"matchLabels": {AGGREGATED: "true"}}]}
    yield make(_RBAC, "ClusterRole", "crossplane", aggregationRule=selector, rules=[])
    yield make(
        _RBAC,
        "ClusterRole",
        "crossplane:system:aggregate-to-crossplane",
        labels={AGGREGATED: "true"},
        rules=chart_rules(chart / "clusterrole.yaml"),
    )
    ours = [{"apiGroups": [DOMAIN, "helm.crossplane.io"], "resources": ["*"], "verbs": ["*"]}]
    yield make(_RBAC, "ClusterRole", "crossplane:composite:stand-in", labels={AGGREGATED: "true"}, rules=ours)
    yield _bound("crossplane", "crossplane")
    yield make(_RBAC, "ClusterRole", "crossplane:provider:stand-in", rules=_every_provider("helm"))
    yield _bound(PROVIDER, "crossplane:provider:stand-in")


def _every_provider(name: str) -> list[Obj]:
    """Return the rights that Crossplane's rbac-manager gives a provider: its own kinds, and secrets in all namespaces.

    As in v2.3.4, internal/controller/rbac/provider/roles/roles.go.
    """
    groups = [f"{name}.crossplane.io", f"{name}.m.crossplane.io"]
    read, write = ["get", "list", "watch"], ["update", "patch", "create"]
    shared = ["secrets", "configmaps", "events", "leases"]
    return [
        {"apiGroups": groups, "resources": ["*"], "verbs": [*read, *write]},
        {"apiGroups": ["", "coordination.k8s.io"], "resources": shared, "verbs": ["*"]},
        {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": read},
    ]


def _bound(account: str, role: str) -> Obj:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": SYSTEM}
    return make(_RBAC, "ClusterRoleBinding", account, roleRef=reference, subjects=[subject])


def chart_rules(template: Path) -> list[Obj]:
    """Return the rules of a chart's ClusterRole; Helm would fill in only names and labels, which are not needed."""
    plain = "\n".join(line for line in template.read_text().splitlines() if "{{" not in line)
    roles = [document for document in yaml.safe_load_all(plain) if document]
    return [rule for role in roles for rule in role.get("rules") or ()]


def _node(number: int) -> Obj:
    name = f"stand-in-{number}"
    room = {"cpu": "512", "memory": "2Ti", "pods": str(_PODS_A_NODE), "ephemeral-storage": "1Ti"}
    labels = {"type": "kwok", "kubernetes.io/os": "linux", "kubernetes.io/hostname": name}
    return make(
        "v1",
        "Node",
        name,
        labels=labels,
        annotations={"kwok.x-k8s.io/node": "fake"},
        status={"allocatable": room, "capacity": room},
    )


def stages(folder: Path) -> str:
    """Return kwok's settings: pods become ready immediately, and nodes send heartbeats. kwok has no stages built in."""
    wanted = ("pod/fast/*.yaml", "node/fast/*.yaml", "node/heartbeat/*.yaml")
    paths = [path for pattern in wanted for path in sorted(folder.glob(pattern))]
    documents = [document for path in paths for document in yaml.safe_load_all(path.read_text()) if document]
    return yaml.safe_dump_all(document for document in documents if document["kind"] == "Stage")


def revision() -> Obj:
    """Return the FunctionRevision that Crossplane's package manager would create for the Function.

    It is paused, so that Crossplane does not pull its image; the bench writes the function's address into its status.
    """
    spec = {"desiredState": "Active", "revision": 1, "image": "bench.invalid/function-vellum:v0"}
    labels = {"pkg.crossplane.io/package": FUNCTION}
    annotations = {"crossplane.io/paused": "true"}
    return make(
        "pkg.crossplane.io/v1",
        "FunctionRevision",
        f"{FUNCTION}-bench",
        labels=labels,
        annotations=annotations,
        spec=spec,
    )
