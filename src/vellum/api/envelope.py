"""The models of whole objects and of their metadata, which follow the rules of Kubernetes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, partial
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, create_model

from vellum.api import claim, platform, workloads
from vellum.api.claim import CROSSPLANE_FIELDS
from vellum.api.yaml_reader import Path, shown
from vellum.kube.names import LABEL_LIMIT, is_dns_label
from vellum.kube.objects import Obj
from vellum.model.component import Spec
from vellum.model.team import KUBEFLOW_NAMESPACE, STORAGE_NAMESPACE, VECTORS_NAMESPACE
from vellum.model.types import Refused

LIVE = frozenset({
    "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
    "managedFields", "finalizers", "ownerReferences", "selfLink",
})  # fmt: skip
"""The control plane writes these. They are ignored, so that the output of ``kubectl get -o yaml`` can be applied."""
IGNORED: frozenset[Path] = frozenset(
    {("status",), *(("metadata", name) for name in LIVE), *(("spec", name) for name in CROSSPLANE_FIELDS)}
)
RESERVED = frozenset({
    KUBEFLOW_NAMESPACE, STORAGE_NAMESPACE, VECTORS_NAMESPACE,
    "crossplane-system", "kube-system", "kube-public", "kube-node-lease",
})  # fmt: skip
"""Namespaces that a claim cannot have. A laptop would create one with the claim, and block the platform's own."""
MOST_BYTES = 256 * 1024
API_VERSIONS: Mapping[str, str] = {
    **dict.fromkeys((claim.KIND, platform.KIND), claim.API_VERSION),
    **{name: kind.api_version for name, kind in workloads.KINDS.items()},
}
"""Every kind that files may hold: our own, and those of Kubeflow that a team writes beside its claim."""
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_SUBDOMAIN = 253


def repaired(value: str, *, letter: bool = False) -> str:
    """Return the nearest valid name; with ``letter``, the nearest one that begins with a letter."""
    made = re.sub(r"[^a-z0-9]+", "-", value[:LABEL_LIMIT].lower()).strip("-") or "research"
    return made if made[0].isalpha() or not letter else f"m-{made}"[:LABEL_LIMIT].rstrip("-")


def _dns_label(value: object, *, field: str, letter: bool = False) -> str:
    if not isinstance(value, str):
        fix = f'write {field}: "{repaired(shown(value), letter=letter)}", if that is the {field}'
        raise Refused(f"the {field} is not text", fix, "VEL116")
    if not is_dns_label(value):
        what = f"{shown(value)} is not a {field}: at most {LABEL_LIMIT} of a-z 0-9 -, a letter or digit first and last"
        raise Refused(what, f"write {field}: {repaired(value, letter=letter)}", "VEL116")
    return value


def _of_a_team(namespace: str) -> str:
    if namespace in RESERVED:
        what = f"the namespace {namespace} belongs to the platform or the cluster, not to teams"
        raise Refused(what, "write namespace: team-a", "VEL116")
    return namespace


def _of_the_platform(name: object) -> object:
    if name != platform.NAME:
        raise Refused(f"the platform must be named {platform.NAME}", f"write name: {platform.NAME}", "VEL116")
    return name


def _text_name(key: str) -> str:
    prefix, slash, name = key.rpartition("/")
    prefix_fits = not slash or (len(prefix) <= _LONGEST_SUBDOMAIN and _SUBDOMAIN.fullmatch(prefix))
    if not prefix_fits or not _NAME.fullmatch(name):
        what = f"{shown(key)} is not a label's name: optional domain/, then at most 63 of A-Z a-z 0-9 - _ ."
        raise Refused(what, "write a name such as example.org/stage", "VEL117")
    return key


def _label(value: str) -> str:
    if value and not _NAME.fullmatch(value):
        what = f"{shown(value)} is not a label's value: at most 63 of A-Z a-z 0-9 - _ ."
        raise Refused(what, "shorten it, or move it to annotations", "VEL117")
    return value


def _not_too_long(texts: dict[str, str]) -> dict[str, str]:
    if sum(len(f"{key}{value}".encode()) for key, value in texts.items()) > MOST_BYTES:
        raise Refused("the annotations have more than 256 KiB in total", "store long texts elsewhere", "VEL117")
    return texts


