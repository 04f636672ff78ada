"""The Release and the patches that follow from the guard's decision. Pure.

These facts of provider-helm 1.3.0 decide the Release's shape (all measured). With ``patchesFrom`` at the first
installation provider-helm upgrades once more without need. So a Release has none until the first repair, unless the
platform engineer sets a patch. Such a Release lacks the policy ``Update`` until something changes. After an upgrade
provider-helm reports Ready=False until its next poll. So compose writes the revision into an annotation, which triggers
that poll. Without ``rollbackLimit`` a failed or stuck upgrade stays so. With it provider-helm uninstalls a stuck
*first* revision, which must not happen to an adopted release.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from vellum.compose.helm import diff, patches
from vellum.compose.helm.observe import Release
from vellum.compose.helm.records import ABSENT, DEPLOYED, FAILED
from vellum.kube.objects import DOMAIN, Key, Obj, annotations_of, condition, current, make
from vellum.kube.patch import plain
from vellum.kube.usage import usage
from vellum.model.component import Wish
from vellum.model.release import PROVIDER_CONFIG, RELEASE, Charts
from vellum.model.repair import GuardMemory
from vellum.model.rotation import mark
from vellum.model.state import Observed

SEEN = f"{DOMAIN}/seen"
PATCH = f"{DOMAIN}/patch"
"""Annotation of a Release with a patch of the platform engineer: its checksum. A change wakes provider-helm."""
CREATED = "crossplane.io/external-create-succeeded"
"""Annotation that Crossplane's runtime writes into a Release through which Helm installed."""
ROLLBACKS, HISTORY = 3, 5
_NO_UPDATE = ("Create", "LateInitialize", "Observe")


def moving(release: Release, wanted: Obj) -> bool:
    """Tell whether the Release is still changing to the chart and the values that are composed now."""
    live = release.live
    if live is None:
        return False
    looked = condition(live, "Synced") is None or current(live, "Synced") is not None
    return not looked or not diff.settled(live, wanted)


def held(release: Release, wanted: Obj) -> Obj:
    """Return the composed Release with its current chart and values."""
    live: Mapping[str, Any] = (release.live or wanted)["spec"]["forProvider"]
    kept = {name: plain(live[name]) for name in ("chart", "values") if name in live}
    provider = {**wanted["spec"]["forProvider"], **kept}
    return only_installed(release, {**wanted, "spec": {**wanted["spec"], "forProvider": provider}})


def composed(release: Release, wish: Wish[Any], memory: GuardMemory, charts: Charts) -> Obj:
    """Return the Release object that follows from the guard's decision."""
    chart, component = release.component.chart, release.component
    live: Mapping[str, Any] = ((release.live or {}).get("spec") or {}).get("forProvider") or {}
    named = charts.repository if chart.repository else charts.own or charts.repository
    repository = named or chart.repository or (live.get("chart") or {}).get("repository") or ""
    provider: Obj = {
        "chart": {"repository": repository, "name": chart.name, "version": chart.version},
        "namespace": component.namespace,
        "skipCreateNamespace": True,
        "values": component.values(wish),
        "wait": True,
        "waitTimeout": component.wait_timeout,
        "maxHistory": HISTORY,
    }
    if charts.plain_http:
        provider["plainHTTP"] = True
    if references := patches.references(release, memory, charts):
        provider["patchesFrom"] = references
    spec: Obj = {"providerConfigRef": {"name": PROVIDER_CONFIG}, "forProvider": provider}
    if component.outlives:
        spec["deletionPolicy"] = "Orphan"
    if _may_roll_back(release, memory):
        spec["rollbackLimit"] = ROLLBACKS
    annotations = {"crossplane.io/external-name": release.name}
    if release.name in charts.patches:
        # Of the text that Helm would read now: the Release changes only once the ConfigMap has the new one.
        text = patches.stored(wish.observed).get(f"{release.name}.yaml", "")
        annotations[PATCH] = hashlib.sha256(text.encode()).hexdigest()[:10]
    if release.resource in component.holders:
        annotations |= mark(wish.keys.using)
    if seen := _seen(release):
        annotations[SEEN] = seen
    wanted = make(
        RELEASE.api_version,
        RELEASE.kind,
        release.name,
        labels=wish.labels(release.name),
        annotations=annotations,
        spec=spec,
    )
    return only_installed(release, wanted)


