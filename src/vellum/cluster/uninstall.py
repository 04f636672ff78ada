"""Remove an installation from a cluster in reverse order, keep what holds data, and check what is left.

The only state is on the API server, so a killed removal can be run again and continues. The platform is paused during
the removal. Otherwise Crossplane would restore what is deleted; and if the platform were deleted as a whole, Crossplane
would delete everything together. A store that is deleted before its buckets leaves them hanging on their finalizers for
ever (measured with its operator).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from vellum.cluster import generations, leftovers
from vellum.cluster.api import Api, NotFoundError
from vellum.cluster.install import SEED, SEED_PATH, UNINSTALLING, Say, described
from vellum.cluster.store import wait_for
from vellum.components import platform_components
from vellum.errors import StoreError, UsageError
from vellum.kube import usage
from vellum.kube.objects import (
    COMPONENT,
    DOMAIN,
    INSTALLED,
    KEPT,
    Key,
    Kind,
    Obj,
    annotations_of,
    condition,
    labels_of,
    status_of,
)
from vellum.model.platform import PLATFORM
from vellum.model.release import PROVIDER_CONFIG, RELEASE, ReleaseComponent, crd
from vellum.model.repair import GuardMemory
from vellum.model.team import CLAIM, COMPOSITE_KIND, STORAGE_NAMESPACE

APISERVICE = "apiregistration.k8s.io/v1"
CRD = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
PAUSED = "crossplane.io/paused"
ATTEMPT = "usage.crossplane.io/deletion-attempt-with-policy"
"""What Crossplane 2.3.4 writes on an object whose deletion a Usage refused."""
AGAIN_SECONDS, LOOK_SECONDS, PAUSE_SECONDS, COLLECTED_SECONDS = 2.0, 0.2, 60, 30
PROVIDER_FOLDER = "05-provider"
_USED = "objects of that kind exist"


@dataclass(frozen=True, slots=True)
class Stage:
    """Objects that are deleted together; the next stage begins when all of them are gone."""

    title: str
    keys: tuple[Key, ...]

    def as_dict(self) -> Obj:
        """Return it as JSON."""
        return {"stage": self.title, "objects": [leftovers.as_dict(key) for key in self.keys]}


@dataclass(frozen=True, slots=True)
class Plan:
    """The objects to delete, in order, and all of Vellum's objects to keep, with the reason."""

    stages: list[Stage]
    stays: tuple[tuple[Key, str], ...]

    def as_dict(self) -> Obj:
        """Return it as JSON."""
        stays = [{**leftovers.as_dict(key), "why": why} for key, why in self.stays]
        return {"stages": [stage.as_dict() for stage in self.stages], "stays": stays}


