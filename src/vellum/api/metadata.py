"""The metadata that people write: names, labels and annotations by the rules of Kubernetes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from vellum.api import admission, platform, workloads
from vellum.api.claim import CROSSPLANE_FIELDS
from vellum.api.messages import unknown
from vellum.api.schema import node_at
from vellum.api.yaml_reader import Document, Mistake, Path, shown
from vellum.kube.names import LABEL_LIMIT, is_dns_label
from vellum.kube.objects import Json
from vellum.model.team import KUBEFLOW_NAMESPACE, STORAGE_NAMESPACE, VECTORS_NAMESPACE
from vellum.model.training import LONGEST_JOB

LIVE = frozenset(
    {
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "finalizers",
        "ownerReferences",
        "selfLink",
    }
)
"""The control plane writes these. They are ignored, so that the output of ``kubectl get -o yaml`` can be applied."""
IGNORED: frozenset[Path] = frozenset(
    {("status",), *(("metadata", name) for name in LIVE), *(("spec", name) for name in CROSSPLANE_FIELDS)}
)
RESERVED = frozenset(
    {
        KUBEFLOW_NAMESPACE,
        STORAGE_NAMESPACE,
        VECTORS_NAMESPACE,
        "crossplane-system",
        "kube-system",
        "kube-public",
        "kube-node-lease",
    }
)
"""Namespaces that others make. A laptop makes a claim's with the claim, and the platform would never get its own."""
MOST_ANNOTATION_BYTES = 256 * 1024
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_SUBDOMAIN = 253


def check(document: Document, kind: str, metadata: Json, team: str = "") -> Iterator[Mistake]:
    """Yield the mistakes; ``team`` is the namespace for a workload without one, empty where it is not known."""
    if not isinstance(metadata, dict):
        what = "the object's name is missing"
        yield Mistake("VEL113", what, ("metadata",), "write metadata: {name: research}")
        return
    known = node_at(kind, ("metadata",))["properties"]
    for field in metadata:
        if field not in known and field not in LIVE:
            yield unknown(("metadata", field), known, written=document.lines)
    yield from _texts(document, metadata, "labels")
    yield from _texts(document, metadata, "annotations")
    if kind == platform.KIND:
        if metadata.get("name") != platform.NAME:
            what = f"the platform must be named {platform.NAME}"
            yield Mistake("VEL116", what, ("metadata", "name"), f"write name: {platform.NAME}")
        return
    is_workload = kind in workloads.KINDS
    name, namespace = metadata.get("name"), metadata.get("namespace", "default")
    wrong = _wrong_name("namespace", namespace)
    if wrong is None and not is_workload and namespace in RESERVED:
        what = f"the namespace {namespace} belongs to the platform or the cluster, not to teams"
        wrong = Mistake("VEL116", what, ("metadata", "namespace"), "write namespace: team-a")
    place = team if wrong else metadata.get("namespace", team)
    yield from filter(None, (wrong, _wrong_name("name", name, letter=is_workload)))
    if is_workload and isinstance(name, str) and is_dns_label(name):
        yield from _long_name(kind, name, place)


def _wrong_name(field: str, value: object, *, letter: bool = False) -> Mistake | None:
    """Return what is wrong with a name; with ``letter`` the suggested name begins with a letter."""
    path: Path = ("metadata", field)
    if value is None:
        return Mistake("VEL113", "the object's name is missing", path, "write name: research")
    if not isinstance(value, str):
        fix = f'write {field}: "{_repaired(shown(value), letter=letter)}", if that is the {field}'
        return Mistake("VEL116", f"the {field} is not text", path, fix)
    if is_dns_label(value):
        return None
    what = f"{shown(value)} is not a {field}: at most {LABEL_LIMIT} of a-z 0-9 -, a letter or digit first and last"
    return Mistake("VEL116", what, path, f"write {field}: {_repaired(value, letter=letter)}")


def _long_name(kind: str, name: str, namespace: str) -> Iterator[Mistake]:
    most = admission.longest(kind, namespace)
    if name[0].isalpha() and len(name) <= most:
        return
    why = "because pods add to it"
    if most < LONGEST_JOB:
        where = f"the namespace {namespace}" if namespace else "the namespace of a team such as default/team-a"
        why = f"because KServe appends {where}, in 63 characters"
    what = f"{shown(name)} cannot be used here: a letter first, and at most {most} characters, {why}"
    fix = f"write name: {_repaired(name, letter=True)[:most].rstrip('-')}"
    yield Mistake("VEL116", what, ("metadata", "name"), fix)


def _repaired(value: str, *, letter: bool) -> str:
    """Return the nearest valid name; with ``letter``, the nearest one that begins with a letter."""
    made = re.sub(r"[^a-z0-9]+", "-", value[:LABEL_LIMIT].lower()).strip("-") or "research"
    return made if made[0].isalpha() or not letter else f"m-{made}"[:LABEL_LIMIT].rstrip("-")


def _texts(document: Document, metadata: dict[str, Any], field: str) -> Iterator[Mistake]:
    """Yield what is wrong with labels or annotations."""
    path, texts = ("metadata", field), metadata.get(field, {})
    if not isinstance(texts, dict):
        yield Mistake("VEL117", f"{field} must map names to text", path, f"write {field}: {{stage: trial}}")
        return
    for key, value in texts.items():
        prefix, slash, name = key.rpartition("/")
        prefix_fits = not slash or (len(prefix) <= _LONGEST_SUBDOMAIN and _SUBDOMAIN.fullmatch(prefix))
        if not prefix_fits or not _NAME.fullmatch(name):
            what = f"{shown(key)} is not a label's name: optional domain/, then at most 63 of A-Z a-z 0-9 - _ ."
            fix = "write a name such as example.org/stage"
        elif not isinstance(value, str):
            word = document.words.get((*path, key))
            what, fix = "the value is not text", f'write "{word}" in quotes' if word else "write a text"
        elif field == "labels" and value and not _NAME.fullmatch(value):
            what = f"{shown(value)} is not a label's value: at most 63 of A-Z a-z 0-9 - _ ."
            fix = "shorten it, or move it to annotations"
        else:
            continue
        yield Mistake("VEL117", what, (*path, key), fix)
    if sum(len(f"{key}{value}".encode()) for key, value in texts.items()) > MOST_ANNOTATION_BYTES:
        what = f"the {field} have more than 256 KiB in all"
        yield Mistake("VEL117", what, path, "keep long texts elsewhere")
