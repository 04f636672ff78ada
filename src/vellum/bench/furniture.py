"""What must be on the API server before Crossplane starts: kinds, rights, a node, a storage class. No I/O but reading.

Real: Crossplane's CRDs and the rights of its chart, KServe's CRD, kwok's stages, all out of their modules. Stand-ins,
named as such: CRDs of the seaweedfs-operator and the notebook controller, whose modules cannot be had (their schemas
are open here; docs/concepts/bench.md says which real ones our objects were compared with), and the rights on our own
kinds, which Crossplane's rbac-manager would write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from vellum.kube import names
from vellum.kube.objects import DOMAIN, Obj, make
from vellum.kube.seaweed import API as SEAWEED
from vellum.package.compositions import FUNCTION, SYSTEM
from vellum.package.rights import AGGREGATED

PROVISIONER = f"bench.{DOMAIN}/stand-in"
STAND_INS = (
    *((SEAWEED, kind) for kind in
      ("Seaweed", "Bucket", "S3Identity", "S3Policy", "S3PolicyBinding", "S3Credentials", "AdminScript")),
    ("kubeflow.org/v1", "Notebook"),
)  # fmt: skip
_RBAC = "rbac.authorization.k8s.io/v1"
_NODES, _PODS_A_NODE = 4, 500


def kinds(crossplane: Path, kserve: Path) -> list[Obj]:
    """Return the CRDs."""
    real = [crd for folder in (crossplane, kserve) for crd in _documents(folder)]
    for crd in real:
        # Only one version of ours is stored, and nobody here could answer a conversion.
        crd["spec"].pop("conversion", None)
    return [*real, *(_open_kind(*kind) for kind in STAND_INS)]


def _documents(folder: Path) -> Iterator[Obj]:
    for path in sorted(folder.rglob("*.yaml")):
        yield from (document for document in yaml.load_all(path.read_text(), yaml.CSafeLoader) if document)


def _open_kind(api_version: str, kind: str) -> Obj:
    group, _, version = api_version.partition("/")
    plural = names.plural(kind)
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
    versions = [{
        "name": version, "served": True, "storage": True, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }]  # fmt: skip
    spec = {
        "group": group, "scope": "Namespaced", "versions": versions,
        "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
    }  # fmt: skip
    annotations = {f"bench.{DOMAIN}/stand-in": "the operator's module cannot be had"}
    return make("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{plural}.{group}",
                annotations=annotations, spec=spec)  # fmt: skip


def base(chart: Path) -> list[Obj]:
    """Return namespaces, rights, nodes and the storage class."""
    return [
        make("v1", "Namespace", SYSTEM),
        *_rights(chart),
        *(_node(number) for number in range(_NODES)),
        make("storage.k8s.io/v1", "StorageClass", "bench", provisioner=PROVISIONER, volumeBindingMode="Immediate",
             annotations={"storageclass.kubernetes.io/is-default-class": "true"}),
    ]  # fmt: skip


def _rights(chart: Path) -> Iterator[Obj]:
    """Crossplane's own rights as its chart gives them, and those that its rbac-manager adds for our kinds."""
    selector = {"clusterRoleSelectors": [{"matchLabels": {AGGREGATED: "true"}}]}
    yield make(_RBAC, "ClusterRole", "crossplane", aggregationRule=selector, rules=[])
    yield make(_RBAC, "ClusterRole", "crossplane:system:aggregate-to-crossplane", labels={AGGREGATED: "true"},
               rules=chart_rules(chart / "clusterrole.yaml"))  # fmt: skip
    ours = [{"apiGroups": [DOMAIN], "resources": ["*"], "verbs": ["*"]}]
    yield make(_RBAC, "ClusterRole", "crossplane:composite:stand-in", labels={AGGREGATED: "true"}, rules=ours)
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "crossplane"}
    account = {"kind": "ServiceAccount", "name": "crossplane", "namespace": SYSTEM}
    yield make(_RBAC, "ClusterRoleBinding", "crossplane", roleRef=role, subjects=[account])


def chart_rules(template: Path) -> list[Obj]:
    """Return the rules of a chart's ClusterRole; what Helm would fill in is names and labels, which are not needed."""
    plain = "\n".join(line for line in template.read_text().splitlines() if "{{" not in line)
    roles = [document for document in yaml.safe_load_all(plain) if document]
    return [rule for role in roles for rule in role.get("rules") or ()]


def _node(number: int) -> Obj:
    name = f"stand-in-{number}"
    room = {"cpu": "512", "memory": "2Ti", "pods": str(_PODS_A_NODE), "ephemeral-storage": "1Ti"}
    labels = {"type": "kwok", "kubernetes.io/os": "linux", "kubernetes.io/hostname": name}
    return make("v1", "Node", name, labels=labels, annotations={"kwok.x-k8s.io/node": "fake"},
                status={"allocatable": room, "capacity": room})  # fmt: skip


def stages(folder: Path) -> str:
    """Return kwok's settings: pods that become ready at once, nodes that beat. It has none built in."""
    wanted = ("pod/fast/*.yaml", "node/fast/*.yaml", "node/heartbeat/*.yaml")
    found = [path for pattern in wanted for path in sorted(folder.glob(pattern))]
    documents = [one for path in found for one in yaml.safe_load_all(path.read_text()) if one]
    return yaml.safe_dump_all(one for one in documents if one["kind"] == "Stage")


def revision() -> Obj:
    """Return the FunctionRevision that Crossplane's package manager would make of the Function.

    Paused, so that nobody pulls its image; where it answers is written into its status afterwards.
    """
    spec = {"desiredState": "Active", "revision": 1, "image": "bench.invalid/function-vellum:v0"}
    labels = {"pkg.crossplane.io/package": FUNCTION}
    annotations = {"crossplane.io/paused": "true"}
    return make("pkg.crossplane.io/v1", "FunctionRevision", f"{FUNCTION}-bench", labels=labels,
                annotations=annotations, spec=spec)  # fmt: skip