class Removal:
    """The removal of one installation."""

    def __init__(self, api: Api, files: Mapping[str, list[Obj]], *, data: bool, seconds: float) -> None:
        """Store what to do.

        Args:
            api: the cluster.
            files: the tree without platform and claims, which every installation has.
            data: whether to delete data too.
            seconds: how long one stage may take.
        """
        self._api, self._files, self._data, self._seconds = api, files, data, seconds
        self._planned = False
        self._memo: dict[str, set[str]] = {}

    def claims(self) -> dict[str, bool]:
        """Return the existing claims, as ``namespace/name``, and whether their data is deleted with them."""
        try:
            listed = self._api.list(CLAIM)[0]
        except NotFoundError:
            return {}
        return {f"{claim['metadata']['namespace']}/{claim['metadata']['name']}": _is_lost(claim) for claim in listed}

    def plan(self) -> Plan:
        """Return what would be deleted, in order, and what would stay, without changing anything."""
        self._planned, self._memo = True, {}
        stages = [stage for stage in self._stages() if stage.keys]
        planned = {_identity(key) for stage in stages for key in stage.keys}
        kept = {key.name for key in self._namespaces()} - self._lost()
        staying = self._names() - self._uninstalled()
        stays, rest = [], []
        for obj in leftovers.everything(self._api, self._lost()):
            if _identity(key := Key.of(obj)) not in planned:
                why = self._why_it_stays(obj, kept, staying)
                stays += [(key, why)] if why else []
                rest += [] if why else [key]
        stays += [(key, why) for key, why in self._unmarked() if _identity(key) not in planned]
        if rest:
            stages.append(Stage("with what is deleted", tuple(sorted(rest))))
        return Plan(stages, tuple(sorted(stays)))

    def _why_it_stays(self, obj: Obj, kept: Collection[str], staying: Collection[str]) -> str:
        """Return why an object of ours would stay; empty if it would be deleted.

        Args:
            obj: an object that no stage deletes by name.
            kept: the platform's namespaces that stay.
            staying: its releases that stay.
        """
        key, owned = Key.of(obj), bool(obj["metadata"].get("ownerReferences"))
        if key == SEED:
            return "" if self._data else "all keys derive from it"
        if key.kind == "Namespace":
            return "something in it stays" if key.name in kept else ""
        if key.kind == CRD.kind and leftovers.is_of_a_chart(obj):
            return _USED
        if leftovers.release_of(obj) in staying:
            return "its chart stays, because objects of its kinds exist"
        if INSTALLED in labels_of(obj) and not owned:
            return "it serves others too"
        if key.namespace not in kept:
            return ""
        if key.kind == "PersistentVolumeClaim" and not owned:
            return "it holds data"
        keeps = annotations_of(obj).get("helm.sh/resource-policy") == "keep"
        return "its chart keeps it, as it opens data" if keeps else ""

    def _lost(self) -> set[str]:
        """Return the namespaces to delete: the teams' and those of the platform in which nothing stays."""
        return self._once(
            "lost", lambda: self._teams() | {key.name for key in self._namespaces() if not self._is_kept(key)}
        )

    def _teams(self) -> set[str]:
        """Return the teams' namespaces."""
        return self._once(
            "teams",
            lambda: {
                obj["metadata"]["name"]
                for obj in self._api.list(Kind("v1", "Namespace"))[0]
                if any(
                    reference["kind"] == COMPOSITE_KIND for reference in obj["metadata"].get("ownerReferences") or ()
                )
            },
        )

    def _once(self, name: str, find: Callable[[], set[str]]) -> set[str]:
        """Return the result of a search; a plan changes nothing, so it searches only once."""
        if not self._planned:
            return find()
        if name not in self._memo:
            self._memo[name] = find()
        return self._memo[name]

    def _stages(self) -> Iterator[Stage]:
        """Yield the stages in order, each with what exists when its turn comes; kept objects are not among it."""
        yield Stage("claims", tuple(self._listed(CLAIM)))
        yield from self._parts()
        yield Stage("kinds of the charts", tuple(self._kinds()))
        yield Stage("namespaces", tuple(key for key in self._namespaces() if not self._is_kept(key)))
        yield Stage("the platform", tuple(key for key in (PLATFORM,) if self._api.get(key)))
        for path in sorted(self._files, reverse=True):
            yield Stage(path, tuple(self._installed(path)))
        if self._data:
            yield Stage(SEED_PATH, tuple(key for key in (SEED,) if self._api.get(key)))

    def run(self, say: Say, agreed: Iterable[str]) -> leftovers.Left:
        """Remove everything, and return what is left.

        Args:
            say: is called with the text of every stage.
            agreed: the claims to delete, as ``claims`` returned them.

        Raises:
            UsageError: a new claim exists (VEL724).
            StoreError: the API server refuses (VEL307), Crossplane does not pause (VEL308), or a deletion does not end
                (VEL311).
        """
        self._planned = False
        if not self._data:
            generations.record(self._api)
        stages = self._stages()
        claims = next(stages)
        _refuse_others({f"{key.namespace}/{key.name}" for key in claims.keys} - set(agreed))
        self._gone(claims, say)
        self._pause()
        for stage in stages:
            # A claim made during the removal would depend on a half-removed platform.
            _refuse_others(set(self.claims()))
            if stage.title == "the platform":
                # Otherwise the API server refuses; objects with data are no longer part of it.
                self._annotate(stage.keys, {f"{DOMAIN}/delete-all-data": "yes"})
            self._gone(stage, say)
        return self._left()

    def _left(self) -> leftovers.Left:
        """Return what is left once the garbage collector has deleted owned objects."""
        deadline = time.monotonic() + COLLECTED_SECONDS
        while (left := leftovers.find(self._api)).ours and time.monotonic() < deadline:
            time.sleep(AGAIN_SECONDS)
        return left

    # What there is

    def _listed(self, kind: Kind) -> list[Key]:
        try:
            return [Key.of(obj) for obj in self._api.list(kind)[0]]
        except NotFoundError:
            return []

    def _parts(self) -> Iterator[Stage]:
        """Yield the platform's parts, the last first, without namespaces."""
        platform = self._api.get(PLATFORM)
        if platform is None:
            return
        order = [part["name"] for part in status_of(platform).get("components") or ()]
        by_part: dict[str, list[Key]] = {}
        for key in _composed(platform):
            if key.kind != "Namespace" and (obj := self._api.get(key)):
                by_part.setdefault(labels_of(obj).get(COMPONENT, ""), []).append(key)
        for name in [*reversed(order), *sorted(by_part.keys() - set(order))]:
            keys = by_part.get(name, [])
            # A Usage that is deleted before its ``by`` is checked only every half a minute (Crossplane 2.3.4).
            for usages in (False, True):
                yield Stage(name or "the rest", tuple(key for key in keys if (key.api_version == usage.API) == usages))

    def _namespaces(self) -> list[Key]:
        platform = self._api.get(PLATFORM)
        composed = [key for key in _composed(platform) if key.kind == "Namespace"] if platform else []
        there = [key for key in composed if self._api.get(key)]
        kept = [Key.of(obj) for obj in self._api.list(Kind("v1", "Namespace"))[0] if KEPT in annotations_of(obj)]
        return sorted({*there, *kept})

    def _is_kept(self, namespace: Key) -> bool:
        """Tell whether the namespace stays: it has volumes, given keys, or a chart whose kinds are used."""
        if self._records(namespace.name) - self._uninstalled():
            return True
        if self._data:
            return False
        volumes = self._api.list(Kind("v1", "PersistentVolumeClaim"), namespace=namespace.name)[0]
        return bool(volumes) or namespace.name == STORAGE_NAMESPACE

    def _kinds(self) -> list[Key]:
        """Return the CRDs that the platform's own releases left and that have no foreign objects."""
        gone = self._uninstalled()
        return [Key.of(item) for item, release in self._brought() if release in gone and not self._in_use(item)]

    def _brought(self) -> Iterator[tuple[Obj, str]]:
        """Yield the CRDs that our charts brought, each with its release, by Helm's mark or by the platform's status."""
        guard: Mapping[str, Obj] = status_of(self._api.get(PLATFORM)).get("guard") or {}
        unmarked = {
            name: (release, uid)
            for release, text in guard.items()
            for name, uid in GuardMemory.read(text).brought.items()
        }
        for item in self._api.list(CRD)[0]:
            release, uid = unmarked.get(item["metadata"]["name"], ("", ""))
            if leftovers.is_of_a_chart(item):
                yield item, leftovers.release_of(item)
            elif uid and not leftovers.release_of(item) and uid in self._entries(item):
                yield item, release

    def _entries(self, obj: Obj) -> set[str]:
        """Return the uids of the APIServices of a CRD's group; they change if the CRD is deleted and created again."""
        names = [f"{version['name']}.{obj['spec']['group']}" for version in obj["spec"]["versions"]]
        services = (self._api.get(Key(APISERVICE, "APIService", "", name)) for name in names)
        return {service["metadata"]["uid"] for service in services if service}

    def _unmarked(self) -> Iterator[tuple[Key, str]]:
        """Yield the CRDs that our charts bring without a mark, with the reason for which they would stay."""
        ours = {Key.of(item) for item, _ in self._brought()}
        for name in sorted(item for release in self._names() for item in _crds(release)):
            key = Key(CRD.api_version, CRD.kind, "", name)
            if self._api.get(key):
                yield (key, _USED if key in ours else "the platform's status does not say that its chart brought it")

    def _names(self) -> set[str]:
        """Return the platform's own releases."""
        platform = self._api.get(PLATFORM)
        return {key.name for key in (_composed(platform) if platform else []) if key.kind == RELEASE.kind}

    def _uninstalled(self) -> set[str]:
        """Return the platform's own releases without a Helm record; in a plan, those that would be uninstalled."""
        names = self._names()
        if not self._planned:
            return names - self._records()
        used = self._once("used", lambda: {name for name in names if _outlives(name) and self._is_used(name)})
        return names - used

    def _is_used(self, release: str) -> bool:
        """Tell whether foreign objects exist of a kind that the release defines."""
        return any(self._in_use(item) for item, brought_by in self._brought() if brought_by == release)

    def _records(self, namespace: str = "") -> set[str]:
        """Return the releases that have a Helm record: in one namespace, or anywhere."""
        kept = self._api.list(Kind("v1", "Secret"), namespace=namespace, labels={"owner": "helm"})[0]
        return {labels_of(item).get("name", "") for item in kept}

    def _in_use(self, crd: Obj) -> bool:
        spec = crd["spec"]
        version = next(item["name"] for item in spec["versions"] if item["storage"])
        path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
        if not self._planned:
            return bool(self._api.listed(path, limit=1))
        # Objects that are deleted before the kind are ours, in a deleted namespace, or owned by such an object.
        return any(
            not leftovers.is_ours(obj)
            and not obj["metadata"].get("ownerReferences")
            and obj["metadata"].get("namespace") not in self._teams()
            for obj in self._api.listed(path)
        )

    def _installed(self, path: str) -> Iterator[Key]:
        """Yield what an installation added from one file, if it carries our mark and no other owner uses it."""
        if path.startswith(PROVIDER_FOLDER) and self._provider_is_shared():
            return
        for obj in reversed(self._files[path]):
            live = self._api.get(Key.of(obj))
            if live is not None and INSTALLED in labels_of(live):
                yield Key.of(obj)

    def _provider_is_shared(self) -> bool:
        others = self._listed(Kind(RELEASE.api_version, "ProviderConfig"))
        releases = {key.name for key in self._listed(RELEASE)} - (self._names() if self._planned else set())
        return any(key.name != PROVIDER_CONFIG for key in others) or bool(releases)

    # What is done

    def _pause(self) -> None:
        """Keep Crossplane from restoring what is deleted, and take what stays away from it."""
        platform = self._api.get(PLATFORM)
        if platform is None or "deletionTimestamp" in platform["metadata"]:
            return
        self._annotate([PLATFORM], {PAUSED: "true", UNINSTALLING: "true"})
        wait_for(self._is_paused, PAUSE_SECONDS, f"Crossplane pauses {PLATFORM}", described(PLATFORM))
        # Crossplane repeats a deletion that it refused once, when the last release in the namespace is gone.
        annotations = {KEPT: "true", ATTEMPT: None}
        for key in self._namespaces():
            self._api.merge(key, {"metadata": {"ownerReferences": None, "annotations": annotations}})

    def _is_paused(self) -> bool:
        synced = condition(self._api.get(PLATFORM) or {}, "Synced") or {}
        return synced.get("reason") == "ReconcilePaused"

    def _delete(self, key: Key) -> None:
        """Delete; a release that outlives its platform is uninstalled too if its kinds have no foreign objects."""
        if key.kind == RELEASE.kind and _outlives(key.name) and not self._is_used(key.name):
            self._api.merge(key, {"spec": {"deletionPolicy": "Delete", **self._may_delete(key)}})
        self._api.delete(key)

    def _may_delete(self, release: Key) -> Obj:
        """Return the right to uninstall for a Release that lists what provider-helm may do."""
        policies = ((self._api.get(release) or {}).get("spec") or {}).get("managementPolicies") or ["*"]
        return {} if "*" in policies else {"managementPolicies": sorted({*policies, "Delete"})}

    def _annotate(self, keys: Iterable[Key], annotations: Mapping[str, str | None]) -> None:
        for key in keys:
            self._api.merge(key, {"metadata": {"annotations": dict(annotations)}})

    def _gone(self, stage: Stage, say: Say) -> None:
        """Delete, and repeat while the API server refuses: what is in use now may be free later."""
        if stage.keys:
            say(f"{stage.title}: {len(stage.keys)} {'object' if len(stage.keys) == 1 else 'objects'}")
        deadline = time.monotonic() + self._seconds
        asked: dict[Key, float] = {}
        remaining = list(stage.keys)
        while remaining := [key for key in remaining if self._is_there(key, asked)]:
            if time.monotonic() > deadline:
                raise _still_there(remaining)
            time.sleep(LOOK_SECONDS)

    def _is_there(self, key: Key, asked: dict[Key, float]) -> bool:
        live = self._api.get(key)
        if live is None:
            return False
        if "deletionTimestamp" not in live["metadata"]:
            if time.monotonic() - asked.get(key, -AGAIN_SECONDS) >= AGAIN_SECONDS:
                asked[key] = time.monotonic()
                self._delete(key)
        elif key == PLATFORM and PAUSED in annotations_of(live):
            # It does not compose any more, and only an unpaused one removes its finalizer.
            self._annotate([PLATFORM], {PAUSED: None})
        return True


