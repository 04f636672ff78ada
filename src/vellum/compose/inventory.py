"""The objects in a Helm release's record, and how the live objects differ from them. Pure.

provider-helm never looks at live objects (measured on 1.3.0: a deleted Deployment stays gone while its Release is
Ready), so Vellum does. Every rendered field must be live; other live fields are fine: defaults, injected sidecars.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from vellum.compose import normal
from vellum.kube.objects import Obj, labels_of
from vellum.model.component import Kind

OWNED = (("app.kubernetes.io/managed-by", "Helm"),)
"""Helm sets this label on everything that it installs, and puts the release's name into an annotation."""
RELEASE_NAME, RELEASE_NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"

WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
COMPARED = {
    f"{kind.api_version}/{kind.kind}": kind
    for kind in (
        *(Kind("apps/v1", kind) for kind in sorted(WORKLOADS)),
        *(Kind("v1", kind) for kind in ("ConfigMap", "Service", "ServiceAccount")),
        *(Kind("rbac.authorization.k8s.io/v1", kind)
          for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")),
        Kind("autoscaling/v2", "HorizontalPodAutoscaler"),
        Kind("networking.k8s.io/v1", "NetworkPolicy"),
        Kind("policy/v1", "PodDisruptionBudget"),
        *(Kind("admissionregistration.k8s.io/v1", kind)
          for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")),
    )
}  # fmt: skip
"""Never Secrets (live ones would go to the function; rendered ones do, in Helm's record), CRDs (they nest
too deep for protobuf, and a recreated one has lost its objects), Jobs and Pods (they run once) or volume claims (a new
one is empty)."""
_CLUSTER_SCOPED = frozenset({
    "ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
    "ClusterIssuer", "ClusterServingRuntime", "ClusterStorageContainer",
})  # fmt: skip
_ONLY_THERE = frozenset({"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"})
"""Their own controllers write into them (certificates; istiod also the failure policy), so only absence is a fault."""
_NOT_COMPARED = frozenset({"apiVersion", "kind", "metadata", "status"})
_CRD = re.compile(r"^kind: CustomResourceDefinition$", re.MULTILINE)
"""CRDs are most of the bytes, and parsing them takes seconds. An unusual spelling of a CRD only costs that time.
Searching for the compared kinds instead would miss objects with an unusual spelling, such as JSON."""


class _Loader(yaml.CSafeLoader):
    """Reads YAML as Helm does: 12:30:00 is not a number, and 2026-11-29 is not a date."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (
            tag,
            re.compile(r"^[-+]?(0b[01_]+|0[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$")
            if tag.endswith(":int")
            else pattern,
        )
        for tag, pattern in found
        if not tag.endswith(":timestamp")
    ]
    for first, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_SCALABLE = frozenset({"Deployment", "StatefulSet"})
_MERGE_KEYS = ("name", "containerPort", "port", "mountPath", "key", "ip")
Path = tuple[str | int, ...]
REPLICAS: Path = ("spec", "replicas")


@dataclass(frozen=True, slots=True)
class Rendered:
    """One compared object of the record: its kind, namespace, name and manifest."""

    kind: Kind
    namespace: str
    name: str
    manifest: Obj = field(repr=False, hash=False)

    def __str__(self) -> str:
        return f"{self.kind.kind} {f'{self.namespace}/' if self.namespace else ''}{self.name}"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs from the rendered one; ``live`` is None if the field is gone."""

    path: Path
    live: Any
    rendered: bool = True
    """Whether the manifest has the field; if not, an upgrade alone does not restore it."""

    def __str__(self) -> str:
        return "".join(f".{step}" if isinstance(step, str) else f"[{step}]" for step in self.path)


def status_of(record: Obj) -> str:
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


def rendered(record: Obj, namespace: str, custom: Mapping[str, Kind]) -> tuple[Rendered, ...]:
    """Return the compared objects that the record, Helm's Secret of one revision, lists.

    Args:
        record: the Secret ``sh.helm.release.v1.NAME.vN``.
        namespace: the release's namespace, for objects without one.
        custom: kinds of operators to compare, by ``apiVersion/kind``.

    Raises:
        ValueError: the Secret is not a record of Helm 3.
    """
    return _both(record, namespace, custom)[0]


def brought(record: Obj, namespace: str, custom: Mapping[str, Kind]) -> tuple[Brought, ...]:
    """Return the kinds that the revision defined; arguments and errors as in ``rendered``."""
    return _both(record, namespace, custom)[1]


def _both(
    record: Obj, namespace: str, custom: Mapping[str, Kind]
) -> tuple[tuple[Rendered, ...], tuple[Brought, ...]]:
    meta, kinds = record["metadata"], frozenset(custom)
    key = (meta["uid"], meta["resourceVersion"], namespace, kinds)
    if key not in _known:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        try:
            _known[key] = _rendered(record["data"]["release"], namespace, kinds)
        except (KeyError, TypeError, AttributeError, OSError, EOFError, zlib.error, yaml.YAMLError) as error:
            raise ValueError(f"not a record of Helm 3: {type(error).__name__}") from error
    return _known[key]


_known: dict[tuple[str, str, str, frozenset[str]], tuple[tuple[Rendered, ...], tuple[Brought, ...]]] = {}
"""A settled platform has the same records in every pass, and the largest takes 60 ms to read. The key is the version:
comparing their texts, two megabytes, would take a millisecond."""
_MOST_KNOWN = 256


def _rendered(
    payload: str, namespace: str, custom: frozenset[str]
) -> tuple[tuple[Rendered, ...], tuple[Brought, ...]]:
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(payload))))
    # The line break before the marker belongs to the object: without it, a block of text at its end would lose one.
    all_of_them = [f"{text}\n" for text in str(release["manifest"]).split("\n---\n")]
    texts = [text for text in all_of_them if not _CRD.search(text)]
    found = [one for text in texts for one in yaml.load_all(text, _Loader) if one]
    compared = (_one(obj, namespace) for obj in found if _name(obj) in COMPARED or _name(obj) in custom)
    kinds = [_kind(obj) for obj in found if _defines(obj)]
    kinds += [kind for text in all_of_them if _CRD.search(text) for kind in _kinds(text)]
    files = (release.get("chart") or {}).get("files") or ()
    crds = [
        base64.b64decode(one["data"]).decode() for one in files if str(one.get("name")).startswith("crds/")
    ]
    kinds += [
        replace(kind, templated=False) for text in crds for one in _SPLIT.split(text) for kind in _kinds(one)
    ]
    return tuple(compared), tuple(kinds)


