"""A laptop stand-in for a cluster workload: one process, described as a value. A new value restarts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Probe:
    """An HTTP question on loopback whose answer means ready; it carries no key, since a stranger may have the port."""

    port: int
    path: str
    ok: tuple[int, ...] = (200,)
    tls: bool = False
    """Ask over TLS, whoever answers."""


@dataclass(frozen=True, slots=True)
class Route:
    """What the gateway sends to a port: requests under ``prefix``, which is replaced by ``rewrite`` if given."""

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
"""What of a model server is served: KServe's inference protocols, and not its repository, metrics or OpenAPI."""
MOST_BYTES = 32 * 1024 * 1024
"""Bytes of a request to a model or to Qdrant, which is Qdrant's own limit; both servers also count bytes."""


@dataclass(frozen=True, slots=True)
class Process:
    """How to run one service. Nothing secret stands in ``argv``; secrets go to ``env`` or ``files`` (0600)."""

    name: str
    argv: tuple[str, ...]
    directory: Path
    probe: Probe | None
    """None for a program that listens nowhere: it counts as ready while it runs."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    env_from: tuple[Path, ...] = ()
    """Folders of mounted Secrets: each file is a variable, read at the start; ``env`` takes precedence."""
    files: Mapping[Path, str] = field(default_factory=dict, repr=False)
    routes: tuple[Route, ...] = ()
    ports: tuple[int, ...] = ()
    """What it listens on; it is not started while somebody else has one of them."""
    grace_seconds: float = 3.0
    once: bool = False
    """It ends by itself, and then it is not started again: how it ended is for its controller to judge."""
    attempt: int = 0
    """Which try of one that ends by itself; another number is another value, and so runs it again."""
    title: str = ""
    """The name of this run in its log: in a line before each further run, and after each failed run."""
    priority: int = 10
    """Lower starts first: JupyterLab is the slowest to start, so it goes first."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the laptop offers one workload when its component describes the process."""

    directory: Path
    """Private folder (0700) of this object; data in it outlives the process."""
    secrets: Path
    """Secrets of the object's namespace, one folder each, one file per key, as a kubelet mounts them."""
    ports: Mapping[str, int]
    """The ports that the component asked for by name; loopback, below 32768."""
    mounted: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """The same Secrets as values, for a configuration file that must hold one: Secret name to key to value."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The environment of the first container, Secret and ConfigMap references resolved."""
    python: str = "python3"
    connect: Path = Path("/nonexistent")
    """A folder that makes ``import vellum`` work in every Python, with ``connect`` and nothing else of it."""
    programs: Mapping[str, str] = field(default_factory=dict)
    """Absolute paths of the programs from wheels: ``weed``, ``envoy``."""
    tls: Path = Path("/nonexistent")
    """``ca.pem``, ``server.pem``, ``server.key``, ``client.pem``, ``client.key`` of our own authority."""
    runtime: Path = Path("/nonexistent")
    """A short private folder for Unix sockets, whose paths have at most 107 bytes."""
    loopback: tuple[str, ...] = ("127.0.0.1",)
    """The loopback addresses that this machine has: IPv4, and IPv6 where it is on."""
