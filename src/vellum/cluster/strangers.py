"""Find foreign cluster-scoped objects that our charts would make.

Helm refuses to adopt an object without the marks of its own release ("cannot be imported into the current release"), so
a part that meets one is never installed. Vellum reports it before it installs anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TypeAlias

import yaml

from vellum.api.platform import Platform
from vellum.cluster.api import Api, NotFoundError
from vellum.cluster.finding import FAILED, OK, Finding
from vellum.components import platform_components
from vellum.compose.helm import records
from vellum.compose.helm.records import RELEASE_NAME, RELEASE_NAMESPACE
from vellum.kube.objects import Kind, Obj, labels_of
from vellum.model.release import ReleaseComponent

LIST = Path(__file__).with_name("charts.yaml")
_KINDS = {
    "CustomResourceDefinition": Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    "ClusterRole": Kind("rbac.authorization.k8s.io/v1", "ClusterRole"),
    "ClusterRoleBinding": Kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    "MutatingWebhookConfiguration": Kind("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    "ValidatingWebhookConfiguration": Kind("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    "APIService": Kind("apiregistration.k8s.io/v1", "APIService"),
    "PriorityClass": Kind("scheduling.k8s.io/v1", "PriorityClass"),
    "ClusterServingRuntime": Kind("serving.kserve.io/v1alpha1", "ClusterServingRuntime"),
    "ClusterStorageContainer": Kind("serving.kserve.io/v1alpha1", "ClusterStorageContainer"),
}
_SHOWN = 3
Owner: TypeAlias = tuple[str, str]
"""Name and namespace of a Helm release; empty for an object without Helm's marks."""


@cache
def made() -> Mapping[str, list[str]]:
    """Return the cluster-scoped objects that each part's chart makes, as Kind/name."""
    result: dict[str, list[str]] = yaml.load(LIST.read_text(encoding="utf-8"), yaml.CSafeLoader)
    return result


def findings(api: Api, wanted: Platform) -> list[Finding]:
    """Return one finding for each owner and part of ours that conflict; if none do, one that says so.

    Raises:
        StoreError: the API server does not answer (VEL307).
    """
    live = {kind: _named(api, kind) for kind in {item.partition("/")[0] for each in made().values() for item in each}}
    results = []
    for part in platform_components().values():
        if isinstance(part, ReleaseComponent) and wanted.wants(part):
            taken = _taken(live, made().get(part.name, ()), (part.name, part.namespace))
            results += [_finding(part, owner, names) for owner, names in sorted(taken.items())]
    return results or [Finding("strangers", OK, "no chart conflicts with a foreign object")]


def _named(api: Api, kind: str) -> dict[str, Obj]:
    try:
        return {obj["metadata"]["name"]: obj for obj in api.list(_KINDS[kind])[0]}
    except NotFoundError:
        return {}


def _taken(live: Mapping[str, Mapping[str, Obj]], names: Iterable[str], ours: Owner) -> dict[Owner, list[str]]:
    results: dict[Owner, list[str]] = {}
    for item in names:
        kind, _, name = item.partition("/")
        obj = live[kind].get(name)
        if obj is not None and (owner := _owner(obj)) != ours:
            results.setdefault(owner, []).append(item)
    return results


def _owner(obj: Obj) -> Owner:
    is_helms = labels_of(obj).get("app.kubernetes.io/managed-by") == "Helm"
    return records.owner(obj) if is_helms else ("", "")


def _finding(part: ReleaseComponent, owner: Owner, taken: list[str]) -> Finding:  # type: ignore[type-arg]  # of any spec
    more = f" and {len(taken) - _SHOWN} more" if taken[_SHOWN:] else ""
    what = f"{', '.join(item.replace('/', ' ') for item in taken[:_SHOWN])}{more}"
    release, namespace = owner
    marks = f"{RELEASE_NAME}={part.name} {RELEASE_NAMESPACE}={part.namespace}"
    first = taken[0].replace("/", " ")
    hand_over = (
        f"kubectl annotate --overwrite {first} {marks}; "
        f"kubectl label --overwrite {first} app.kubernetes.io/managed-by=Helm"
    )
    if release:
        says = f"Helm release {release} in namespace {namespace} holds what {part.name} would make: {what}"
        fix = f"helm uninstall {release} --namespace {namespace}; or let Vellum's chart have each: {hand_over}"
    else:
        says = f"an object that {part.name} would make is foreign: {what}"
        fix = f"kubectl delete {first}, if it is not needed; or let Vellum's chart have each: {hand_over}"
    return Finding("strangers", FAILED, says, fix)
