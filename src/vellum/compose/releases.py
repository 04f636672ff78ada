"""Helm releases of the platform: the guard's requirements, its view, and the resulting Release. Pure.

These facts of provider-helm 1.3.0 decide the shape (all measured). With ``patchesFrom`` at the first installation it
upgrades once more without need. So it has none until the first repair, unless the platform engineer gives a patch; such
a Release lacks the policy ``Update`` until something changes. After an upgrade it reports Ready=False until
its next poll, so an annotation follows the revision and wakes it. A failed or stuck upgrade stays so without
``rollbackLimit``. With it a stuck *first* revision is uninstalled, which must not happen to an adopted release.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from vellum.compose import gates, repair, spec
from vellum.compose.release import UNREADABLE, Release, plain, stored_patches
from vellum.kube.health import health
from vellum.kube.objects import DOMAIN, Key, Obj, annotations_of, condition, config_map, current, make
from vellum.kube.usage import usage
from vellum.model.component import Wish
from vellum.model.release import PROVIDER, PROVIDER_CONFIG, RELEASE, SYSTEM, Charts
from vellum.model.repair import GuardMemory
from vellum.model.rotation import mark
from vellum.model.state import READY, Observed, Ready, Requirement, waits

PATCHES = "vellum-releases"
"""The ConfigMap of kustomize patches: two without effect, the platform engineer's, and the written-through
values."""
SEEN = f"{DOMAIN}/seen"
PATCH = f"{DOMAIN}/patch"
"""Annotation of a Release with a patch of the platform engineer: its checksum. A change wakes provider-helm."""
CREATED = "crossplane.io/external-create-succeeded"
"""Annotation that Crossplane's runtime writes into a Release through which Helm installed."""
ROLLBACKS, HISTORY = 3, 5
_NO_UPDATE = ("Create", "LateInitialize", "Observe")
_FLIPS = ("a", "b")
NOTHING = "nothing.yaml"
"""The key of the patch that removes everything that a chart renders."""
_ALL_GONE = """patches:
- target: {name: ".*"}
  patch: |
    $patch: delete
    apiVersion: v1
    kind: Any
    metadata: {name: any}
"""


def ready(release: Release, memory: GuardMemory, wanted: Obj, *, repaired: bool) -> Ready:
    """Judge the release by proof: Helm deployed it, all its objects are live and run, and its kinds are served.

    Args:
        release: the view of the release.
        memory: the guard's memory after this pass.
        wanted: the composed Release; further fields of the live one are foreign.
        repaired: whether the guard repairs.
    """
    live = release.live
    if live is None:
        return waits(f"Release {release.name} is not created yet", actor="the control plane")
    said = current(live, "Synced") or {}
    if said.get("status") == "False" and release.state != repair.FAILED:
        # A failure before Helm started is not a fault that the guard could repair.
        return waits(f"Release {release.name}: {said.get('message')}", actor="the platform engineer")
    if repaired and (trouble := _trouble(release, memory)) is not None:
        return trouble
    ready, reason = health(live, release.resource)
    if not ready:
        return waits(reason, actor=PROVIDER)
    if repaired and (waiting := release.starting()):
        return waits(waiting, actor="Kubernetes")
    served = gates.kinds_served(release.observed, release.component.serves)
    return _as_composed(release.name, live, wanted) if served else served


def _as_composed(name: str, live: Obj, wanted: Obj) -> Ready:
    """Tell whether the Release has only composed fields; a Release with more still serves."""
    if not (added := spec.foreign(live, wanted)):
        return READY
    said = f"Release {name} has fields that Vellum did not compose: {spec.words(added)}; {spec.removal(name, added)}"
    return Ready(ready=False, reason=said, actor="the platform engineer", serves=True)


def moving(release: Release, wanted: Obj) -> bool:
    """Tell whether the Release is still changing to the chart and the values that are composed now."""
    live = release.live
    if live is None:
        return False
    looked = condition(live, "Synced") is None or current(live, "Synced") is not None
    return not looked or not spec.settled(live, wanted)


def _failure(release: Release, memory: GuardMemory) -> str:
    live = release.live or {"metadata": {}}
    said = ((live.get("status") or {}).get("atProvider") or {}).get("releaseDescription")
    why = (current(live, "Synced") or {}).get("message") or said or "Helm does not report why"
    return f"revision {release.revision} failed, {memory.tries} of {repair.RULES.tries} retries made: {why}"