_DEFINITION = "CustomResourceDefinition"
_SPLIT = re.compile(r"^---.*$", re.MULTILINE)
_VERSIONS = re.compile(r"^  versions:", re.MULTILINE)


def _kinds(text: str) -> Iterator[Brought]:
    """Yield the kinds of CRDs. controller-gen writes the names before the schemas, which are most of the bytes."""
    head = _VERSIONS.split(text, maxsplit=1)[0]
    for part in (head, text):
        found = [one for one in yaml.load_all(part, _Loader) if isinstance(one, dict)]
        if defined := [one for one in found if _defines(one)]:
            yield from map(_kind, defined)
            return


def _defines(obj: Obj) -> bool:
    spec = obj.get("spec") or {}
    return obj.get("kind") == _DEFINITION and "group" in spec and "kind" in (spec.get("names") or {})


def _kind(obj: Obj) -> Brought:
    return Brought(obj["spec"]["group"], obj["spec"]["names"]["kind"], obj["metadata"]["name"])


def _name(obj: Obj) -> str:
    return f"{obj['apiVersion']}/{obj['kind']}"


def _one(obj: Obj, namespace: str) -> Rendered:
    where = "" if obj["kind"] in _CLUSTER_SCOPED else obj["metadata"].get("namespace", namespace)
    return Rendered(Kind(obj["apiVersion"], obj["kind"]), where, obj["metadata"]["name"], obj)


def differences(want: Rendered, live: Obj, *, scaled: bool = False) -> Iterator[Difference]:
    """Yield the fields of a live object that differ from the rendered ones.

    Args:
        want: the rendered object.
        live: the object in the API server.
        scaled: whether an autoscaler owns the number of replicas; it leaves 0 at 0.
    """
    if want.kind.kind in _ONLY_THERE:
        return
    for name, value in want.manifest.items():
        if name not in _NOT_COMPARED:
            for found in _differences(value, live.get(name), (name,)):
                if not (scaled and found.path == REPLICAS and found.live != 0):
                    yield found
    if _is_switched_off(want, live):
        yield Difference(REPLICAS, 0, rendered=False)


def _is_switched_off(want: Rendered, live: Obj) -> bool:
    """Tell whether a workload is scaled to 0 whose chart sets no number, such as KServe's."""
    if want.kind.kind not in _SCALABLE or "replicas" in want.manifest["spec"]:
        return False
    return bool(live["spec"].get("replicas") == 0)


def _differences(want: Any, live: Any, path: Path) -> Iterator[Difference]:  # noqa: ANN401  # any JSON
    if normal.same(want, live, path):
        return
    if isinstance(want, dict) and isinstance(live, Mapping):
        for name, value in normal.with_account(want, path).items():
            yield from _differences(value, live.get(name), (*path, name))
    elif isinstance(want, list) and isinstance(live, list) and (pairs := _pairs(want, live)) is not None:
        for place, (one, other) in enumerate(pairs):
            yield from _differences(one, other, (*path, place))
    else:
        yield Difference(path, live)


def _pairs(want: list[Any], live: list[Any]) -> list[tuple[Any, Any]] | None:
    """Return each wanted entry with its live one; None if the lists cannot be matched."""
    key = next((key for key in _MERGE_KEYS if _identifies(key, want)), "")
    if key:
        # The API server drops an empty name.
        by_key = {one.get(key) or "": one for one in live if isinstance(one, Mapping)}
        return [(one, by_key.get(one[key] or "")) for one in want]
    return list(zip(want, live, strict=True)) if len(want) == len(live) else None


def _identifies(key: str, entries: list[Any]) -> bool:
    if not all(isinstance(entry, dict) and key in entry for entry in entries):
        return False
    return len({entry[key] for entry in entries}) == len(entries) > 0
