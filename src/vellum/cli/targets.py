"""The place that a command works on: this machine's installation, or a Kubernetes API server named by the user."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from vellum.errors import UsageError
from vellum.kube.objects import Key, Obj, current, status_of
from vellum.model.platform import PLATFORM
from vellum.model.state import PARTS_READY
from vellum.model.team import CLAIM

if TYPE_CHECKING:
    from vellum.cluster.api import Api
    from vellum.model.drill import Drill

F = TypeVar("F", bound=Callable[..., Any])


def kubeconfig(function: F) -> F:
    """Add ``--kubeconfig``. The variable KUBECONFIG is not read: it may name a cluster by accident."""
    text = "A cluster or a bench instead of this machine's installation."
    kind = click.Path(exists=True, dir_okay=False, path_type=Path)
    return click.option("--kubeconfig", type=kind, metavar="FILE", help=text)(function)


def cluster(function: F) -> F:
    """Add a required ``--kubeconfig``."""
    kind = click.Path(exists=True, dir_okay=False, path_type=Path)
    return click.option("--kubeconfig", type=kind, metavar="FILE", required=True, help="The cluster.")(function)


class Target(Protocol):
    """A place that may have a platform."""

    name: str
    start: str
    """The command that creates a platform there."""
    releases: tuple[str, ...]
    """The Helm releases that ``verify repair`` breaks by default."""

    def composites(self) -> list[Obj]:
        """Return the platform and the other objects there that have receipts in their status."""

    def drills(self, releases: tuple[str, ...]) -> Iterator[Drill]:
        """Yield the faults that the command may cause there."""

    def claims(self) -> list[Obj]:
        """Return the claims there."""

    def rotate(self, key: Key, generation: int, overlap: str) -> None:
        """Write a generation of keys into a claim or the platform; an empty overlap keeps the current one."""


def at(config: Path | None) -> Target:
    """Return the cluster of a kubeconfig; without one, this machine."""
    return _Cluster(config) if config else _Laptop()


def platform(target: Target) -> Obj:
    """Return the platform as it is stored there.

    Raises:
        UsageError: the platform does not exist (VEL710).
    """
    composite = next((obj for obj in target.composites() if Key.of(obj) == PLATFORM), None)
    if composite is None:
        what = "KubeflowPlatform kubeflow does not exist"
        raise UsageError("VEL710", what, where=target.name, fix=target.start)
    return composite


def stopped(composite: Obj) -> str:
    """Return why the composite is not composed any more, so that its status is stale; empty while it is composed."""
    from vellum.compose.entry import ALARMS

    if not status_of(composite).get("conditions"):
        # It was never composed, so no condition is stale. Each of its parts reports that it waits.
        return ""
    synced, parts = (current(composite, name) for name in ("Synced", PARTS_READY))
    if synced is None or parts is None:
        return f"generation {composite['metadata'].get('generation')} is not composed yet"
    if synced.get("status") == "False":
        return str(parts.get("message") if parts.get("reason") in ALARMS else synced.get("message", ""))
    return ""


def receipts(target: Target) -> list[Obj]:
    """Return the repairs there, for each composite the newest first."""
    return [receipt for obj in target.composites() for receipt in status_of(obj).get("receipts") or ()]


def api(config: Path) -> Api:
    """Return a cluster's API server.

    Raises:
        UsageError: the file is not a kubeconfig (VEL718), or the cluster client is not installed (VEL719).
    """
    if find_spec("kubernetes") is None:
        raise UsageError(
            "VEL719",
            "the cluster client is not installed",
            where=sys.prefix,
            fix="in a clone of Vellum: run `make setup`; elsewhere: install vellum-mlops[cluster]",
        )
    from vellum.cluster.api import READYZ, Api

    return Api(config, fix=f"{READYZ}, or for a bench `vellum bench status`")


class _Cluster:
    start = "kubectl apply -f platform.yaml"
    releases: tuple[str, ...] = ("kserve",)

    def __init__(self, config: Path) -> None:
        self.name, self._api = str(config), api(config)

    def composites(self) -> list[Obj]:
        """Return the platform, if it exists."""
        platform = self._api.get(PLATFORM)
        return [platform] if platform else []

    def drills(self, releases: tuple[str, ...]) -> Iterator[Drill]:
        """Yield the faults of the Helm releases."""
        from vellum.cluster import drills

        return drills.drills(self._api, releases)

    def claims(self) -> list[Obj]:
        """Return the claims of all namespaces."""
        return self._api.list(CLAIM)[0]

    def rotate(self, key: Key, generation: int, overlap: str) -> None:
        """Write the generation into the object's spec."""
        from vellum.cluster import generations

        keys = {"generation": generation, **({"overlap": overlap} if overlap else {})}
        self._api.merge(key, {"spec": {"keys": keys}})
        generations.record(self._api)


class _Laptop:
    name = "this machine"
    start = "vellum up CLAIM"
    releases: tuple[str, ...] = ()

    def __init__(self) -> None:
        from vellum.connect.installation import state_root
        from vellum.host.client import Client
        from vellum.host.state import State

        self._client = Client(State(state_root()))

    def composites(self) -> list[Obj]:
        """Return the platform and the claims."""
        objects: list[Obj] = self._client.ask("list")
        return objects

    def drills(self, releases: tuple[str, ...]) -> Iterator[Drill]:
        """Yield the faults of this machine, which has no Helm releases."""
        from vellum.laptop import drills

        del releases
        return drills.drills(self._client)

    def claims(self) -> list[Obj]:
        """Return the claims of this installation."""
        objects: list[Obj] = self._client.ask("list", kinds=[CLAIM])
        return objects

    def rotate(self, key: Key, generation: int, overlap: str) -> None:
        """Write the generation into the object's spec."""
        self._client.ask(
            "rotate", kind=key.gvk, namespace=key.namespace, name=key.name, generation=generation, overlap=overlap
        )
