"""A laptop's process instead of a cluster workload, described as a value. A new value restarts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Probe:
    """An HTTP request on loopback whose answer means ready. It has no key: another program may have the port."""

    port: int
    path: str
    ok: tuple[int, ...] = (200,)
    tls: bool = False
    """Whether to use TLS without checking the server's certificate."""
    says: str = ""
    """Text that the body must have: a server may answer 200 before it can do its work."""
    also: Probe | None = None
    """A further request that must be answered too, for a process that has several servers."""


@dataclass(frozen=True, slots=True)
class Route:
    """What the gateway sends to a port: requests under ``prefix``, which ``rewrite`` replaces if given."""

    prefix: str
    port: int
    rewrite: str | None = None
    host: str = ""
    """The host name of a separate origin; empty for the gateway's own names."""
    served: str = ".*"
    """What may follow the prefix, as an RE2 pattern; other paths get 404."""
    most_bytes: int = 0
    """The most bytes of a request with a length; the server counts requests without one. 0: any number."""


INFERENCE = r"|v1/models(/[^/]+)?|v2|v2/health/(live|ready)|v2/models(/.*)?"
"""The paths of a model server that are served: KServe's inference protocols, but not its repository or metrics."""
MOST_BYTES = 32 * 1024 * 1024
"""Bytes of a request to a model or to Qdrant, which is Qdrant's own limit; both servers also count bytes."""


@dataclass(frozen=True, slots=True)
class Process:
    """How to run one service. ``argv`` must not have secrets; those go to ``env`` or ``files`` (0600)."""

    name: str
    argv: tuple[str, ...]
    directory: Path
    probe: Probe | None
    """None for a program that does not listen: it counts as ready while it runs."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    env_from: tuple[Path, ...] = ()
    """Folders of mounted Secrets: each file is a variable, read at the start; ``env`` takes precedence."""
    files: Mapping[Path, str] = field(default_factory=dict, repr=False)
    routes: tuple[Route, ...] = ()
    ports: tuple[int, ...] = ()
    """The ports that it listens on; it is not started while another program has one of them."""
    grace_seconds: float = 3.0
    once: bool = False
    """Whether it ends by itself, and is then not restarted: its controller judges how it ended."""
    attempt: int = 0
    """The number of the try, for a process that ends by itself; a new number is a new value, so it runs again."""
    title: str = ""
    """The name of this run in its log: in a line before each further run, and after each failed run."""
    gateway: int = 0
    """The port of the gateway that it serves, with the routes of all processes; 0 for any other process."""
    explains: bool = False
    """Whether its log has the reason why it is not ready."""
    priority: int = 10
    """Lower starts first: JupyterLab is the slowest to start, so it goes first."""


@dataclass(frozen=True, slots=True)
class Running:
    """The state of a workload's process on a laptop, for the status that a cluster's controller would write."""

    ready: bool
    message: str
    restarts: int = 0
    taken: tuple[int, ...] = ()
    """The process's ports that another program has, so that it was not started."""
    url: str = ""
    since: str = ""
    ended: int | None = None
    """The exit code of a process that ends by itself, once it has ended; negative for a signal."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the laptop gives one workload when its component describes the process."""

    directory: Path
    """A private folder (0700) of this object; its data outlives the process."""
    secrets: Path
    """Secrets of the object's namespace, one folder each, one file per key, as a kubelet mounts them."""
    ports: Mapping[str, int]
    """The ports that the component asked for by name; loopback, below 32768."""
    mounted: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """The same Secrets as values, for a configuration file that must have one: Secret name to key to value."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The environment of the first container, Secret and ConfigMap references resolved."""
    python: str = "python3"
    connect: Path = Path("/nonexistent")
    """A folder that makes ``import vellum`` work in every Python, with ``connect`` only."""
    programs: Mapping[str, str] = field(default_factory=dict)
    """Absolute paths of the programs from wheels: ``weed``, ``envoy``."""
    tls: Path = Path("/nonexistent")
    """``ca.pem``, ``server.pem``, ``server.key``, ``client.pem``, ``client.key`` of our own authority."""
    runtime: Path = Path("/nonexistent")
    """A short private folder for Unix sockets, whose paths have at most 107 bytes."""
    loopback: tuple[str, ...] = ("127.0.0.1",)
    """The loopback addresses that this machine has: IPv4, and IPv6 where it is on."""
