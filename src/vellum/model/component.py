"""A component: one module that answers everything about one part of the platform.

Its answers: the spec that people may write, the objects, whether they are ready, what the binding hands out, what the
network must let through, which kinds must exist first, and the process that a laptop runs instead.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from vellum.kube import usage
from vellum.kube.objects import COMPONENT, Obj
from vellum.model.keys import Seed
from vellum.model.platform import PlatformFacts
from vellum.model.process import Process, Site
from vellum.model.rotation import FIRST, Keys
from vellum.model.state import READY, Observed, Ready, Requirement, waits
from vellum.model.team import Team

Size = Literal["small", "medium", "large"]


class Spec(BaseModel):
    """The base of everything people write: unknown fields are refused, values are never coerced, nothing mutates."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


S = TypeVar("S", bound=Spec)


@dataclass(frozen=True, slots=True)
class Wish(Generic[S]):
    """What a team asks of one component, and everything the component may know to answer."""

    team: Team
    detail: S
    size: Size
    owner: str
    cost_center: str
    keep_data: bool
    platform: PlatformFacts
    seed: Seed = field(repr=False)
    observed: Observed
    policies: tuple[Policy, ...] = ()
    """What the network must let through for every component that the claim wants."""
    keys: Keys = FIRST

    def labels(self, component: str) -> dict[str, str]:
        """Labels of an object of this team and component."""
        return {**self.team.labels, COMPONENT: component}


@dataclass(frozen=True, slots=True)
class PlatformWish(Generic[S]):
    """What the platform object asks of one component."""

    detail: S
    platform: PlatformFacts
    seed: Seed = field(repr=False)
    observed: Observed
    keys: Keys = FIRST

    def labels(self, component: str) -> dict[str, str]:
        """Labels of an object of the platform."""
        return {"app.kubernetes.io/managed-by": "vellum", COMPONENT: component}


@dataclass(frozen=True, slots=True)
class Policy:
    """What the team's network must let through for a component: peers as (namespace, pod labels, port)."""

    egress: tuple[tuple[str, Mapping[str, str], int], ...] = ()
    ingress: tuple[tuple[str, Mapping[str, str], int], ...] = ()
    anywhere: tuple[int, ...] = ()
    """Ports of what no selector can name: it is no pod, and nobody here knows its address. Open to every address."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind that an operator must have installed before it may be composed: (group/version, kind)."""

    api_version: str
    kind: str


USAGE, CLUSTER_USAGE = Kind(usage.API, usage.USAGE), Kind(usage.API, usage.CLUSTER_USAGE)
"""By which Crossplane refuses deletions."""


def known(kinds: Iterable[Kind], platform: PlatformFacts) -> tuple[Kind, ...]:
    """Return the kinds without those that only Crossplane has, where it does not compose."""
    return tuple(kind for kind in kinds if platform.crossplane or kind.api_version != usage.API)


@dataclass(frozen=True, slots=True)
class Running:
    """What the laptop knows of a workload's process, for the status that a cluster's controller would write."""

    ready: bool
    message: str
    restarts: int = 0
    taken: tuple[int, ...] = ()
    """Ports of it that another program has, for which it was not started."""
    url: str = ""
    since: str = ""
    ended: int | None = None
    """The exit code of a process that ends by itself, once it has; negative for a signal."""


