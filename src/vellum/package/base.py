"""The base image: a distribution with Python, from a registry or from an OCI layout on this machine."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from vellum.errors import UsageError
from vellum.oci.credentials import of_docker
from vellum.oci.layout import INDEXES, Json, Layout
from vellum.oci.reference import Reference, is_loopback
from vellum.oci.registry import Registry
from vellum.package.installed import Python

DEFAULT = "docker.io/library/python:3.12-slim"
"""Debian's glibc, for which wheels are built, and a shell for the notebook's terminal."""
_PYTHON = re.compile(r"(?:\./)?((?:usr/)?(?:local/)?bin/python(3\.(?:1[123])))")
_ACCOUNTS = ("etc/passwd", "etc/group")


@dataclass(frozen=True, slots=True)
class Base:
    """One platform of a base image."""

    architecture: str
    config: Json
    layers: list[Json]
    python: Python
    accounts: dict[str, bytes] = field(default_factory=dict)
    """``etc/passwd`` and ``etc/group``."""


@dataclass(frozen=True, slots=True)
class Source:
    """A base image in a layout on this machine."""

    layout: Layout
    descriptor: Json
    name: str
    """Its name with its digest; for a user's layout only the digest, because a path reveals details of the machine."""


def local(folder: Path) -> Source:
    """Return the only image of a layout.

    Raises:
        UsageError: the folder is not a layout with one image (VEL754).
    """
    layout = Layout.existing(folder)
    every = layout.index()
    if len(every) != 1:
        fix = "copy one image into a layout: skopeo copy --all docker://IMAGE oci:FOLDER"
        raise UsageError("VEL754", f"the layout has {len(every)} images", where=str(folder), fix=fix)
    return Source(layout, every[0], every[0]["digest"])


def pulled(reference: Reference, architectures: tuple[str, ...], cache: Path) -> Source:
    """Pull an image from a registry, and return it with the tag resolved to a digest.

    Raises:
        UsageError: the registry does not answer or does not have it (VEL757), or its login fails (VEL758).
    """
    layout = Layout.create(cache / "bases")
    name = f"{reference.host}/{reference.repository}"
    registry = Registry(reference.host, of_docker(reference.host), plain=is_loopback(reference.host))
    descriptor = registry.pull(reference.repository, reference.version, layout, architectures)
    return Source(layout, descriptor, f"{name}@{descriptor['digest']}")


def read(source: Source, architecture: str) -> Base:
    """Return the base for one architecture.

    Raises:
        UsageError: it lacks the architecture or a Python that Vellum supports, or cannot be read (VEL750).
    """
    manifest = source.layout.read(_chosen(source, source.descriptor, architecture))
    config = source.layout.read(manifest["config"])
    if config.get("architecture") != architecture:
        raise _lacks(source, f"a platform linux/{architecture}", f"--platform linux/{config.get('architecture')}")
    try:
        python, accounts = _inspected(source.layout, manifest["layers"])
    except (tarfile.TarError, zlib.error, EOFError, KeyError, OSError) as error:
        what, fix = (
            f"a layer of the base image cannot be read: {error}",
            "use --base with an image of tar or gzip layers",
        )
        raise UsageError("VEL750", what, where=source.name, fix=fix) from error
    if python is None:
        raise _lacks(source, "Python 3.11, 3.12 or 3.13", "--base with such an image")
    return Base(architecture, config, manifest["layers"], python, accounts)


def _chosen(source: Source, descriptor: Json, architecture: str) -> Json:
    """Return the descriptor of the platform's manifest; indexes may be nested."""
    if descriptor["mediaType"] not in INDEXES:
        return descriptor
    for manifest in source.layout.read(descriptor)["manifests"]:
        if manifest["mediaType"] in INDEXES:
            return _chosen(source, manifest, architecture)
        platform = manifest.get("platform") or {}
        if (platform.get("os"), platform.get("architecture")) == ("linux", architecture):
            result: Json = manifest
            return result
    raise _lacks(source, f"a platform linux/{architecture}", "--platform with those that it has")


def _lacks(source: Source, what: str, option: str) -> UsageError:
    return UsageError("VEL750", f"the base image does not have {what}", where=source.name, fix=f"use {option}")


def _inspected(layout: Layout, layers: Iterable[Json]) -> tuple[Python | None, dict[str, bytes]]:
    """Return the interpreter that comes first on the path, and the account files, of the uppermost layer."""
    pythons: dict[str, Python] = {}
    accounts: dict[str, bytes] = {}
    for layer in layers:
        with tarfile.open(layout.path(layer["digest"]), mode="r:*") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if match := _PYTHON.fullmatch(name):
                    pythons[match[1]] = Python(match[2], match[1])
                if name in _ACCOUNTS and (stream := tar.extractfile(member)):
                    accounts[name] = stream.read()
    preferred = sorted(pythons, key=lambda path: ("local" not in path, path))
    return (pythons[preferred[0]] if preferred else None), accounts