def _trouble(release: Release, memory: GuardMemory) -> Ready | None:
    if not release.revision:
        return None
    gives_up = bool(memory.faults) and memory.phase == repair.CONTENDED
    if release.state == repair.ABSENT:
        return waits(f"Helm's record of {release.name} is gone; it is installed again", actor=PROVIDER)
    if release.state == repair.FAILED:
        return waits(
            _failure(release, memory), actor="the platform engineer" if gives_up else "the release guard"
        )
    if release.state == UNREADABLE:
        return waits(f"Helm's record of {release.name} cannot be read", actor="the platform engineer")
    if release.lost:
        return _lost(release)
    if gives_up:
        return waits(_contended(memory), actor="the platform engineer")
    if memory.faults:
        return waits(_sentence(memory.faults), actor="the release guard")
    if release.state != repair.DEPLOYED:
        return waits(_at_work(release), actor=PROVIDER)
    return None


def _lost(release: Release) -> Ready:
    """Say that kinds are missing that no upgrade makes, and what makes them, or keeps them from being made."""
    missing = f"{', '.join(map(str, release.lost))} is missing, and Helm makes it only when it installs"
    second = release.observed.resources.get(restorer(release.name)) or {}
    said = condition(second, "Synced") or {}
    if said.get("status") != "False":
        return waits(f"{missing}: Release {restorer(release.name)} installs it", PROVIDER)
    # Without its record Helm installs again.
    command = f"kubectl delete secret -n {release.component.namespace} -l owner=helm,name={release.name}"
    return waits(f"{missing}: {said.get('message')}; {command}", actor="the platform engineer")


def _contended(memory: GuardMemory) -> str:
    if memory.step == repair.HELD:
        return f"Contended: {_sentence(memory.faults)}; Helm failed to write it back {memory.tries} times"
    if memory.tries < repair.RULES.tries:
        return f"Contended: {_sentence(memory.faults)}; it was repaired {len(memory.recent)} times within an hour"
    return f"Contended: {_sentence(memory.faults)}; {memory.tries} repairs did not last: another actor undoes them"


def _sentence(faults: Mapping[str, str]) -> str:
    return ", ".join(f"{name} is {fault}" for name, fault in sorted(faults.items()))


def _at_work(release: Release) -> str:
    """Return the message while Helm works, with a command if nothing else can end the wait.

    provider-helm 1.3.0 frees an upgrade during which it was ended, but never a rollback. It frees an installation only
    by uninstalling everything, which is forbidden if the release existed before.
    """
    name, namespace = release.name, release.component.namespace
    ways_out = {
        "pending-rollback": f"helm rollback {name} -n {namespace}",
        "pending-install": f"kubectl delete secret sh.helm.release.v1.{name}.v1 -n {namespace}",
    }
    way_out = ways_out.get(release.state)
    return f"Helm is at work: {release.state}" + (f"; if it stays so: {way_out}" if way_out else "")


def questions(releases: Iterable[Release], *, repaired: bool) -> dict[str, Requirement]:
    """Return the requirements: Helm's records, without which no Release is safe, and for repairs the live objects."""
    found: dict[str, Requirement] = {}
    for release in releases:
        found |= release.record_question()
        if repaired:
            found |= release.live_questions()
    return found


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
    if patches := _patches(release, memory, charts):
        provider["patchesFrom"] = patches
    said: Obj = {"providerConfigRef": {"name": PROVIDER_CONFIG}, "forProvider": provider}
    if component.outlives:
        said["deletionPolicy"] = "Orphan"
    if _may_roll_back(release, memory):
        said["rollbackLimit"] = ROLLBACKS
    annotations = {"crossplane.io/external-name": release.name}
    if release.name in charts.patches:
        # Of the text that Helm would read now: the Release changes only once the ConfigMap has the new one.
        text = stored_patches(release.observed).get(f"{release.name}.yaml", "")
        annotations[PATCH] = hashlib.sha256(text.encode()).hexdigest()[:10]
    if release.resource in component.holders:
        annotations |= mark(wish.keys.using)
    if seen := _seen(release):
        annotations[SEEN] = seen
    wanted = make(
        RELEASE.api_version, RELEASE.kind, release.name, labels=wish.labels(release.name), annotations=annotations,
        spec=said,
    )  # fmt: skip
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
    if release.state == repair.FAILED or release.state.startswith("pending"):
        return False
    said, provider = annotations_of(live), live["spec"]["forProvider"]
    return (
        "*" not in (live["spec"].get("managementPolicies") or "*")
        and plain(provider.get("patchesFrom")) == wanted["spec"]["forProvider"]["patchesFrom"]
        and said.get(PATCH) == annotations_of(wanted)[PATCH]
        and spec.settled(live, wanted)
        # What Helm had installed before may have other values or another patch.
        and (CREATED in said or not release.revision)
    )


