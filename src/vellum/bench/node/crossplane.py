"""Crossplane on the node: its own chart, and its own package manager, which pulls provider-helm from our registry."""

from __future__ import annotations

from pathlib import Path

from vellum.bench import registry
from vellum.bench.machine import BREAKER_BURST, Machine
from vellum.bench.node.network import ADDRESS
from vellum.bench.programs import CROSSPLANE
from vellum.kube.objects import Key, Obj, make
from vellum.model.release import PROVIDER, SYSTEM
from vellum.package import provider

HOST = "xpkg.crossplane.io"
DEPLOYMENTS = tuple(Key("apps/v1", "Deployment", SYSTEM, name) for name in ("crossplane", "crossplane-rbac-manager"))
PACKAGE = Key("pkg.crossplane.io/v1", "Provider", "", PROVIDER)


def install(machine: Machine, kubeconfig: Path) -> None:
    """Install Crossplane's chart, as a user of a cluster does.

    Raises:
        BenchError: Helm refuses it (VEL907).
    """
    folder = machine.directory("crossplane")
    folder.mkdir(parents=True, exist_ok=True)
    values = (f"image.tag={CROSSPLANE}", f"args={{--circuit-breaker-burst={BREAKER_BURST}}}")
    registry.run(
        machine.programs["helm"],
        folder,
        "install",
        "crossplane",
        str(machine.programs["crossplane-chart"]),
        f"--namespace={SYSTEM}",
        "--create-namespace",
        f"--kubeconfig={kubeconfig}",
        *(f"--set={value}" for value in values),
    )


def packages(machine: Machine) -> list[Obj]:
    """Return provider-helm as `vellum render` writes it, and the ImageConfig that names the bench's registry."""
    mirror = f"{ADDRESS}:{machine.port('registry')}/{HOST}"
    spec = {"matchImages": [{"type": "Prefix", "prefix": HOST}], "rewriteImage": {"prefix": mirror}}
    return [make("pkg.crossplane.io/v1beta1", "ImageConfig", "bench", spec=spec), *provider.provider()]
