"""One pass's view of one Helm release: Helm's records, the live objects, and their faults. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from vellum.compose import gates, inventory, repair
from vellum.compose.inventory import Brought, Difference, Rendered
from vellum.kube.health import health
from vellum.kube.objects import Obj, annotations_of
from vellum.model.component import Kind
from vellum.model.release import PROVIDER, ReleaseComponent, crd
from vellum.model.repair import GuardMemory
from vellum.model.state import LIST, Observed, Requirement

AHEAD = 2
UNREPORTED = "done, and not reported yet"
UNREADABLE = "deployed, but its record cannot be read"
_SCALER = Kind("autoscaling/v2", "HorizontalPodAutoscaler")
AnyRelease = ReleaseComponent[Any]


@dataclass(frozen=True)
class Release:
    """One release in one pass: the component, its observed state, and the guard's memory."""

    component: AnyRelease
    observed: Observed
    memory: GuardMemory

    @property
    def name(self) -> str:
        """The release's name for Helm and Crossplane, and in the status."""
        return self.component.name

    @property
    def resource(self) -> str:
        """The name of the Release among the composed resources."""
        return f"{self.name}-release"

    @property
    def live(self) -> Obj | None:
        """The Release in the API server."""
        return self.observed.resources.get(self.resource)

    @cached_property
    def revision(self) -> int:
        """Helm's revision that provider-helm last reported; 0 before the first."""
        said = ((self.live or {}).get("status") or {}).get("atProvider") or {}
        return int(said.get("revision") or 0)

    @property
    def _record_key(self) -> str:
        return f"record/{self.name}"

    def record_question(self) -> dict[str, Requirement]:
        """Require Helm's records of the revision and of the next two, which provider-helm has not reported yet.

        There are two if a failed revision was rolled back and is retried. They are required by name: all of Helm's
        records would not fit into a message, and a record that once hung keeps its status in the history.
        """
        if not self.revision:
            return {}
        return {
            f"{self._record_key}{'+' * ahead}": Requirement(
                "v1",
                "Secret",
                f"sh.helm.release.v1.{self.name}.v{self.revision + ahead}",
                self.component.namespace,
            )
            for ahead in range(AHEAD + 1)
        }

    @property
    def record(self) -> Obj | None:
        """Helm's record, if it was looked up and exists."""
        return self.observed.required.get(self._record_key)

    @cached_property
    def _newest(self) -> tuple[int, str]:
        """The newest revision that provider-helm has not reported yet, and Helm's state of it; 0 if there is none."""
        for ahead in range(AHEAD, 0, -1):
            if found := self.observed.required.get(f"{self._record_key}{'+' * ahead}"):
                return self.revision + ahead, inventory.status_of(found)
        return 0, ""

    @property
    def _latest(self) -> int:
        newest, status = self._newest
        return newest if status == repair.FAILED else self.revision

    @cached_property
    def state(self) -> str:
        """Helm's state: deployed, failed, pending-upgrade, ...; absent if its record is gone."""
        newest, status = self._newest
        if newest:
            # A failure counts immediately: provider-helm reports it only when it retries, which must be prevented.
            return UNREPORTED if status == repair.DEPLOYED else status
        status = inventory.status_of(self.record) if self.record else repair.ABSENT
        return UNREADABLE if status == repair.DEPLOYED and self._read is None else status

    @property
    def freed(self) -> int:
        """The revision to which a hung or failed one was rolled back, until provider-helm reports it; 0: none.

        It reports it only at its next poll. After an ordinary upgrade it is about to report, and must not be disturbed.
        """
        newest, status = self._newest
        own = inventory.status_of(self.record) if self.record else ""
        return newest if status == repair.DEPLOYED and own.startswith(("pending", repair.FAILED)) else 0

    @cached_property
    def rendered(self) -> tuple[Rendered, ...]:
        """The compared objects of the deployed revision."""
        return (self._read or ()) if self.state == repair.DEPLOYED else ()

    @cached_property
    def _read(self) -> tuple[Rendered, ...] | None:
        """The inventory of the record; None if it cannot be read, which must not stop other releases."""
        try:
            return (
                inventory.rendered(self.record, self.component.namespace, self._custom)
                if self.record
                else None
            )
        except ValueError:
            return None

    @cached_property
    def _custom(self) -> Mapping[str, Kind]:
        looked_at = self.component.looks_at().items()
        return {name: kind for name, kind in looked_at if gates.served(self.observed, kind)}

    @cached_property
    def gone(self) -> tuple[Brought, ...]:
        """The kinds of the deployed revision that the API server lacks; none if discovery was not possible."""
        known = self.observed.kinds
        if known is None or self.state != repair.DEPLOYED or self.record is None:
            return ()
        there = {(name.split("/")[0], name.rsplit("/", 1)[-1]) for name in known}
        brought = inventory.brought(self.record, self.component.namespace, self._custom)
        return tuple(one for one in (*brought, *self._below) if (one.group, one.kind) not in there)

    @property
    def lost(self) -> tuple[Brought, ...]:
        """The kinds that are gone and that no upgrade makes again."""
        return tuple(kind for kind in self.gone if not kind.templated)

    @property
    def _below(self) -> list[Brought]:
        """The kinds of the charts below the chart."""
        return [_unmarked(kind) for kind in self.component.crds]

    def brought(self, *, repaired: bool) -> Mapping[str, str]:
        """Return the CRDs without a mark that the release brings: those that are not there before its Release is.

        Each has the uid by which it is known again, empty until it is served. A deleted one that the guard restores
        gets another uid. One that a user makes later has another uid, too, and does not match.
        """
        if self.live is None:
            return {crd(kind): "" for kind in self.component.crds if not gates.served(self.observed, kind)}
        restored = {kind.name for kind in self.lost} if repaired else set()
        return {
            crd(kind): "" if crd(kind) in restored else known or gates.entry(self.observed, kind)
            for kind in self.component.crds
            if (known := self.memory.brought.get(crd(kind))) is not None
        }

    def live_questions(self) -> dict[str, Requirement]:
        """Require the live objects: a list for each kind and namespace in the record."""
        places = {(one.kind, one.namespace) for one in self.rendered}
        questions = {
            _live_key(kind, namespace): Requirement(
                kind.api_version, kind.kind, namespace=namespace, labels=inventory.OWNED
            )
            for kind, namespace in places
        }
        scaled = {namespace for kind, namespace in places if kind.kind in inventory.WORKLOADS}
        questions |= {
            _scaler_key(namespace): Requirement(_SCALER.api_version, _SCALER.kind, namespace=namespace)
            for namespace in scaled
        }
        return questions

    def _live(self, one: Rendered) -> Obj | None:
        for obj in self.observed.lists.get(_live_key(one.kind, one.namespace), ()):
            if obj["metadata"]["name"] == one.name and self._made(obj):
                return obj
        return None

    def _made(self, obj: Obj) -> bool:
        said = annotations_of(obj)
        whose = said.get(inventory.RELEASE_NAME), said.get(inventory.RELEASE_NAMESPACE)
        return whose == (self.name, self.component.namespace)

    @cached_property
    def _found(self) -> dict[Rendered, tuple[Difference, ...] | None]:
        """Every compared object with its differences; None where it is missing."""
        found: dict[Rendered, tuple[Difference, ...] | None] = {}
        for one in self.rendered:
            obj = self._live(one)
            if obj is None or "deletionTimestamp" in obj["metadata"]:
                found[one] = None
            else:
                found[one] = _compared(one, obj, self.record or {}, scaled=self._scaled(one))
        return found

    def _scaled(self, one: Rendered) -> bool:
        targets = (
            scaler["spec"]["scaleTargetRef"]
            for scaler in self.observed.lists.get(_scaler_key(one.namespace), ())
        )
        return any((target["kind"], target["name"]) == (one.kind.kind, one.name) for target in targets)

    @cached_property
    def faults(self) -> dict[str, str]:
        """The faults in words, by object."""
        if self.state == repair.FAILED:
            # Without Helm's text, which differs between tries: equal faults are counted together.
            return {f"Release {self.name}": repair.FAILED}
        found = {str(one): _fault(found) for one, found in self._found.items() if found is None or found}
        return {**found, **{str(kind): "missing" for kind in self.gone if kind.templated}}

    @cached_property
    def patch(self) -> str:
        """The kustomize patch that writes into Helm's record what an upgrade alone would not restore."""
        edited = [
            {
                "target": {"kind": one.kind.kind, "name": one.name},
                "patch": json.dumps([_written(difference) for difference in differences]),
            }
            for one, found in self._found.items()
            if (differences := self._beyond_an_upgrade(one, found or ()))
        ]
        return json.dumps({"patches": edited}, sort_keys=True) if edited else ""

    def _beyond_an_upgrade(self, one: Rendered, found: tuple[Difference, ...]) -> list[Difference]:
        """Return the differences that an upgrade misses.

        For custom resources Helm compares only manifests, and it never sees a field that the manifest lacks.
        """
        custom = f"{one.kind.api_version}/{one.kind.kind}" in self.component.looks_at()
        return [difference for difference in found if custom or not difference.rendered]

    def looked(self) -> repair.Look:
        """Return what the state machine needs from this pass."""
        stored = stored_patches(self.observed)
        return repair.Look(
            record=self.state, revision=self._latest, faults=self.faults, patch=_patch_key(self.name, self.patch),
            patch_stored=self.memory.patch in stored,
        )  # fmt: skip

    def guarded(self, now: datetime) -> repair.Plan | None:
        """Return the guard's plan; None while the release has nothing to guard."""
        return repair.plan(self.name, self.memory, self.looked(), now) if self.revision else None

    def starting(self) -> str:
        """Return which workload does not run yet; empty if all run."""
        for one in self.rendered:
            if one.kind.kind in inventory.WORKLOADS:
                ready, reason = health(self._live(one), str(one))
                if not ready:
                    return reason
        return ""


