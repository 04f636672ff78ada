"""Check what a cluster needs before an installation: read only, and report all problems together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

from vellum import objectstore
from vellum.api.claim import KIND as CLAIM
from vellum.api.platform import Platform, from_live
from vellum.cluster import pulls, registry, strangers
from vellum.cluster.api import Api
from vellum.cluster.finding import FAILED, OK, WARNING, Finding
from vellum.components import platform_components, team_components
from vellum.components.artifacts import tenant
from vellum.components.bucket import team_tenant
from vellum.compose import images, platform
from vellum.kube import quantity
from vellum.kube.objects import KEPT, Key, Kind, Obj, annotations_of, controller_uid, make, status_of
from vellum.model.keys import DUMMY_SEED
from vellum.model.platform import PLATFORM
from vellum.model.release import SYSTEM
from vellum.model.state import Observed
from vellum.model.team import Team

KUBERNETES, CROSSPLANE = (1, 32), (2, 2)
"""The oldest supported versions."""
BURST = 1000
"""Crossplane's --circuit-breaker-burst; with less, a new claim sometimes waits for half a minute."""
HELM_LINE = (
    "helm upgrade --install crossplane crossplane --repo https://charts.crossplane.io/stable --version 2.3.4 "
    f"--namespace {SYSTEM} --create-namespace --wait --set args='{{--circuit-breaker-burst={BURST}}}'"
)
ROOM = {"light": ("1", "3Gi"), "standard": ("1500m", "3584Mi")}
"""What the pods of a profile request, in cores and bytes, without any team; rounded up from docs/charts.md."""
_GIVE = (
    "once the platform has made namespace {namespace}: kubectl create secret generic {name} --namespace {namespace} "
    "--from-literal=accesskey=KEY --from-literal=secretkey=KEY"
)
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def findings(api: Api, files: Mapping[str, list[Obj]]) -> list[Finding]:
    """Check everything that ``files`` need.

    Args:
        api: the cluster.
        files: the tree to install.

    Raises:
        StoreError: the API server does not answer (VEL307).
    """
    results = [_kubernetes(api), _rights(api), _crossplane(api), _storage(api), _function(api, files)]
    objects = [obj for objects in files.values() for obj in objects]
    claims = [obj for obj in objects if obj["kind"] == CLAIM]
    packages = [obj["spec"]["package"] for obj in objects if obj["kind"] == "Function"]
    for manifest in (obj for obj in objects if obj["kind"] == PLATFORM.kind):
        wanted = from_live(manifest)
        results += [_room(api, wanted), _images(wanted), _namespaces(api, wanted)]
        results += [*strangers.findings(api, wanted), *registry.findings(wanted), *_given(api, wanted, claims)]
        results += pulls.findings(wanted, packages, pulls.pull_secrets(api))
    return results