def only_installed(release: Release, wanted: Obj) -> Obj:
    """Return the Release without the right to upgrade, where it has a patch and nothing changed since Helm installed.

    provider-helm 1.3.0 loses the checksum of the patches when it installs, and would upgrade twice for nothing.
    """
    if PATCH not in annotations_of(wanted) or not _is_as_installed(release, wanted):
        return wanted
    delete = () if release.component.outlives else ("Delete",)
    return {**wanted, "spec": {**wanted["spec"], "managementPolicies": sorted({*_NO_UPDATE, *delete})}}


def _is_as_installed(release: Release, wanted: Obj) -> bool:
    live = release.live
    if live is None:
        return True
    if release.state == FAILED or release.state.startswith("pending"):
        return False
    notes, provider = annotations_of(live), live["spec"]["forProvider"]
    return (
        "*" not in (live["spec"].get("managementPolicies") or "*")
        and plain(provider.get("patchesFrom")) == wanted["spec"]["forProvider"]["patchesFrom"]
        and notes.get(PATCH) == annotations_of(wanted)[PATCH]
        and diff.settled(live, wanted)
        # What Helm had installed before may have other values or another patch.
        and (CREATED in notes or not release.revision)
    )


def restorer(name: str) -> str:
    """Return the name of the Release that brings a release's lost kinds back."""
    return f"{name}-crds"


def restored(release: Release, observed: Observed) -> bool:
    """Tell whether the second Release is installed. It can install again only after it was deleted."""
    second = observed.resources.get(restorer(release.name)) or {}
    return (condition(second, "Ready") or {}).get("status") == "True"


def restoring(release: Release, wanted: Obj) -> Obj:
    """Return a second Release of the same chart, which exists only while kinds of a ``crds/`` folder are missing.

    Helm makes those only when it installs. A patch removes everything that the chart renders.
    """
    labels, name = wanted["metadata"]["labels"], restorer(release.name)
    provider = {**wanted["spec"]["forProvider"], "patchesFrom": [patches.reference(patches.NOTHING)]}
    spec = {
        "providerConfigRef": {"name": PROVIDER_CONFIG},
        "forProvider": provider,
        "managementPolicies": sorted({*_NO_UPDATE, "Delete"}),
    }
    annotations = {"crossplane.io/external-name": name}
    return make(RELEASE.api_version, RELEASE.kind, name, labels=labels, annotations=annotations, spec=spec)


def keeping(release: Release, labels: Mapping[str, str]) -> Obj:
    """Return the Usage that keeps the release's namespace until Helm has uninstalled it.

    Helm's record would be deleted with the namespace. Then the chart's objects outside of it would stay for ever:
    webhooks without a server, roles, CRDs.
    """
    by = Key(RELEASE.api_version, RELEASE.kind, "", release.name)
    return usage(
        f"vellum-{release.name}",
        of=Key("v1", "Namespace", "", release.component.namespace),
        by=by,
        labels=labels,
        reason=f"it has Helm's record of {release.name}",
        replay=True,
    )


def _may_roll_back(release: Release, memory: GuardMemory) -> bool:
    """Tell whether a stuck first revision may be uninstalled: right for a first installation, never for an adopted one.

    A new platform may adopt what outlived an earlier one, whatever ``deletionPolicy`` is.
    """
    if not memory.installed:
        return not release.component.outlives
    first = release.revision == 1 and release.state == FAILED
    return release.state not in (ABSENT, "pending-install") and not first


def _seen(release: Release) -> str:
    """Return the mark that wakes provider-helm: after each of its revisions, and when its record is gone."""
    if not release.revision:
        return ""
    if release.freed:
        return str(release.freed)
    if release.state == ABSENT:
        return f"{release.revision}.gone"
    if release.state == DEPLOYED:
        # Not after a failure: it would retry immediately, and each retry would make the next revision to wake for.
        return str(release.revision)
    return annotations_of(release.live or {"metadata": {}}).get(SEEN, "")
