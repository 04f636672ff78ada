"""The observed state, the desired state, and what is reported about them (ready, condition, event)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from vellum.kube.health import Health, health
from vellum.kube.objects import Obj


@dataclass(frozen=True, slots=True)
class Ready:
    """Whether something is ready, and if not, what is missing and who must act next."""

    ready: bool
    reason: str = ""
    actor: str = ""
    serves: bool = False
    """Not ready, but what it gave out earlier still works, so the binding keeps it."""
    blocked_by: tuple[str, ...] = ()
    """The chain of parts that it waits for, the nearest first; ``reason`` is that of the last."""

    @property
    def message(self) -> str:
        """Return the reason; if another part causes it, with the name of that part."""
        return f"waits for {self.blocked_by[-1]}: {self.reason}" if self.blocked_by else self.reason

    def __bool__(self) -> bool:
        return self.ready


READY = Ready(ready=True)


def waits(reason: str, actor: str) -> Ready:
    """Return the answer for something that is not ready: what is missing, and who must act next."""
    return Ready(ready=False, reason=reason, actor=actor)


def blocked(by: str, answer: Ready) -> Ready:
    """Return the answer for a part that waits for the part ``by``, whose own answer is ``answer``."""
    return Ready(ready=False, reason=answer.reason, actor=answer.actor, blocked_by=(by, *answer.blocked_by))


@dataclass(frozen=True, slots=True)
class Condition:
    """A Kubernetes condition without its times, which the control plane adds when the status changes."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""


PARTS_READY = "PartsReady"
"""Our own condition, with what is missing in words. ``Ready`` and ``Synced`` belong to the control plane:
Crossplane drops them from a function's answer."""


SIZES, SIZE_KEPT = "SizesAsWritten", "SizeKept"
"""Our condition of a claim whose volume keeps another size than the spec has, and its reason. The condition
appears with the first such size, and turns True when all sizes match."""

WATCHED = "Watched"
"""Our condition of a composite and its claim: False while Crossplane drops most events of the composite."""


def parts_ready() -> Condition:
    """Return the condition of a composite whose parts are all ready."""
    return Condition(PARTS_READY, "True", "Available")


def not_ready(reason: str, message: str) -> Condition:
    """Return the condition of a composite that waits or is stuck: one word for programs, a sentence for people."""
    return Condition(PARTS_READY, "False", reason, message)


@dataclass(frozen=True, slots=True)
class Event:
    """A fact about an object to report once to people."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


LIST = "list/"


@dataclass(frozen=True, slots=True)
class Requirement:
    """An object that compose must see before it decides; by name, in a namespace or cluster-wide.

    Without a name it means all objects with the labels. Such a requirement has a key that begins with
    ``LIST``, and its objects are then in ``Observed.lists``.
    """

    api_version: str
    kind: str
    name: str = ""
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()


T = TypeVar("T")


@dataclass(slots=True)
class Known:
    """A cache of results of earlier passes; it is emptied when it is full.

    A key contains the versions of the inputs. The caller keeps the cache between passes.
    """

    most: int = 2048
    _results: dict[tuple[object, ...], Any] = field(default_factory=dict)

    def get(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        """Return the result of this key; a key with an empty part lacks a version, so its result is not kept."""
        if "" in key:
            return make()
        if key not in self._results:
            if len(self._results) >= self.most:
                self._results.clear()
            self._results[key] = make()
        result: T = self._results[key]
        return result


@dataclass(frozen=True, slots=True)
class Observed:
    """What the control plane sees: our composed objects by resource name, and the answers to requirements.

    ``required`` holds None for an object that was looked up and does not exist; a requirement that was not looked
    up yet is absent. The two must not be confused: only the first may lead to a creation.
    """

    resources: Mapping[str, Obj] = field(default_factory=dict)
    required: Mapping[str, Obj | None] = field(default_factory=dict)
    lists: Mapping[str, tuple[Obj, ...]] = field(default_factory=dict)
    """The answers to requirements without a name; again, empty differs from absent."""
    kinds: Mapping[str, bool] | None = None
    """Kinds as ``group/version/Kind``, and whether their objects can be made now; None without discovery."""
    memo: dict[tuple[str, str], Any] = field(default_factory=dict, compare=False, repr=False)
    """A cache for this pass: a part and the whole ask the same about one object."""

    known: Known = field(default_factory=Known, compare=False, repr=False)
    """A cache for all passes of a process."""

    def health(self, resource: str, name: str) -> Health:
        """Judge one of our composed objects; ``name`` describes it while it does not exist."""
        key = ("health", resource)
        if key in self.memo:
            result: Health = self.memo[key]
            return result
        obj = self.resources.get(resource)
        if obj is None:
            return health(None, name)
        self.memo[key] = result = health(obj, name)
        return result


@dataclass(frozen=True, slots=True)
class Desired:
    """One object to apply, and whether its observed state is ready."""

    obj: Obj
    ready: bool


@dataclass(frozen=True, slots=True)
class Composed:
    """The whole answer of one pass. A ``fatal`` answer changes nothing: the control plane keeps what exists."""

    objects: Mapping[str, Desired] = field(default_factory=dict)
    requirements: Mapping[str, Requirement] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    events: tuple[Event, ...] = ()
    status: Obj = field(default_factory=dict)
    ready: bool = False
    fatal: str = ""
    ttl_seconds: float = 15


def undecided(reason: str, message: str) -> Composed:
    """Return the answer that changes nothing, with a one-word reason for programs and a sentence for users."""
    return Composed(conditions=(not_ready(reason, message),), fatal=message)