def _unmarked(kind: Kind) -> Brought:
    return Brought(kind.api_version.split("/")[0], kind.kind, crd(kind), templated=False)


def stored_patches(observed: Observed) -> Mapping[str, str]:
    """Return the patches that Releases can refer to now, by key."""
    return (observed.resources.get(f"{PROVIDER}-patches") or {}).get("data") or {}


def _patch_key(name: str, text: str) -> str:
    return f"w-{name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}.yaml" if text else ""


def _live_key(kind: Kind, namespace: str) -> str:
    return f"{LIST}live/{kind.api_version}/{kind.kind}/{namespace}"


def _scaler_key(namespace: str) -> str:
    return f"{LIST}scalers/{namespace}"


def _fault(found: tuple[Difference, ...] | None) -> str:
    if found is None:
        return "missing"
    return f"edited at {found[0]}" if found[0].rendered else "scaled to 0"


def _written(difference: Difference) -> Obj:
    """Return the operation: write the live value, so that the next manifest differs, or the API server's default."""
    path = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in difference.path)
    if not difference.rendered:
        return {"op": "add", "path": path, "value": 1}
    if difference.live is None:
        return {"op": "remove", "path": path}
    return {"op": "replace", "path": path, "value": plain(difference.live)}


def plain(value: Any) -> Any:  # noqa: ANN401  # any JSON
    """Return the observed object as plain data; only plain data can be composed."""
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


_known: dict[tuple[str, ...], tuple[Difference, ...]] = {}
_MOST_KNOWN = 4096


def _compared(one: Rendered, live: Obj, record: Obj, *, scaled: bool) -> tuple[Difference, ...]:
    """Compare once per version of both sides: a settled platform has the same in every pass."""
    versions = [
        side["metadata"].get(word, "") for side in (record, live) for word in ("uid", "resourceVersion")
    ]
    key = (str(one), str(scaled), *versions)
    if "" in versions or key not in _known:
        if len(_known) > _MOST_KNOWN:
            _known.clear()
        _known[key] = tuple(inventory.differences(one, live, scaled=scaled))
    return _known[key]