_DNS = Field(json_schema_extra={"maxLength": LABEL_LIMIT, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"})
_TextName = Annotated[str, AfterValidator(_text_name)]
_Name = Annotated[str, BeforeValidator(partial(_dns_label, field="name")), _DNS]
_WorkloadName = Annotated[str, BeforeValidator(partial(_dns_label, field="name", letter=True)), _DNS]
_Namespace = Annotated[str, BeforeValidator(partial(_dns_label, field="namespace")), _DNS]


class Metadata(Spec):
    """The metadata that people write."""

    name: str
    labels: Annotated[dict[_TextName, Annotated[str, AfterValidator(_label)]], AfterValidator(_not_too_long)] = Field(
        default_factory=dict, description="Labels, as Kubernetes has them", examples=[{"stage": "trial"}]
    )
    annotations: Annotated[dict[_TextName, str], AfterValidator(_not_too_long)] = Field(
        default_factory=dict, description="Annotations, as Kubernetes has them", examples=[{"ticket": "ML-7"}]
    )


class PlatformMetadata(Metadata):
    """The metadata of the platform."""

    name: Annotated[str, BeforeValidator(_of_the_platform)] = Field(
        description="Always kubeflow: a cluster has one platform", json_schema_extra={"enum": [platform.NAME]}
    )


class ClaimMetadata(Metadata):
    """The metadata of a claim."""

    name: _Name = Field(description="The team's name", examples=["research"])
    namespace: Annotated[_Namespace, AfterValidator(_of_a_team)] = Field(
        default="default", description="The namespace of the claim", examples=["team-a"]
    )


class WorkloadMetadata(Metadata):
    """The metadata of a TrainJob or an InferenceService."""

    name: _WorkloadName = Field(description="The name of the object", examples=["documents"])
    namespace: _Namespace = Field(
        default_factory=str,
        description="The team's own namespace, which `vellum status` shows; a laptop finds it",
        examples=["team-a-research-6gnoutl5ip5t"],
    )


_KINDS: dict[str, tuple[type[Metadata], str, str]] = {
    claim.KIND: (
        ClaimMetadata,
        "A team's whole ML platform: namespace, bucket, keys, vectors, notebook, pipelines, inference",
        "What the team asks for; everything has a default",
    ),
    platform.KIND: (
        PlatformMetadata,
        "The platform that all teams share; a cluster has one, named kubeflow",
        "What is installed, and where",
    ),
    "TrainJob": (
        WorkloadMetadata,
        "A training that runs to completion in the team's namespace, as Kubeflow Trainer defines it",
        "What is trained, within what a laptop supports",
    ),
    "InferenceService": (
        WorkloadMetadata,
        "A model that answers requests, as KServe defines it",
        "What is served, within what a laptop supports",
    ),
}
"""The model of the metadata, and the descriptions of the kind and of its spec."""


@cache
def envelope(kind: str) -> type[Spec]:
    """Return the model of a whole object of the kind."""
    metadata, what, asked = _KINDS[kind]
    own = {claim.KIND: claim.claim_spec, platform.KIND: platform.platform_spec}
    fields: dict[str, Any] = {
        "apiVersion": (str, _only(API_VERSIONS[kind], "The version of the API")),
        "kind": (str, _only(kind, "The kind of the object")),
        "metadata": (metadata, Field(description="The identity of the object")),
        "spec": (own[kind]() if kind in own else workloads.SPECS[kind], Field(description=asked)),
    }
    return create_model(kind, __base__=Spec, __doc__=what, **fields)


def _only(value: str, description: str) -> Any:  # noqa: ANN401  # pydantic's
    return Field(description=description, json_schema_extra={"enum": [value]})


def written(kind: str, obj: Obj) -> Obj:
    """Return the object with the version of its kind, and without the fields that a control plane writes."""
    own = {name: value for name, value in obj.items() if name != "status"}
    for part, ignored in (("metadata", LIVE), ("spec", CROSSPLANE_FIELDS)):
        if isinstance(own.get(part), dict):
            own[part] = {name: value for name, value in own[part].items() if name not in ignored}
    return {**own, "apiVersion": API_VERSIONS[kind], "kind": kind}
