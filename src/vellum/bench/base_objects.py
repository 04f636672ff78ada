"""The objects that Crossplane needs before it starts: kinds, rights, a node, a storage class. Only reads files.

All of Crossplane's are real: its CRDs, its webhooks, and its chart as Helm renders it. kwok pretends to run the pods of
its Deployments; the programs are processes. Crossplane's package manager installs the CRDs of packages, and its
rbac-manager writes their rights. Operators and their kinds come with their charts.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import yaml

from vellum.bench.machine import BREAKER_BURST
from vellum.bench.packages import HOST
from vellum.bench.programs import CROSSPLANE
from vellum.kube.objects import DOMAIN, Obj, make
from vellum.model.release import SYSTEM

PROVISIONER = f"bench.{DOMAIN}/stand-in"
MIRRORED = ("xpkg.crossplane.io", HOST)
"""The hosts of packages that the bench's registry serves."""
_NODES, _PODS_A_NODE = 4, 500


def kinds(crossplane: Path) -> list[Obj]:
    """Return Crossplane's CRDs, which its init container installs."""
    crds = list(_documents(crossplane))
    for crd in crds:
        # Only one version of each kind is stored, and no webhook here could convert another.
        crd["spec"].pop("conversion", None)
    return crds


def _documents(folder: Path) -> Iterator[Obj]:
    for path in sorted(folder.rglob("*.yaml")):
        yield from (document for document in yaml.load_all(path.read_text(), yaml.CSafeLoader) if document)


def chart_values() -> Obj:
    """Return the values for Crossplane's chart."""
    return {
        "image": {"repository": f"{HOST}/crossplane", "tag": CROSSPLANE},
        "args": [f"--circuit-breaker-burst={BREAKER_BURST}"],
    }


def base(rendered: str, registry: str) -> list[Obj]:
    """Return namespaces, Crossplane's chart, nodes and the storage class.

    Args:
        rendered: Crossplane's chart, as ``helm template`` renders it with ``chart_values``.
        registry: the bench's registry, host and port.
    """
    return [
        make("v1", "Namespace", SYSTEM),
        *(document for document in yaml.load_all(rendered, yaml.CSafeLoader) if document),
        *_settings(registry),
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


def _settings(registry: str) -> Iterator[Obj]:
    """Return the objects that point the package manager at the bench's registry and activate all providers' kinds."""
    for host in MIRRORED:
        images = [{"type": "Prefix", "prefix": host}]
        spec = {"matchImages": images, "rewriteImage": {"prefix": registry}}
        yield make("pkg.crossplane.io/v1beta1", "ImageConfig", f"bench-{host.partition('.')[0]}", spec=spec)
    # Crossplane's init container writes these two; `*` is the chart's default for `provider.defaultActivations`.
    yield make("pkg.crossplane.io/v1beta1", "DeploymentRuntimeConfig", "default")
    policy = "ManagedResourceActivationPolicy"
    yield make("apiextensions.crossplane.io/v1alpha1", policy, "default", spec={"activate": ["*"]})


def webhooks(folder: Path, port: int, authority: bytes) -> list[Obj]:
    """Return Crossplane's webhook configurations as its init container writes them, with URLs instead of a Service."""
    configurations = list(_documents(folder))
    for webhook in (item for configuration in configurations for item in configuration["webhooks"]):
        path = webhook["clientConfig"]["service"]["path"]
        url = f"https://localhost:{port}{path}"
        webhook["clientConfig"] = {"url": url, "caBundle": base64.b64encode(authority).decode()}
    return configurations


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
