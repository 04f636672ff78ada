"""What repairs leave in a status: receipts, and the release guard's memory of one release between passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from vellum.kube.objects import Obj

Faults = Mapping[str, str]
"""An object, and what is wrong with it, both in words."""


KEPT_RECEIPTS = 20


@dataclass(frozen=True, slots=True)
class Receipt:
    """One object or process that was repaired."""

    component: str
    object: str
    wrong: str
    seen: str
    back: str
    seconds: float
    revision: int = 0
    """The Helm revision that repaired it; 0 if Helm was not involved."""

    def __str__(self) -> str:
        return f"{self.object} was {self.wrong}, seen {self.seen}: back after {self.seconds} s"

    def as_dict(self) -> Obj:
        """Return plain data for the status."""
        entry = {name: getattr(self, name) for name in self.__slots__}
        if not self.revision:
            del entry["revision"]
        return entry


def with_receipts(receipts: Iterable[Receipt], before: Sequence[Obj]) -> list[Obj]:
    """Return a status's receipts, newest first, and limited: a crash loop must not fill the status."""
    return [*(receipt.as_dict() for receipt in receipts), *before][:KEPT_RECEIPTS]


@dataclass(frozen=True, slots=True)
class Repair:
    """The last forced upgrade: when, for what, from which revision; ``open`` until everything was restored."""

    at: str
    faults: Faults
    since: Mapping[str, str]
    revision: int
    open: bool = True
    undone: bool = False
    """Whether the upgrade failed and the Release was turned back to what Helm last deployed."""


@dataclass(frozen=True, slots=True)
class GuardMemory:
    """Everything that one release's guard knows. Times are RFC 3339 in UTC, to the second."""

    phase: str = "Waiting"
    since: Mapping[str, str] = field(default_factory=dict)
    """When each current fault was first seen."""
    faults: Faults = field(default_factory=dict)
    nonce: int = 0
    """How often the Release was flipped; 0 means that its patchesFrom was never set."""
    tries: int = 0
    """How often the same faults were repaired in a row."""
    step: str = ""
    """The step of a write-through of an edited custom resource: write, record, held, or empty."""
    patch: str = ""
    """The key of its patch in the guard's ConfigMap, until everything is restored."""
    repairs: int = 0
    recent: tuple[str, ...] = ()
    """The times of the repairs within the last hour."""
    last: Repair | None = None
    installed: bool = False
    """Whether it was ever deployed: from then on nothing may uninstall it."""
    brought: Mapping[str, str] = field(default_factory=dict)
    """The CRDs without Helm's mark that did not exist before the release, each with the uid of its group's APIService.
    They are deleted with the release. Crossplane's messages cannot hold the CRD itself."""

    def but(self, **changes: Any) -> GuardMemory:  # noqa: ANN401  # the fields' own types
        """Return a copy with these fields changed."""
        return replace(self, **changes)

    def as_status(self) -> Obj:
        """Return plain data for the status, without initial values."""
        results: Obj = {
            name: getattr(self, name) for name in self.__slots__ if getattr(self, name) != getattr(BLANK, name)
        }
        results |= {"recent": list(results["recent"])} if "recent" in results else {}
        if brought := results.pop("brought", None):
            results |= {"brought": sorted(brought), "services": brought}
        if self.last:
            results["last"] = {name: getattr(self.last, name) for name in Repair.__slots__}
        return results

    @classmethod
    def read(cls, status: Mapping[str, Any]) -> GuardMemory:
        """Return the memory that ``as_status`` wrote; unknown fields come from another version and are ignored."""
        known = {name: status[name] for name in cls.__slots__ if name in status}
        for name in ("since", "faults"):
            # An earlier version wrote only a list of the names.
            known[name] = dict(known[name]) if isinstance(known.get(name), Mapping) else {}
        # An earlier version wrote no uids; the next pass adds them.
        known["brought"] = {**dict.fromkeys(status.get("brought") or (), ""), **(status.get("services") or {})}
        known["recent"] = tuple(known.get("recent") or ())
        if last := known.get("last"):
            known["last"] = Repair(
                at=last["at"],
                faults=dict(last["faults"]),
                since=dict(last["since"]),
                revision=last["revision"],
                open=last["open"],
                undone=bool(last.get("undone")),
            )
        return cls(**known)


BLANK = GuardMemory()
"""The memory of a release that was never seen."""


def seconds_between(earlier: str, later: datetime) -> float:
    """Return the seconds between a written time and another."""
    return (later - datetime.fromisoformat(earlier)) / timedelta(seconds=1)
