"""One pass's view of one Helm release: its Release, Helm's records, and the live objects. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from vellum.compose import prerequisites
from vellum.compose.helm import diff, records
from vellum.compose.helm.diff import Difference
from vellum.compose.helm.records import ABSENT, DEPLOYED, FAILED, Brought, Contents, Rendered
from vellum.kube.health import health
from vellum.kube.objects import Kind, Obj, status_of
from vellum.model.release import ReleaseComponent, crd
from vellum.model.repair import GuardMemory
from vellum.model.state import LIST, Observed, Requirement

AHEAD = 2
UNREPORTED = "done, and not reported yet"
UNREADABLE = "deployed, but its record cannot be read"
_SCALER = ("autoscaling/v2", "HorizontalPodAutoscaler")
_EMPTY = Contents((), ())
AnyRelease = ReleaseComponent[Any]


@dataclass(frozen=True, slots=True)
class Release:
    """One release in one pass."""

    component: AnyRelease
    live: Obj | None
    """The Release in the API server."""
    revision: int
    """Helm's revision that provider-helm last reported; 0 before the first."""
    latest: int
    """The revision, or a newer one that failed."""
    state: str
    """Helm's state: deployed, failed, pending-upgrade, ...; absent if its record is gone."""
    freed: int = 0
    """The revision to which a hung or failed one was rolled back, until provider-helm reports it; 0: none.

    It reports it only at its next poll. After an ordinary upgrade it is about to report, and must not be disturbed.
    """
    objects: Mapping[Rendered, Obj | None] = field(default_factory=dict)
    """The compared objects of the deployed revision, each with the live one."""
    differences: Mapping[Rendered, tuple[Difference, ...] | None] = field(default_factory=dict)
    """The objects that differ from the rendered ones; None where one is missing."""
    gone: tuple[Brought, ...] = ()
    """The kinds of the deployed revision that the API server lacks; none if discovery was not possible."""
    brought: Mapping[str, str] = field(default_factory=dict)
    """The CRDs without Helm's mark that come with the release: those that did not exist before its Release.

    Each has the uid of its APIService, empty until the kind is served. If the guard restores a deleted CRD, this has
    the new uid. A CRD that a user creates later has another uid, so it does not match.
    """

    @property
    def name(self) -> str:
        """The release's name for Helm and Crossplane, and in the status."""
        return self.component.name

    @property
    def resource(self) -> str:
        """The name of the Release among the composed resources."""
        return f"{self.name}-release"

    @property
    def lost(self) -> tuple[Brought, ...]:
        """The kinds that are gone and that no upgrade makes again."""
        return tuple(kind for kind in self.gone if not kind.templated)

    @property
    def faults(self) -> dict[str, str]:
        """The faults in words, by object."""
        if self.state == FAILED:
            # Without Helm's text, which differs between tries: equal faults are counted together.
            return {f"Release {self.name}": FAILED}
        faults = {str(item): _fault(differences) for item, differences in self.differences.items()}
        return {**faults, **{str(kind): "missing" for kind in self.gone if kind.templated}}

    def starting(self) -> str:
        """Return which workload does not run yet; empty if all run."""
        for item, live in self.objects.items():
            if item.kind.kind in records.WORKLOADS:
                ready, reason = health(live, str(item))
                if not ready:
                    return reason
        return ""


def observe(component: AnyRelease, observed: Observed, memory: GuardMemory, *, repaired: bool) -> Release:
    """Return the view of the release; ``memory`` has what came with it earlier, ``repaired`` is the guard's switch."""
    live = observed.resources.get(f"{component.name}-release")
    reported = status_of(live).get("atProvider") or {}
    revision = int(reported.get("revision") or 0)
    record = observed.required.get(_record_key(component))
    own = records.state(record) if record else ABSENT
    newest, status = _newest(component, revision, observed)
    contents = _contents(component, record, observed) if record and own == DEPLOYED else None
    if newest:
        # A failure counts immediately: provider-helm reports it only when it retries, which must be prevented.
        state = UNREPORTED if status == DEPLOYED else status
    else:
        state = UNREADABLE if own == DEPLOYED and contents is None else own
    deployed = contents if contents and state == DEPLOYED else _EMPTY
    objects = _live(component, deployed.rendered, observed)
    gone = _gone(component, deployed.brought, observed) if state == DEPLOYED else ()
    restored = {kind.name for kind in gone if repaired and not kind.templated}
    absent = [kind for kind in component.crds if not live and not prerequisites.served(observed, kind)]
    return Release(
        component=component,
        live=live,
        revision=revision,
        state=state,
        objects=objects,
        latest=newest if status == FAILED else revision,
        freed=newest if status == DEPLOYED and own.startswith(("pending", FAILED)) else 0,
        differences=_differences(objects, record or {}, observed),
        gone=gone,
        brought=_brought(component, observed, memory, restored) if live else {crd(kind): "" for kind in absent},
    )


