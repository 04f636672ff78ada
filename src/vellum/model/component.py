"""A component: one module with all facts about one part of the platform.

It defines the spec that people may write, the objects and their readiness, the keys of the binding, the network
policy, the kinds that must exist first, and the process that a laptop runs instead.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from vellum.kube import usage
from vellum.kube.objects import COMPONENT, Kind, Obj
from vellum.model.keys import Seed
from vellum.model.platform import PlatformFacts
from vellum.model.process import Process, Running, Site
from vellum.model.rotation import FIRST, Keys
from vellum.model.state import READY, Observed, Ready, Requirement, waits
from vellum.model.team import Team

Size = Literal["small", "medium", "large"]
Scope = Literal["team", "platform"]


class Spec(BaseModel):
    """The base of specs and locks: unknown fields are refused, values are never coerced, instances are immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


S = TypeVar("S", bound=Spec)


@dataclass(frozen=True, slots=True)
class Wish(Generic[S]):
    """What the platform object requests from one component, and all inputs that the component may use."""

    detail: S
    platform: PlatformFacts
    seed: Seed = field(repr=False)
    observed: Observed
    keys: Keys = FIRST

    def labels(self, component: str) -> dict[str, str]:
        """Return the labels of an object of this component."""
        return {"app.kubernetes.io/managed-by": "vellum", COMPONENT: component}


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamWish(Wish[S], Generic[S]):
    """What a claim requests from one component, and all inputs that the component may use."""

    team: Team
    size: Size
    owner: str
    cost_center: str
    keep_data: bool
    policies: tuple[Policy, ...] = ()
    """What the network must allow for every component that the claim wants."""

    def labels(self, component: str) -> dict[str, str]:
        """Return the labels of an object of this team and component."""
        return {**self.team.labels, COMPONENT: component}


W = TypeVar("W", bound=Wish[Any])


@dataclass(frozen=True, slots=True)
class Policy:
    """What the team's network must allow for a component: peers as (namespace, pod labels, port)."""

    egress: tuple[tuple[str, Mapping[str, str], int], ...] = ()
    ingress: tuple[tuple[str, Mapping[str, str], int], ...] = ()
    anywhere: tuple[int, ...] = ()
    """Ports of a peer that is not a pod and whose address is not known here; they are open to every address."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A key of the binding."""

    name: str
    meaning: str
    public: bool = False
    """Whether people may see the value; the others are hidden."""


@dataclass(frozen=True, slots=True)
class Data:
    """Data that a part keeps for users."""

    name: str
    """The data in users' words, such as ``vectors``."""
    all_teams: str = ""
    """The data of all teams, if one version of the image may be unable to read what another wrote; else empty."""
    in_namespace: bool = False
    """Whether a cluster deletes it with the team's namespace, under any ``deletionPolicy``."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page for users: the endpoint's name, the path below it, and the Secret that holds its token."""

    endpoint: str
    path: str
    """The path, with ``{token}`` in place of the token."""
    secret: str
    key: str


USAGE, CLUSTER_USAGE = Kind(usage.API, usage.USAGE), Kind(usage.API, usage.CLUSTER_USAGE)
"""The kind by which Crossplane refuses deletions."""


def known(kinds: Iterable[Kind], platform: PlatformFacts) -> tuple[Kind, ...]:
    """Return the kinds; on a platform without Crossplane, without those that only Crossplane has."""
    return tuple(kind for kind in kinds if platform.crossplane or kind.api_version != usage.API)


