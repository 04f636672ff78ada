"""Keep a composite from adopting foreign objects that have its derived names.

Crossplane's apply adopts such an object and deletes it with the composite (measured on 2.3.4), so compose checks first.
"""

from __future__ import annotations

from collections.abc import Mapping

from vellum.kube.objects import KEPT, Obj, annotations_of, controller_uid, not_ours
from vellum.model.state import Composed, Requirement, undecided

PREFIX = "ours/"


def questions(adopted: Mapping[str, Requirement]) -> dict[str, Requirement]:
    """Return the requirements under names that cannot collide with others."""
    return {f"{PREFIX}{name}": requirement for name, requirement in adopted.items()}


def unanswered(adopted: Mapping[str, Requirement], required: Mapping[str, Obj | None]) -> bool:
    """Return whether any object was not looked up yet; until then nothing may be created."""
    return any(f"{PREFIX}{name}" not in required for name in adopted)


def foreign(adopted: Mapping[str, Requirement], required: Mapping[str, Obj | None], uid: str) -> list[Obj]:
    """Return the objects that exist but are not controlled by the composite with this uid."""
    result = (required.get(f"{PREFIX}{name}") for name in adopted)
    return [obj for obj in result if obj is not None and controller_uid(obj) != uid and not _is_free(obj)]


def _is_free(obj: Obj) -> bool:
    """Tell whether it is a namespace that an earlier platform left with its data."""
    return obj["kind"] == "Namespace" and KEPT in annotations_of(obj) and controller_uid(obj) is None


def refused(strangers: list[Obj]) -> Composed:
    """Return the answer that changes nothing and names the foreign objects."""
    return undecided("NotOurs", not_ours(strangers))