def questions(release: Release, *, repaired: bool) -> dict[str, Requirement]:
    """Require Helm's records, without which no Release is safe, and for repairs the live objects.

    The records are those of the revision and of the next two, which provider-helm has not reported yet. There are two
    if a failed revision was rolled back and is retried. Each is required by name, for two reasons. All of Helm's
    records would not fit into a message. A record that once hung keeps its status in the history.
    """
    asked: dict[str, Requirement] = {}
    for ahead in range(AHEAD + 1) if release.revision else ():
        secret = f"sh.helm.release.v1.{release.name}.v{release.revision + ahead}"
        asked[_record_key(release.component, ahead)] = Requirement("v1", "Secret", secret, release.component.namespace)
    for kind, namespace in {(item.kind, item.namespace) for item in release.objects} if repaired else ():
        key = _live_key(kind, namespace)
        asked[key] = Requirement(kind.api_version, kind.kind, namespace=namespace, labels=records.OWNED)
        if kind.kind in records.WORKLOADS:
            asked[_scaler_key(namespace)] = Requirement(*_SCALER, namespace=namespace)
    return asked


def _newest(component: AnyRelease, revision: int, observed: Observed) -> tuple[int, str]:
    """Return the newest revision that provider-helm has not reported yet, with Helm's state of it, or 0."""
    for ahead in range(AHEAD, 0, -1):
        if record := observed.required.get(_record_key(component, ahead)):
            return revision + ahead, records.state(record)
    return 0, ""


def _contents(component: AnyRelease, record: Obj, observed: Observed) -> Contents | None:
    """Return the contents of the record, or None if it cannot be read: one bad record must not stop other releases."""
    custom = frozenset(name for name, kind in component.looks_at().items() if prerequisites.served(observed, kind))

    def read() -> Contents | None:
        """Read the record."""
        with suppress(ValueError):
            return records.read(record, component.namespace, custom)
        return None

    # A settled platform has the same records in every pass, and the largest takes 60 ms to read.
    return observed.known.get((component.name, custom, *_version(record)), read)


def _live(component: AnyRelease, rendered: tuple[Rendered, ...], observed: Observed) -> dict[Rendered, Obj | None]:
    """Return each object with the live one of the same name that Helm made for this release."""
    places = {_live_key(item.kind, item.namespace) for item in rendered}
    listed = {(place, obj["metadata"]["name"]): obj for place in places for obj in observed.lists.get(place, ())}
    own = (component.name, component.namespace)
    objects: dict[Rendered, Obj | None] = {}
    for item in rendered:
        obj = listed.get((_live_key(item.kind, item.namespace), item.name))
        objects[item] = obj if obj and records.owner(obj) == own else None
    return objects


def _differences(
    objects: Mapping[Rendered, Obj | None], record: Obj, observed: Observed
) -> dict[Rendered, tuple[Difference, ...] | None]:
    scaled = {
        (namespace, target["kind"], target["name"])
        for namespace in {item.namespace for item in objects}
        for scaler in observed.lists.get(_scaler_key(namespace), ())
        if (target := scaler["spec"]["scaleTargetRef"])
    }
    differences: dict[Rendered, tuple[Difference, ...] | None] = {}
    for item, live in objects.items():
        if live is None or "deletionTimestamp" in live["metadata"]:
            differences[item] = None
        else:
            is_scaled = (item.namespace, item.kind.kind, item.name) in scaled
            if different := _compared(item, live, record, observed, scaled=is_scaled):
                differences[item] = different
    return differences


def _compared(item: Rendered, live: Obj, record: Obj, observed: Observed, *, scaled: bool) -> tuple[Difference, ...]:
    """Compare once per version of both sides: a settled platform has the same in every pass."""
    key = (str(item), scaled, *_version(record), *_version(live))
    return observed.known.get(key, lambda: tuple(diff.differences(item, live, scaled=scaled)))


def _version(obj: Obj) -> tuple[str, str]:
    meta = obj["metadata"]
    return meta.get("uid", ""), meta.get("resourceVersion", "")


def _gone(component: AnyRelease, brought: tuple[Brought, ...], observed: Observed) -> tuple[Brought, ...]:
    if observed.kinds is None:
        return ()
    there = {(name.split("/")[0], name.rsplit("/", 1)[-1]) for name in observed.kinds}
    below = (_unmarked(kind) for kind in component.crds)
    return tuple(kind for kind in (*brought, *below) if (kind.group, kind.kind) not in there)


def _brought(
    component: AnyRelease, observed: Observed, memory: GuardMemory, restored: Collection[str]
) -> dict[str, str]:
    return {
        crd(kind): "" if crd(kind) in restored else known or prerequisites.service_uid(observed, kind)
        for kind in component.crds
        if (known := memory.brought.get(crd(kind))) is not None
    }


def _unmarked(kind: Kind) -> Brought:
    return Brought(kind.api_version.split("/")[0], kind.kind, crd(kind), templated=False)


def _record_key(component: AnyRelease, ahead: int = 0) -> str:
    return f"record/{component.name}{'+' * ahead}"


def _live_key(kind: Kind, namespace: str) -> str:
    return f"{LIST}live/{kind.api_version}/{kind.kind}/{namespace}"


def _scaler_key(namespace: str) -> str:
    return f"{LIST}scalers/{namespace}"


def _fault(differences: tuple[Difference, ...] | None) -> str:
    if differences is None:
        return "missing"
    return f"edited at {differences[0]}" if differences[0].rendered else "scaled to 0"
