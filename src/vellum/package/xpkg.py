"""Crossplane's packages: an image with a layer that holds ``package.yaml``.

Source: the xpkg specification in crossplane v2.3.4, contributing/specifications/xpkg.md.
"""

from __future__ import annotations

from string import ascii_lowercase, digits

from vellum._version import __version__
from vellum.kube.objects import Obj
from vellum.oci.archive import Entry, plain
from vellum.package import tree
from vellum.package.apis import xrds
from vellum.package.compositions import FUNCTION, compositions
from vellum.package.provider import PACKAGE

META = "meta.pkg.crossplane.io/v1"
ANNOTATION = {"io.crossplane.xpkg": "base"}
"""Marks the layer with ``package.yaml`` in the manifest."""
CROSSPLANE = ">=v2.2.0-0"
_LICENSE = {"meta.crossplane.io/license": "Apache-2.0", "meta.crossplane.io/maintainer": "Vellum"}


def layer(objects: list[Obj]) -> dict[str, Entry]:
    """Return the entries of the layer."""
    return {"package.yaml": plain(tree.text(objects).encode())}


def function() -> list[Obj]:
    """Return the function's package; its program is the image itself."""
    spec = {"capabilities": ["composition"], "crossplane": {"version": CROSSPLANE}}
    return [_meta("Function", FUNCTION, spec)]


def configuration(name: str, function_package: str, digest: str) -> list[Obj]:
    """Return the package of both kinds and their Compositions, which depends on the provider and the function.

    Args:
        name: the configuration's name.
        function_package: the function's repository, with its registry.
        digest: the digest of the function's package.
    """
    provider, _, version = PACKAGE.rpartition(":")
    needs = [
        {"apiVersion": "pkg.crossplane.io/v1", "kind": "Provider", "package": provider, "version": version},
        {"apiVersion": "pkg.crossplane.io/v1", "kind": "Function", "package": function_package, "version": digest},
    ]
    meta = _meta("Configuration", name, {"crossplane": {"version": CROSSPLANE}, "dependsOn": needs})
    return [meta, *xrds(), *compositions(dependency_name(function_package.partition("/")[2]))]


def dependency_name(repository: str) -> str:
    """Return the name of a package that Crossplane installs as a dependency (crossplane-runtime v2.3.4, ToDNSLabel)."""
    letters = {**dict.fromkeys("./:-", "-"), **{letter: letter for letter in ascii_lowercase + digits}}
    return "".join(letters.get(letter, "") for letter in repository[:63]).strip("-")


def _meta(kind: str, name: str, spec: Obj) -> Obj:
    annotations = {**_LICENSE, "meta.crossplane.io/description": f"Vellum {__version__}"}
    return {"apiVersion": META, "kind": kind, "metadata": {"name": name, "annotations": annotations}, "spec": spec}
