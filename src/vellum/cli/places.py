"""Where a command looks: this machine's installation, or a Kubernetes API server that is named on purpose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vellum.errors import UsageError
from vellum.kube.objects import Key, Obj

F = TypeVar("F", bound=Callable[..., Any])
PLATFORM = Key("platform.vellum.dev/v1alpha1", "KubeflowPlatform", "", "kubeflow")


def kubeconfig(function: F) -> F:
    """Add ``--kubeconfig``; the variable KUBECONFIG is not read, as it may name a cluster that nobody means."""
    text = "A cluster or a bench instead of this machine's installation."
    kind = click.Path(exists=True, dir_okay=False, path_type=Path)
    return click.option("--kubeconfig", type=kind, metavar="FILE", help=text)(function)


def platform(config: Path | None) -> Obj:
    """Return the platform as it is stored there.

    Raises:
        UsageError: there is none (VEL710).
    """
    found = _on_a_cluster(config) if config else _here()
    if found is None:
        where = str(config) if config else "this installation"
        fix = "kubectl apply -f platform.yaml" if config else "vellum up CLAIM"
        raise UsageError("VEL710", "there is no KubeflowPlatform named kubeflow", where=where, fix=fix)
    return found


def _on_a_cluster(config: Path) -> Obj | None:
    from vellum.cluster.api import Api

    return Api(config).get(PLATFORM)


def _here() -> Obj | None:
    from vellum.cli import options
    from vellum.laptop.client import Client

    found: list[Obj] = Client(options.state()).ask("list", kinds=[[PLATFORM.api_version, PLATFORM.kind]])
    return next(iter(found), None)
