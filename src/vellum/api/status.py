"""The facts in the platform's status that the next pass reads. People do not write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vellum.kube.objects import Obj


@dataclass(frozen=True, slots=True)
class PlatformStatus:
    """The platform's first settings, its parts, and the memory of the release guard and of the key rotation."""

    gateway: str = ""
    profile: str = ""
    """The profile that it started with; empty before the first pass."""
    store: str = ""
    """The object store that it started with."""
    bucket: str = ""
    """The bucket for artifacts that it started with."""
    guard: Mapping[str, Any] = field(default_factory=dict)
    """What the release guard recorded, by part."""
    entries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The status of each part."""
    receipts: tuple[Obj, ...] = ()
    """The repairs, newest first."""
    rotation: Mapping[str, Any] = field(default_factory=dict)
    """What is recorded about the platform's keys."""

    def has_begun(self, name: str) -> bool:
        """Tell whether Helm made a revision of the part, or the status records the part as ready."""
        entry, remembered = self.entries.get(name) or {}, self.guard.get(name) or {}
        return bool(entry.get("ready") or entry.get("revision") or remembered.get("installed"))

    def waits_for(self, name: str) -> str | None:
        """Return why a part is not ready, or None if it is; a part without an entry was never composed."""
        entry = self.entries.get(name) or {}
        serves = entry.get("ready") or entry.get("serves")
        return None if serves else entry.get("reason", "it is not composed yet")


def platform_status(status: Obj) -> PlatformStatus:
    """Return the facts in a platform's status."""
    # The first versions had one store and did not record it.
    first_store = "seaweedfs" if "seedFingerprint" in status else ""
    return PlatformStatus(
        gateway=(status.get("endpoints") or {}).get("gateway", ""),
        profile=status.get("profile", ""),
        store=str(status.get("objectStore") or first_store),
        bucket=status.get("artifactsBucket", ""),
        guard=status.get("guard") or {},
        entries={part["name"]: part for part in status.get("components") or ()},
        receipts=tuple(dict(receipt) for receipt in status.get("receipts") or ()),
        rotation=status.get("keys") or {},
    )