class Component(ABC, Generic[W]):
    """One part of a team or of the platform. A module of ``components`` has one instance, named ``component``."""

    scope: ClassVar[Scope]
    """Whether a claim or the platform object composes it."""
    name: str
    """A unique DNS label; also the key in ``status.components``."""
    summary: str
    """One sentence for ``vellum explain``."""
    spec: type[Spec] = Spec
    """The fields that may be written in this component's block."""
    block: str = ""
    """The field that holds ``spec``; empty if the component has no fields."""
    switch: str = ""
    """The field with ``enabled | disabled``; empty for parts that cannot be disabled."""
    needs: tuple[str, ...] = ()
    """Components that must be composed first; a graph without cycles."""
    after: tuple[str, ...] = ()
    """Parts of the platform that must be ready before this one makes objects, if the profile has them; existing
    objects stay."""
    kinds: tuple[Kind, ...] = ()
    """Kinds of operators; while one is missing only this component waits."""
    image: str = ""
    """The key in ``KubeflowPlatform.spec.images``; without that image nothing is composed."""
    workload: Kind | None = None
    """The kind of the object that a laptop runs as a process."""
    ports: tuple[str, ...] = ()
    """Names of the ports that the process needs."""
    twins: tuple[tuple[str, int], ...] = ()
    """Names of ports that need another port at a fixed distance above them."""
    holders: tuple[str, ...] = ()
    """Objects that hold keys that may overlap, or run programs that hold them; marked by ``rotation.mark``."""
    rotates: str = ""
    """The effect of a new generation of keys, for the user who starts a rotation."""
    one_key: bool = False
    """Whether its server accepts one key at a time: it restarts with a new key once that key opens the rest."""
    store_key: bool = False
    """Whether its key opens the object store; the operator of an external store replaces such a key."""
    means: tuple[tuple[str, str], ...] = ()
    """(field of the claim or platform, effect of a change), for the page about an upgrade."""
    data: Data | None = None
    """The data that is lost when the part is deleted."""
    actor: str = "the control plane"
    """The actor that must act next while this component is not ready."""

    def kinds_on(self, platform: PlatformFacts) -> tuple[Kind, ...]:
        """Return the kinds of which it makes objects on this platform."""
        return known(self.kinds, platform)

    def kinds_asked(self, platform: PlatformFacts) -> tuple[Kind, ...]:
        """Return the kinds whose APIServices it requires."""
        return self.kinds_on(platform)

    @abstractmethod
    def objects(self, wish: W) -> dict[str, Obj]:
        """Return the objects by resource name; names start with the component's name and never change."""

    def ready(self, wish: W, made: Mapping[str, Obj]) -> Ready:
        """Judge the observed state of the objects just made; the first that is not ready gives the reason."""
        for resource, desired in made.items():
            name = f"{desired['kind']} {desired['metadata']['name']}"
            ready, reason = wish.observed.health(resource, name)
            if not ready:
                return waits(reason, actor=self.actor)
        return READY

    def requires(self, wish: W) -> Mapping[str, Requirement]:
        """Return the objects that it needs to see, the same in every pass; answered as ``NAME/KEY``."""
        del wish
        return {}

    def generations(self, wish: W) -> Collection[int]:
        """Return the observed generations of its keys."""
        del wish
        return ()

    def accepts(self, wish: W, generation: int) -> Ready:
        """Tell whether its objects accept the keys of a generation."""
        del wish, generation
        return READY

    def process(self, obj: Obj, site: Site) -> Process:
        """Return the process that runs the workload on a laptop."""
        del site
        raise TypeError(f"component {self.name} has no process for {obj['kind']}")

    def status(self, obj: Obj, running: Running) -> Obj:
        """Return the status that the kind's own controller would write on a cluster."""
        del running
        raise TypeError(f"component {self.name} has no status for {obj['kind']}")


class TeamComponent(Component[TeamWish[S]], Generic[S]):
    """One part of a team, composed for a claim."""

    scope = "team"
    default: Literal["enabled", "disabled"] = "enabled"
    """The value of the switch if the claim does not set it."""
    operators: tuple[str, ...] = ()
    """Parts of the platform that run its objects; checked only while an object is still to be made."""
    keeps: tuple[str, ...] = ()
    """The objects that hold data: they stay while the claim exists, even if its switch is turned off."""
    keeps_size: str = ""
    """The message if a volume does not follow the claim's size; {} is the size that stays."""
    binds: tuple[Bound, ...] = ()
    """The keys that ``binding`` may return."""
    page: Page | None = None
    """The page that ``vellum open`` shows."""
    expendable: bool = False
    """Whether its workload's object holds no data, so that ``vellum verify`` may delete it."""

    def kept_size(self, wish: TeamWish[S]) -> str:
        """Return the volume's size if the claim asks for another; else empty."""
        del wish
        return ""

    def ready(self, wish: TeamWish[S], made: Mapping[str, Obj]) -> Ready:
        """Return the state of the objects, with a note if a volume cannot get the size that the claim asks for."""
        answer = super().ready(wish, made)
        size = self.kept_size(wish) if answer else ""
        return replace(answer, reason=self.keeps_size.format(size)) if size else answer

    def binding(self, wish: TeamWish[S]) -> dict[str, str]:
        """Return the keys that the binding gets once this component is ready."""
        del wish
        return {}

    def endpoints(self, wish: TeamWish[S]) -> dict[str, str]:
        """Return the addresses of this part for people and programs, by name, for the claim's status."""
        del wish
        return {}

    def policy(self, wish: TeamWish[S]) -> Policy:
        """Return what the team's network must allow."""
        del wish
        return Policy()

    def adoption(self, wish: TeamWish[S]) -> Mapping[str, Requirement]:
        """Return objects outside the team's namespace that must be ours, or not exist, before anything is applied."""
        del wish
        return {}


class PlatformComponent(Component[Wish[S]], Generic[S]):
    """One part of the platform itself, composed for ``KubeflowPlatform``.

    Its switch is off by default, and a laptop always has the part.
    """

    scope = "platform"
    profiles: tuple[str, ...] = ("local", "light", "standard")
    backends: tuple[str, ...] = ("seaweedfs", "external")
    """The object stores with which the platform has this part."""


AnyComponent = Component[Any]
AnyTeamComponent = TeamComponent[Any]
AnyPlatformComponent = PlatformComponent[Any]