def restorer(name: str) -> str:
    """Return the name of the Release that brings a release's lost kinds back."""
    return f"{name}-crds"


def restored(release: Release) -> bool:
    """Tell whether the second Release is installed: it installs nothing again until it was deleted."""
    second = release.observed.resources.get(restorer(release.name)) or {}
    return (condition(second, "Ready") or {}).get("status") == "True"


def restoring(release: Release, wanted: Obj) -> Obj:
    """Return a second Release of the same chart, which exists only while kinds of a ``crds/`` folder are missing.

    Helm makes those only when it installs. A patch removes everything that the chart renders.
    """
    labels, name = wanted["metadata"]["labels"], restorer(release.name)
    provider = {**wanted["spec"]["forProvider"], "patchesFrom": [_patch(NOTHING)]}
    spec = {
        "providerConfigRef": {"name": PROVIDER_CONFIG}, "forProvider": provider,
        "managementPolicies": sorted({*_NO_UPDATE, "Delete"}),
    }  # fmt: skip
    annotations = {"crossplane.io/external-name": name}
    return make(RELEASE.api_version, RELEASE.kind, name, labels=labels, annotations=annotations, spec=spec)


def keeping(release: Release, labels: Mapping[str, str]) -> Obj:
    """Return the Usage that keeps the release's namespace until Helm has uninstalled it.

    Helm's record would be deleted with the namespace. Then the chart's objects outside of it would stay for ever:
    webhooks without a server, roles, CRDs.
    """
    by = Key(RELEASE.api_version, RELEASE.kind, "", release.name)
    return usage(
        f"vellum-{release.name}", of=Key("v1", "Namespace", "", release.component.namespace), by=by, labels=labels,
        reason=f"it has Helm's record of {release.name}", replay=True,
    )  # fmt: skip


def _patches(release: Release, memory: GuardMemory, charts: Charts) -> list[Obj]:
    keys = [f"{release.name}.yaml"] if release.name in charts.patches else []
    if memory.step in (repair.RECORD, repair.HELD):
        keys.append(memory.patch)
    elif memory.nonce:
        keys.append(f"{_FLIPS[memory.nonce % 2]}.yaml")
    return [_patch(key) for key in keys]


def _patch(key: str) -> Obj:
    return {"configMapKeyRef": {"name": PATCHES, "namespace": SYSTEM, "key": key}}


def _may_roll_back(release: Release, memory: GuardMemory) -> bool:
    """Tell whether a stuck first revision may be uninstalled: right for a first installation, never for an adopted one.

    A new platform may adopt what outlived an earlier one, whatever ``deletionPolicy`` is.
    """
    if not memory.installed:
        return not release.component.outlives
    first = release.revision == 1 and release.state == repair.FAILED
    return release.state not in (repair.ABSENT, "pending-install") and not first


def _seen(release: Release) -> str:
    """Return the mark that wakes provider-helm: after each of its revisions, and when its record is gone."""
    if not release.revision:
        return ""
    if release.freed:
        return str(release.freed)
    if release.state == repair.ABSENT:
        return f"{release.revision}.gone"
    if release.state == repair.DEPLOYED:
        # Not after a failure: it would retry immediately, and each retry would make the next revision to wake for.
        return str(release.revision)
    return annotations_of(release.live or {"metadata": {}}).get(SEEN, "")


def patches(
    charts: Charts,
    releases: Iterable[tuple[Release, GuardMemory]],
    observed: Observed,
    labels: Mapping[str, str],
) -> Obj:
    """Return the ConfigMap of all patches; patches that Helm reads are never changed, only added and removed."""
    data = {f"{flip}.yaml": _nothing(flip) for flip in _FLIPS} | {NOTHING: _ALL_GONE}
    data |= {f"{name}.yaml": f"patches:\n{text}" for name, text in charts.patches.items()}
    stored = stored_patches(observed)
    for release, memory in releases:
        if key := memory.patch:
            data[key] = stored.get(key) or release.patch or _nothing("gone")
    return config_map(PATCHES, SYSTEM, data, labels=labels)


def stored(observed: Observed, name: str, charts: Charts) -> bool:
    """Tell whether the API server has the patches to which the new Release of this name refers."""
    return name not in charts.patches or f"{name}.yaml" in stored_patches(observed)


def _nothing(flip: str) -> str:
    target = f"patches:\n- target: {{kind: VellumGuard, name: {flip}}}\n"
    return f"{target}  patch: |\n    - {{op: test, path: /kind, value: {flip}}}\n"
