"""The metadata that people write: names, labels and annotations by the rules of Kubernetes."""

from __future__ import annotations

import re
from typing import Any

from vellum.api import admission, platform, workloads
from vellum.api.claim import CROSSPLANE_FIELDS
from vellum.api.documents import Document, Path, shown
from vellum.api.schema import node_at
from vellum.api.words import unknown
from vellum.kube.names import LABEL_LIMIT, is_dns_label
from vellum.model.team import KUBEFLOW_NAMESPACE, STORAGE_NAMESPACE, VECTORS_NAMESPACE
from vellum.model.training import LONGEST_JOB

LIVE = frozenset({
    "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
    "managedFields", "finalizers", "ownerReferences", "selfLink",
})  # fmt: skip
"""The control plane writes these. They are ignored, so that the output of ``kubectl get -o yaml`` can be applied."""
IGNORED: frozenset[Path] = frozenset({
    ("status",), *(("metadata", name) for name in LIVE), *(("spec", name) for name in CROSSPLANE_FIELDS),
})  # fmt: skip
RESERVED = frozenset({
    KUBEFLOW_NAMESPACE, STORAGE_NAMESPACE, VECTORS_NAMESPACE, "crossplane-system",
    "kube-system", "kube-public", "kube-node-lease",
})  # fmt: skip
"""Namespaces that others make. A laptop makes a claim's with the claim, and the platform would never get its own."""
MOST_ANNOTATION_BYTES = 256 * 1024
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_SUBDOMAIN = 253


def check(
    document: Document, kind: str, metadata: Any, team: str = "",  # noqa: ANN401  # whatever was written
) -> tuple[str, str, dict[str, str], dict[str, str]]:  # fmt: skip
    """Return (namespace, name, labels, annotations); record mistakes in the document.

    ``team`` is the namespace for a workload without one; empty where it is not known.
    """
    here: Path = ("metadata",)
    if not isinstance(metadata, dict):
        document.problem("VEL113", "the object's name is missing", here, "write metadata: {name: research}")
        return "", "", {}, {}
    known = node_at(kind, here)["properties"]
    for field in metadata:
        if field not in known and field not in LIVE:
            mistake = unknown((*here, field), known, written=document.places)
            document.problem(mistake.code, mistake.what, mistake.path, mistake.fix)
    labels = _texts(document, metadata, "labels")
    annotations = _texts(document, metadata, "annotations")
    if kind == platform.KIND:
        _platform_name(document, metadata)
        return "", platform.NAME, labels, annotations
    if kind in workloads.KINDS:
        namespace = _of_a_team(document, metadata)
        return namespace, _workload_name(document, metadata, kind, namespace or team), labels, annotations
    return (
        _namespace(document, metadata),
        _name(document, metadata, "name"),
        labels,
        annotations,
    )


def _platform_name(document: Document, metadata: dict[str, Any]) -> None:
    if metadata.get("name") != platform.NAME:
        what = f"the platform must be named {platform.NAME}"
        document.problem("VEL116", what, ("metadata", "name"), f"write name: {platform.NAME}")


def _namespace(document: Document, metadata: dict[str, Any]) -> str:
    namespace = _name(document, metadata, "namespace", "default")
    if namespace in RESERVED:
        what = f"the namespace {namespace} belongs to the platform or the cluster, not to teams"
        document.problem("VEL116", what, ("metadata", "namespace"), "write namespace: team-a")
    return namespace


def _of_a_team(document: Document, metadata: dict[str, Any]) -> str:
    """Return the namespace, or empty if the file has none: a laptop with one team knows it."""
    return _name(document, metadata, "namespace") if "namespace" in metadata else ""


def _workload_name(document: Document, metadata: dict[str, Any], kind: str, namespace: str) -> str:
    name, most = _name(document, metadata, "name", letter=True), admission.longest(kind, namespace)
    if name and (not name[0].isalpha() or len(name) > most):
        why = "because pods add to it"
        if most < LONGEST_JOB:
            where = (
                f"the namespace {namespace}"
                if namespace
                else "the namespace of a team such as default/team-a"
            )
            why = f"because KServe appends {where}, in 63 characters"
        what = f"{shown(name)} cannot be used here: a letter first, and at most {most} characters, {why}"
        repaired = _repaired(name, letter=True)[:most].rstrip("-")
        document.problem("VEL116", what, ("metadata", "name"), f"write name: {repaired}")
        return ""
    return name


def _name(
    document: Document, metadata: dict[str, Any], field: str, default: str = "", *, letter: bool = False
) -> str:
    """Return the name in a field, empty if it is not valid; with ``letter`` the suggested name begins with a letter."""
    path: Path = ("metadata", field)
    value = metadata.get(field, default)
    if path in document.doubtful:
        return ""
    if not isinstance(value, str):
        meant = shown(value)
        if not is_dns_label(meant) or (letter and not meant[0].isalpha()):
            meant = _repaired(meant, letter=letter)
        fix = f'write {field}: "{meant}", if that is the {field}'
        document.problem("VEL116", f"the {field} is not text", path, fix)
        return ""
    if field not in metadata and not default:
        document.problem("VEL113", "the object's name is missing", path, "write name: research")
        return ""
    if not is_dns_label(value):
        what = f"{shown(value)} is not a {field}: at most {LABEL_LIMIT} of a-z 0-9 -, a letter or digit first and last"
        document.problem("VEL116", what, path, f"write {field}: {_repaired(value, letter=letter)}")
        return ""
    return value


def _repaired(value: str, *, letter: bool) -> str:
    """Return the nearest valid name; with ``letter``, the nearest one that begins with a letter."""
    made = re.sub(r"[^a-z0-9]+", "-", value[:LABEL_LIMIT].lower()).strip("-") or "research"
    return made if made[0].isalpha() or not letter else f"m-{made}"[:LABEL_LIMIT].rstrip("-")


def _texts(document: Document, metadata: dict[str, Any], field: str) -> dict[str, str]:
    path: Path = ("metadata", field)
    texts = metadata.get(field, {})
    if path in document.doubtful:
        return {}
    if not isinstance(texts, dict):
        document.problem(
            "VEL117", f"{field} must map names to text", path, f"write {field}: {{stage: trial}}"
        )
        return {}
    for key, value in texts.items():
        _label(document, (*path, key), key, value, is_label=field == "labels")
    if sum(len(f"{key}{value}".encode()) for key, value in texts.items()) > MOST_ANNOTATION_BYTES:
        document.problem(
            "VEL117", f"the {field} have more than 256 KiB in all", path, "keep long texts elsewhere"
        )
    return texts


def _label(document: Document, path: Path, key: str, value: object, *, is_label: bool) -> None:
    if path in document.doubtful:
        return
    prefix, slash, name = key.rpartition("/")
    prefix_fits = not slash or (len(prefix) <= _LONGEST_SUBDOMAIN and _SUBDOMAIN.fullmatch(prefix))
    if not prefix_fits or not _NAME.fullmatch(name):
        what = f"{shown(key)} is not a label's name: optional domain/, then at most 63 of A-Z a-z 0-9 - _ ."
        document.problem("VEL117", what, path, "write a name such as example.org/stage")
    elif not isinstance(value, str):
        word = document.word(path)
        document.problem(
            "VEL117", "the value is not text", path, f'write "{word}" in quotes' if word else "write a text"
        )
    elif is_label and value and not _NAME.fullmatch(value):
        what = f"{shown(value)} is not a label's value: at most 63 of A-Z a-z 0-9 - _ ."
        document.problem("VEL117", what, path, "shorten it, or move it to annotations")