class Component(ABC, Generic[S]):
    """One part of a team's corner. A module of ``components`` has one instance, named ``component``."""

    name: str
    """Unique, a DNS label; also its key in ``status.components``."""
    summary: str
    """One sentence for ``vellum explain``."""
    spec: type[S]
    """What a claim may write in this component's block."""
    block: str = ""
    """The claim's field that holds ``spec``; empty when there is nothing to say."""
    switch: str = ""
    """The claim's field with ``enabled | disabled``; empty for parts that every team has."""
    default: Literal["enabled", "disabled"] = "enabled"
    """What the switch says when the claim does not."""
    needs: tuple[str, ...] = ()
    """Components that must be composed before; a graph without cycles."""
    stands_on: tuple[str, ...] = ()
    """Parts of the platform that must be ready before, where the platform's profile has them."""
    operators: tuple[str, ...] = ()
    """Parts of the platform that make its objects run; asked only while something of it is still to be made."""
    kinds: tuple[Kind, ...] = ()
    """Kinds of operators; while one is missing only this component waits."""
    keeps: tuple[str, ...] = ()
    """Which of its objects hold data: they stay while the claim lives, also when its switch is turned off."""
    image: str = ""
    """The key of ``KubeflowPlatform.spec.images`` without which nothing is composed."""
    workload: tuple[str, str] = ("", "")
    """(apiVersion, kind) of the object that a laptop realises as a process."""
    ports: tuple[str, ...] = ()
    """Names of the ports that the process needs."""
    twins: tuple[tuple[str, int], ...] = ()
    """Which of them needs another port at a fixed distance above it."""
    holders: tuple[str, ...] = ()
    """Which of its objects hold keys that may overlap, or run what holds them; marked by ``rotation.mark``."""
    rotates: str = ""
    """What a new generation of keys does to it, for whoever asks for one."""
    one_key: bool = False
    """Whether its server takes one key at a time: it turns to a new one by a restart, when that opens all else."""

    def kinds_on(self, platform: PlatformFacts) -> tuple[Kind, ...]:
        """Return those of its kinds that it makes objects of on this platform."""
        return known(self.kinds, platform)

    @abstractmethod
    def objects(self, wish: Wish[S]) -> dict[str, Obj]:
        """Return the objects by resource name; names start with the component's and never change."""

    def ready(self, wish: Wish[S], made: Mapping[str, Obj]) -> Ready:
        """Judge what is observed of the objects that were just made; the first that is not ready gives the reason."""
        for resource, desired in made.items():
            name = f"{desired['kind']} {desired['metadata']['name']}"
            ready, reason = wish.observed.health(resource, name)
            if not ready:
                return waits(reason, actor=self.actor)
        return READY

    actor: str = "the control plane"
    """Who acts next while this component is not ready."""

    keeps_size: str = ""
    """The message if a volume does not follow the claim's size; {} is the size that stays."""

    def kept_size(self, wish: Wish[S]) -> str:
        """Return the volume's size if the claim asks for another; else empty."""
        del wish
        return ""

    def binding(self, wish: Wish[S]) -> dict[str, str]:
        """Return the keys that the binding hands out once this component is ready."""
        del wish
        return {}

    def endpoints(self, wish: Wish[S]) -> dict[str, str]:
        """Return where people and programs find this part, by name, for the claim's status."""
        del wish
        return {}

    def policy(self, wish: Wish[S]) -> Policy:
        """Return what the team's network must let through."""
        del wish
        return Policy()

    def requires(self, wish: Wish[S]) -> Mapping[str, Requirement]:
        """Return objects that it wants to see, whatever is observed; answered as ``NAME/KEY``."""
        del wish
        return {}

    def generations(self, wish: Wish[S]) -> Collection[int]:
        """Return the generations of keys that it made, as far as they are observed."""
        del wish
        return ()

    def accepts(self, wish: Wish[S], generation: int) -> Ready:
        """Tell whether what it makes takes the keys of a generation."""
        del wish, generation
        return READY

    def guarded(self, wish: Wish[S]) -> Mapping[str, Requirement]:
        """Return objects outside the team's namespace that must be ours, or not exist, before anything is applied."""
        del wish
        return {}

    def process(self, obj: Obj, site: Site) -> Process:
        """Describe the process that realises the workload on a laptop."""
        del site
        raise TypeError(f"component {self.name} has no process for {obj['kind']}")

    def status(self, obj: Obj, running: Running) -> Obj:
        """Return the status that the kind's own controller would write on a cluster."""
        del running
        raise TypeError(f"component {self.name} has no status for {obj['kind']}")


class PlatformComponent(ABC, Generic[S]):
    """One part of the platform itself, composed for ``KubeflowPlatform``."""

    name: str
    summary: str
    spec: type[S]
    block: str = ""
    switch: str = ""
    """The platform's field with ``enabled | disabled``, disabled by default; a laptop has the part in any case."""
    profiles: tuple[str, ...] = ("local", "light", "standard")
    backends: tuple[str, ...] = ("seaweedfs", "external")
    """The object stores beside which it is there."""
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    """Parts that must be ready before this one makes anything, where the profile has them; what exists then stays."""
    kinds: tuple[Kind, ...] = ()
    image: str = ""
    workload: tuple[str, str] = ("", "")
    ports: tuple[str, ...] = ()
    twins: tuple[tuple[str, int], ...] = ()
    holders: tuple[str, ...] = ()
    rotates: str = ""
    one_key: bool = False
    actor: str = "the control plane"

    def kinds_on(self, platform: PlatformFacts) -> tuple[Kind, ...]:
        """Return those of its kinds that it makes objects of on this platform."""
        return known(self.kinds, platform)

    def requires(self, platform: PlatformFacts) -> Mapping[str, Requirement]:
        """Return objects that it wants to see, whatever is observed; answered as ``NAME/KEY``."""
        del platform
        return {}

    def generations(self, wish: PlatformWish[S]) -> Collection[int]:
        """Return the generations of keys that it made, as far as they are observed."""
        del wish
        return ()

    def accepts(self, wish: PlatformWish[S], generation: int) -> Ready:
        """Tell whether what it makes takes the keys of a generation."""
        del wish, generation
        return READY

    @abstractmethod
    def objects(self, wish: PlatformWish[S]) -> dict[str, Obj]:
        """Return the objects by resource name."""

    def ready(self, wish: PlatformWish[S], made: Mapping[str, Obj]) -> Ready:
        """Judge what is observed of the objects that were just made."""
        for resource, desired in made.items():
            name = f"{desired['kind']} {desired['metadata']['name']}"
            ready, reason = wish.observed.health(resource, name)
            if not ready:
                return waits(reason, actor=self.actor)
        return READY

    def process(self, obj: Obj, site: Site) -> Process:
        """Describe the process that realises the workload on a laptop."""
        del site
        raise TypeError(f"component {self.name} has no process for {obj['kind']}")

    def status(self, obj: Obj, running: Running) -> Obj:
        """Return the status that the kind's own controller would write on a cluster."""
        del running
        raise TypeError(f"component {self.name} has no status for {obj['kind']}")


AnyComponent = Component[Any]
AnyPlatformComponent = PlatformComponent[Any]
