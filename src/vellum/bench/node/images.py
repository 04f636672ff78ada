"""The node's images: OCI layouts with one static program each, cached by content and pushed to the registry."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vellum.bench.programs import CROSSPLANE, cache
from vellum.oci.archive import Entry, Folder, Written, plain, write
from vellum.oci.layout import CONFIG, LAYER, MANIFEST, NAME, Layout
from vellum.oci.registry import Registry
from vellum.package import provider, pushed, xpkg

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_SETTINGS = {"User": "65532:65532", "WorkingDir": "/tmp"}  # noqa: S108  # each pod has its own


@dataclass(frozen=True, slots=True)
class Image:
    """An image with one static program on an empty base, which runs as a user without rights."""

    name: str
    """The full name with registry and tag, as charts and containerd use it."""
    program: str
    folders: Mapping[str, str] = field(default_factory=dict)
    """Folders in the image, each with the name of its ``programs.Files``."""
    package: str = ""
    """The name of the ``programs.Files`` that describe a package of Crossplane; empty if the image is not one."""

    @property
    def host(self) -> str:
        """The registry's host in the name."""
        return self.name.partition("/")[0]


PAUSE = "registry.k8s.io/pause:3.10"
COREDNS = "docker.io/coredns/coredns:1.15.0"
IMAGES = (
    Image(PAUSE, "pause"),
    Image(COREDNS, "coredns"),
    Image(
        f"xpkg.crossplane.io/crossplane/crossplane:{CROSSPLANE}",
        "crossplane",
        {"crds": "crossplane-crds", "webhookconfigurations": "crossplane-webhooks"},
    ),
    Image(provider.PACKAGE, "provider-helm", package="provider-helm-package"),
)


def ensure(programs: Mapping[str, Path]) -> list[Path]:
    """Return the OCI layout of every image; write those that are missing."""
    layouts = []
    for image in IMAGES:
        layouts.append(_place(image, programs))
        if not layouts[-1].exists():
            _write(image, programs, layouts[-1])
    return layouts


def _place(image: Image, programs: Mapping[str, Path]) -> Path:
    # The path of a program contains a hash of its sources.
    inputs = [programs[name].name for name in (image.program, *image.folders.values(), image.package) if name]
    words = json.dumps([image.name, image.folders, inputs, _SETTINGS, platform.machine()], sort_keys=True)
    return cache() / f"image-{image.program}-{hashlib.sha256(words.encode()).hexdigest()[:16]}"


def _write(image: Image, programs: Mapping[str, Path], target: Path) -> None:
    draft = target.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    layout = Layout.create(draft)
    contents = [_contents(image, programs)]
    if image.package:
        contents.append({"package.yaml": plain(_package(programs[image.package]))})
    layers = [_layer(layout, entries) for entries in contents]
    described = [{"mediaType": LAYER, "digest": layer.digest, "size": layer.size} for layer in layers]
    if image.package:
        described[-1]["annotations"] = xpkg.ANNOTATION
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": [f"/{image.program}"], **_SETTINGS},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
    }
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": layout.add(CONFIG, config), "layers": described}
    layout.publish([layout.add(MANIFEST, manifest, annotations={NAME: image.name})])
    draft.rename(target)


def _layer(layout: Layout, entries: Mapping[str, Entry]) -> Written:
    return layout.layer(lambda out: write(out, entries))


def _contents(image: Image, programs: Mapping[str, Path]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {
        image.program: plain(programs[image.program].read_bytes(), 0o755),
        "tmp": Folder(0o1777),
    }
    for folder, name in image.folders.items():
        for path in (path for path in programs[name].rglob("*") if path.is_file()):
            entries[f"{folder}/{path.relative_to(programs[name])}"] = plain(path.read_bytes())
    return entries


def _package(folder: Path) -> bytes:
    """Return the package's one file: its metadata, then its CRDs."""
    return b"".join(b"---\n" + path.read_bytes() for path in [folder / "crossplane.yaml", *sorted(folder.glob("*/*"))])


def push(folder: Path, port: int) -> None:
    """Push a layout's image to the registry on loopback; its host becomes the first part of the path there.

    Raises:
        UsageError: the registry refuses it (VEL757).
    """
    layout, registry = Layout.existing(folder), Registry(f"127.0.0.1:{port}", plain=True)
    ((name, descriptor),) = layout.named().items()
    pushed.Pushing(layout, registry, "", lambda _: None).image(name, descriptor)
