"""Helm's record of one revision of a release: its state, the objects that it rendered, and the kinds that it defined.

provider-helm never looks at live objects (measured on 1.3.0: a deleted Deployment stays gone while its Release is
Ready), so Vellum compares them with the record.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

import yaml

from vellum.kube.objects import Kind, Obj, annotations_of, labels_of

OWNED = (("app.kubernetes.io/managed-by", "Helm"),)
"""Helm sets this label on everything that it installs, and puts the release's name into an annotation."""
RELEASE_NAME, RELEASE_NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"

DEPLOYED, FAILED, ABSENT = "deployed", "failed", "absent"
"""Two of Helm's states, and ours for a release whose record is gone."""
WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
COMPARED = {
    f"{api_version}/{kind}": Kind(api_version, kind)
    for api_version, kinds in {
        "apps/v1": sorted(WORKLOADS),
        "v1": ("ConfigMap", "Service", "ServiceAccount"),
        "rbac.authorization.k8s.io/v1": ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
        "autoscaling/v2": ("HorizontalPodAutoscaler",),
        "networking.k8s.io/v1": ("NetworkPolicy",),
        "policy/v1": ("PodDisruptionBudget",),
        "admissionregistration.k8s.io/v1": ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
    }.items()
    for kind in kinds
}
"""Never Secrets (live ones would go to the function; rendered ones do, in Helm's record), CRDs (they nest
too deep for protobuf, and a recreated one has lost its objects), Jobs and Pods (they run once) or volume claims (a new
one is empty)."""
_CLUSTER_SCOPED = frozenset(
    {
        "ClusterRole",
        "ClusterRoleBinding",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
        "ClusterIssuer",
        "ClusterServingRuntime",
        "ClusterStorageContainer",
    }
)
_CRD = re.compile(r"^kind: CustomResourceDefinition$", re.MULTILINE)
"""CRDs are most of the bytes, and parsing them takes seconds. An unusual spelling of a CRD only costs that time.
Searching for the compared kinds instead would miss objects with an unusual spelling, such as JSON."""


class _Loader(yaml.CSafeLoader):
    """Reads YAML as Helm does: 12:30:00 is not a number, and 2026-11-29 is not a date."""


_NUMBER = re.compile(r"^[-+]?(0b[01_]+|0[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$")
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, _NUMBER if tag.endswith(":int") else pattern) for tag, pattern in known if not tag.endswith(":timestamp")
    ]
    for first, known in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """One compared object of the record: its kind, namespace, name and manifest."""

    kind: Kind
    namespace: str
    name: str
    manifest: Obj = field(repr=False, hash=False)

    def __str__(self) -> str:
        return f"{self.kind.kind} {f'{self.namespace}/' if self.namespace else ''}{self.name}"


def owner(obj: Obj) -> tuple[str, str]:
    """Return name and namespace of the release that Helm wrote on the object; empty if it wrote none."""
    notes = annotations_of(obj)
    return notes.get(RELEASE_NAME, ""), notes.get(RELEASE_NAMESPACE, "")


def state(record: Obj) -> str:
    """Return Helm's state of the revision: deployed, superseded, failed, pending-upgrade, ..."""
    return labels_of(record).get("status", "")


@dataclass(frozen=True, slots=True)
class Brought:
    """A kind that a chart defines with a CRD."""

    group: str
    kind: str
    name: str
    """The name of the CRD."""
    templated: bool = True
    """Whether an upgrade creates it again. Helm creates the CRDs in ``crds/`` only on installation."""

    def __str__(self) -> str:
        return f"CustomResourceDefinition {self.name}"


@dataclass(frozen=True, slots=True)
class Contents:
    """What one revision rendered and defined."""

    rendered: tuple[Rendered, ...]
    brought: tuple[Brought, ...]


def read(record: Obj, namespace: str, custom: Collection[str]) -> Contents:
    """Return the compared objects and the kinds of the revision.

    Args:
        record: the Secret ``sh.helm.release.v1.NAME.vN``.
        namespace: the release's namespace, for objects without one.
        custom: kinds of operators to compare, as ``apiVersion/kind``.

    Raises:
        ValueError: the Secret is not a record of Helm 3.
    """
    try:
        payload = record["data"]["release"]
        release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(payload))))
        # The line break before the marker belongs to the object: without it, a block of text at its end would lose one.
        texts = [f"{text}\n" for text in str(release["manifest"]).split("\n---\n")]
        files = (release.get("chart") or {}).get("files") or ()
        own = [file["data"] for file in files if str(file.get("name")).startswith("crds/")]
        crds = [base64.b64decode(data).decode() for data in own]
        return _contents(texts, crds, namespace, custom)
    except (KeyError, TypeError, AttributeError, OSError, EOFError, zlib.error, yaml.YAMLError) as error:
        raise ValueError(f"not a record of Helm 3: {type(error).__name__}") from error


def _contents(texts: list[str], crds: list[str], namespace: str, custom: Collection[str]) -> Contents:
    others = (text for text in texts if not _CRD.search(text))
    objects = [obj for text in others for obj in yaml.load_all(text, _Loader) if obj]
    compared = (obj for obj in objects if _name(obj) in COMPARED or _name(obj) in custom)
    templated = [_kind(obj) for obj in objects if _defines(obj)]
    templated += [kind for text in texts if _CRD.search(text) for kind in _kinds(text)]
    once = (kind for text in crds for part in _SPLIT.split(text) for kind in _kinds(part))
    return Contents(
        tuple(_rendered(obj, namespace) for obj in compared),
        (*templated, *(replace(kind, templated=False) for kind in once)),
    )


_DEFINITION = "CustomResourceDefinition"
_SPLIT = re.compile(r"^---.*$", re.MULTILINE)
_VERSIONS = re.compile(r"^  versions:", re.MULTILINE)


def _kinds(text: str) -> Iterator[Brought]:
    """Yield the kinds of CRDs. controller-gen writes the names before the schemas, which are most of the bytes."""
    head = _VERSIONS.split(text, maxsplit=1)[0]
    for part in (head, text):
        results = [item for item in yaml.load_all(part, _Loader) if isinstance(item, dict)]
        if defined := [item for item in results if _defines(item)]:
            yield from map(_kind, defined)
            return


def _defines(obj: Obj) -> bool:
    spec = obj.get("spec") or {}
    return obj.get("kind") == _DEFINITION and "group" in spec and "kind" in (spec.get("names") or {})


def _kind(obj: Obj) -> Brought:
    return Brought(obj["spec"]["group"], obj["spec"]["names"]["kind"], obj["metadata"]["name"])


def _name(obj: Obj) -> str:
    return f"{obj['apiVersion']}/{obj['kind']}"


def _rendered(obj: Obj, namespace: str) -> Rendered:
    where = "" if obj["kind"] in _CLUSTER_SCOPED else obj["metadata"].get("namespace", namespace)
    return Rendered(Kind(obj["apiVersion"], obj["kind"]), where, obj["metadata"]["name"], obj)