def _identity(key: Key) -> tuple[str, ...]:
    """Return the identity of an object in every version of its group: files and listings may use different ones."""
    group, _, _version = key.api_version.rpartition("/")
    return group, key.kind, key.namespace, key.name


def _is_lost(claim: Obj) -> bool:
    """Tell whether the claim's data is deleted with it: by its current policy, or the policy of its objects."""
    says = (claim["spec"].get("deletionPolicy"), status_of(claim).get("deletionPolicy"))
    return "Delete" in says


def _outlives(release: str) -> bool:
    part = platform_components().get(release)
    return isinstance(part, ReleaseComponent) and part.outlives


def _crds(release: str) -> set[str]:
    """Return the CRDs that the release brings without a mark."""
    part = platform_components().get(release)
    return {crd(kind) for kind in part.crds} if isinstance(part, ReleaseComponent) else set()


def _composed(platform: Obj) -> list[Key]:
    references = (platform["spec"].get("crossplane") or {}).get("resourceRefs") or ()
    return [Key.read(reference) for reference in references]


def _refuse_others(claims: set[str]) -> None:
    if claims:
        what = f"new claims exist: {', '.join(sorted(claims))}"
        raise UsageError("VEL724", what, where="the cluster", fix="look at them, then uninstall again")


def _still_there(keys: Iterable[Key]) -> StoreError:
    names = sorted(map(str, keys))
    what = f"still being deleted, or refused: {', '.join(names[:5])}{' and more' if names[5:] else ''}"
    fix = "kubectl describe it: a finalizer waits for its controller, a Usage for its user; then uninstall again"
    return StoreError("VEL311", what, where="the cluster", fix=fix)