def _version(text: str) -> tuple[int, int]:
    """Return major and minor; a text that is not a version counts as older than any."""
    match = re.match(r"v?([0-9]{1,4})\.([0-9]{1,4})", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _kubernetes(api: Api) -> Finding:
    version = json.loads(api.raw("/version"))["gitVersion"]
    if _version(version) < KUBERNETES:
        return Finding("kubernetes", FAILED, f"this is {version}", "upgrade it to 1.32 or newer")
    return Finding("kubernetes", OK, version)


def _rights(api: Api) -> Finding:
    attributes = {"verb": "*", "group": "*", "resource": "*"}
    review = make("authorization.k8s.io/v1", "SelfSubjectAccessReview", "", spec={"resourceAttributes": attributes})
    if not api.create(review)["status"].get("allowed"):
        says = "this kubeconfig may not do everything, and cluster-admin is required"
        return Finding("rights", FAILED, says, "use the kubeconfig of a cluster administrator")
    return Finding("rights", OK, "a cluster administrator's")


def _crossplane(api: Api) -> Finding:
    deployment = api.get(Key("apps/v1", "Deployment", SYSTEM, "crossplane"))
    if deployment is None:
        return Finding("crossplane", FAILED, f"Deployment {SYSTEM}/crossplane does not exist", HELM_LINE)
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    labels = deployment["metadata"].get("labels") or {}
    # A mirror may name its image by digest alone; Crossplane's chart has the version in a second place.
    tag = container["image"].partition("@")[0].rpartition("/")[2].partition(":")[2]
    version = tag or str(labels.get("app.kubernetes.io/version", ""))
    if not version:
        return Finding("crossplane", WARNING, "its version is not known", f"check that it is 2.2 or newer: {HELM_LINE}")
    if _version(version) < CROSSPLANE:
        return Finding(
            "crossplane", FAILED, f"this is {version}", f"upgrade it, a minor version at a time: {HELM_LINE}"
        )
    if _burst(container.get("args") or ()) < BURST:
        says = f"{version}, and its circuit breaker is too small for a claim"
        return Finding("crossplane", WARNING, says, HELM_LINE)
    return Finding("crossplane", OK, version)


def _burst(args: Iterable[str]) -> int:
    matches = (re.fullmatch(r"--circuit-breaker-burst=([0-9]{1,9})", argument) for argument in args)
    return max((int(match[1]) for match in matches if match), default=0)


def _storage(api: Api) -> Finding:
    classes, _ = api.list(Kind("storage.k8s.io/v1", "StorageClass"))
    default = [
        item["metadata"]["name"]
        for item in classes
        if (item["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"
    ]
    if not default:
        fix = f"kubectl annotate storageclass NAME {_DEFAULT_CLASS}=true"
        return Finding("storage", FAILED, f"none of {len(classes)} storage classes is the default", fix)
    return Finding("storage", OK, f"default class {', '.join(sorted(default))}")


def _function(api: Api, files: Mapping[str, list[Obj]]) -> Finding:
    named = any(obj["kind"] == "Function" for objects in files.values() for obj in objects)
    there = api.get(Key("pkg.crossplane.io/v1", "Function", "", "function-vellum"))
    if not named and there is None:
        says = "Crossplane needs the function to compose a claim"
        return Finding("function", FAILED, says, "name the function's package: --function IMAGE")
    return Finding("function", OK, "named" if named else "installed already")


def _room(api: Api, wanted: Platform) -> Finding:
    """Compare free resources with the profile's requests; nodes that accept no pods do not count."""
    if api.get(PLATFORM) is not None:
        return Finding("room", OK, "the platform already has its resources")
    nodes, _ = api.list(Kind("v1", "Node"))
    pods, _ = api.list(Kind("v1", "Pod"))
    free = [_free(name, nodes, pods) for name in ("cpu", "memory")]
    needed = [quantity.parse(item) for item in ROOM[wanted.spec.profile]]
    says = f"{free[0]:.1f} cores and {_gibibytes(free[1])} are free"
    if any(has < needs for has, needs in zip(free, needed, strict=True)):
        fix = f"add nodes: the profile {wanted.spec.profile} requests {needed[0]} cores and {_gibibytes(needed[1])}"
        # An autoscaler may add nodes when pods wait for them.
        return Finding("room", WARNING, says, fix)
    return Finding("room", OK, says)


def _gibibytes(amount: Decimal) -> str:
    return f"{amount / 2**30:.1f} GiB"


def _free(resource: str, nodes: list[Obj], pods: list[Obj]) -> Decimal:
    opened = {node["metadata"]["name"]: node["status"]["allocatable"] for node in nodes if not _closed(node)}
    there = sum((_amount(item, resource) for item in opened.values()), Decimal())
    running = (
        pod
        for pod in pods
        if status_of(pod).get("phase") not in ("Succeeded", "Failed") and pod["spec"].get("nodeName") in opened
    )
    requested = (
        (container.get("resources") or {}).get("requests") or {}
        for pod in running
        for container in pod["spec"]["containers"]
    )
    return there - sum((_amount(item, resource) for item in requested), Decimal())


def _closed(node: Obj) -> bool:
    return bool(node["spec"].get("unschedulable")) or any(
        taint.get("effect") in ("NoSchedule", "NoExecute") for taint in node["spec"].get("taints") or ()
    )


def _amount(amounts: Mapping[str, str], resource: str) -> Decimal:
    return quantity.parse(str(amounts.get(resource, "0")))


def _images(wanted: Platform) -> Finding:
    needed = {component.image for component in platform_components().values() if wanted.wants(component)}
    needed |= {component.image for component in team_components().values()}
    missing = sorted(image for image in needed if not images.named(image, wanted.facts))
    if missing:
        says = f"spec.images does not name: {', '.join(missing)}; the parts that need them are not composed"
        return Finding("images", WARNING, says, "name them by digest in the platform's file")
    return Finding("images", OK, "all are named")


def _given(api: Api, wanted: Platform, claims: Iterable[Obj]) -> list[Finding]:
    """Return findings on the Secrets of an external store that give no key; no finding shows a Secret's content."""
    facts = wanted.facts
    if facts.backend != "external":
        return []
    teams = (Team(claim["metadata"]["namespace"], claim["metadata"]["name"], "") for claim in claims)
    store, wrong = objectstore.backend(facts), []
    tenants = [tenant(facts), *map(team_tenant, teams)]
    for owner in tenants:
        (asked,) = store.requires(owner).values()
        key = Key(asked.api_version, asked.kind, asked.namespace, asked.name)
        live = api.get(key)
        state = store.ready(owner, Observed(required={f"{owner.part}/given": live} if live else {}))
        if not state:
            wrong.append(Finding("keys", WARNING, state.reason, _GIVE.format(namespace=key.namespace, name=key.name)))
    return wrong or [Finding("keys", OK, f"{len(tenants)} given to the external store")]


def _namespaces(api: Api, wanted: Platform) -> Finding:
    """Find foreign namespaces with the platform's names: the platform would refuse to start."""
    ours = (api.get(PLATFORM) or {"metadata": {}})["metadata"].get("uid")
    taken = sorted(
        obj["metadata"]["name"]
        for obj in platform.everything(wanted, DUMMY_SEED)
        if obj["kind"] == "Namespace" and _is_taken(api.get(Key.of(obj)), ours)
    )
    if taken:
        says = f"these are foreign: {', '.join(taken)}; they are neither adopted nor changed"
        return Finding("namespaces", FAILED, says, "look what is in them, and delete them if they are not needed")
    return Finding("namespaces", OK, "free, or the platform's own")


def _is_taken(live: Obj | None, ours: str | None) -> bool:
    if live is None or KEPT in annotations_of(live):
        return False
    return ours is None or controller_uid(live) != ours
