"""A result of a check before an installation."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from vellum.kube.objects import Obj

OK, WARNING, FAILED = "ok", "warning", "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """A check, its result, and the fix of a failure."""

    name: str
    state: str
    says: str
    fix: str = ""

    def as_dict(self) -> Obj:
        """Return it as JSON."""
        return asdict(self)
