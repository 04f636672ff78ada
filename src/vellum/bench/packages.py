"""The packages that Crossplane's package manager pulls from the bench's registry.

Their images hold only ``package.yaml``, because the programs of provider-helm and of the function run as processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from vellum.kube.objects import Obj
from vellum.oci.layout import Layout
from vellum.oci.registry import Registry
from vellum.package import pushed, xpkg
from vellum.package.compositions import FUNCTION
from vellum.package.provider import PACKAGE

HOST = "bench.invalid"
"""The host in the names of the bench's own packages; Crossplane pulls them from the bench's registry."""
FUNCTION_PACKAGE = f"{HOST}/{FUNCTION}:v0"


def publish(programs: Mapping[str, Path], folder: Path, registry: str) -> None:
    """Write the packages to the folder, an OCI layout, and push them.

    Raises:
        UsageError: the registry refuses one (VEL757).
    """
    layout = Layout.create(folder)
    pushing = pushed.Pushing(layout, Registry(registry, plain=True), "", lambda _: None)
    for reference, objects in _packages(programs["provider-helm-package"]).items():
        name = reference.partition("/")[2]
        pushing.image(name, pushed.package(layout, name, objects))


def _packages(provider: Path) -> dict[str, list[Obj]]:
    files = [provider / "crossplane.yaml", *sorted((provider / "crds").glob("*.yaml"))]
    return {PACKAGE: [_document(path) for path in files], FUNCTION_PACKAGE: xpkg.function()}


def _document(path: Path) -> Obj:
    (obj,) = filter(None, yaml.load_all(path.read_text(), yaml.CSafeLoader))
    return dict(obj)
