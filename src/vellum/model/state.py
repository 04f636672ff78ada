"""What is there (observed), what shall be there (desired), and what is said about it (ready, condition, event)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vellum.kube.health import Health, health
from vellum.kube.objects import Obj


@dataclass(frozen=True, slots=True)
class Ready:
    """An answer in words: is it ready, and if not, what is missing and who acts next."""

    ready: bool
    reason: str = ""
    actor: str = ""
    serves: bool = False
    """Not ready, yet what it handed out before still works, so the binding keeps it."""

    def __bool__(self) -> bool:
        return self.ready


READY = Ready(ready=True)


def waits(reason: str, actor: str) -> Ready:
    """Return the answer of what is not ready: what is missing, and who acts next."""
    return Ready(ready=False, reason=reason, actor=actor)


@dataclass(frozen=True, slots=True)
class Condition:
    """A Kubernetes condition without its times: the control plane adds those when the status changes."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""


PARTS_READY = "PartsReady"
"""Our own condition, which says in words what is missing. ``Ready`` and ``Synced`` belong to the control plane:
Crossplane drops them from a function's answer."""


SIZES, SIZE_KEPT = "SizesAsWritten", "SizeKept"
"""Our condition of a claim whose volume keeps another size than the one that is written, and its reason; the condition
comes with the first such size, and turns True when all are as written."""


def parts_ready() -> Condition:
    """Return the condition of a composite whose parts are all ready."""
    return Condition(PARTS_READY, "True", "Available")


def not_ready(reason: str, message: str) -> Condition:
    """Return the condition of a composite that waits, or cannot go on: one word for programs, a sentence for people."""
    return Condition(PARTS_READY, "False", reason, message)


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth telling a person about an object once."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


LIST = "list/"


@dataclass(frozen=True, slots=True)
class Requirement:
    """An object that compose wants to see before it decides; by name, in a namespace or cluster-wide.

    Without a name all objects are wanted that carry the labels. Such a requirement is asked for under a name that
    begins with ``LIST``, and what is found is then in ``Observed.lists``.
    """

    api_version: str
    kind: str
    name: str = ""
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """What the control plane sees: our composed objects by resource name, and the answers to requirements.

    ``required`` holds None for an object that was looked for and does not exist; a requirement that was not looked
    for yet is absent. The two must never be confused: only the first may lead to a creation.
    """

    resources: Mapping[str, Obj] = field(default_factory=dict)
    required: Mapping[str, Obj | None] = field(default_factory=dict)
    lists: Mapping[str, tuple[Obj, ...]] = field(default_factory=dict)
    """The answers to requirements without a name; the same rule: empty is not absent."""
    kinds: Mapping[str, bool] | None = None
    """Kinds as ``group/version/Kind``, and whether objects of them can be made now; None without discovery."""
    memo: dict[tuple[str, str], Any] = field(default_factory=dict, compare=False, repr=False)
    """What was worked out in this pass: a part and the whole ask the same of one object."""

    def health(self, resource: str, name: str) -> Health:
        """Judge one of our composed objects; ``name`` is what to call it while it does not exist."""
        key = ("health", resource)
        if key in self.memo:
            found: Health = self.memo[key]
            return found
        obj = self.resources.get(resource)
        if obj is None:
            return health(None, name)
        self.memo[key] = found = health(obj, name)
        return found


@dataclass(frozen=True, slots=True)
class Desired:
    """One object to apply, and whether what is observed of it is ready."""

    obj: Obj
    ready: bool


@dataclass(frozen=True, slots=True)
class Composed:
    """The whole answer of one pass. A ``fatal`` answer changes nothing: the control plane keeps what is there."""

    objects: Mapping[str, Desired] = field(default_factory=dict)
    requirements: Mapping[str, Requirement] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    events: tuple[Event, ...] = ()
    status: Obj = field(default_factory=dict)
    ready: bool = False
    fatal: str = ""
    ttl_seconds: float = 15
