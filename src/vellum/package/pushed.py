"""Push a layout to a registry, and write ``vellum-images.lock``, which names everything by digest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from vellum._version import __version__
from vellum.errors import UsageError
from vellum.kube.objects import Obj
from vellum.model.component import Spec
from vellum.oci.archive import write
from vellum.oci.layout import CONFIG, INDEXES, LAYER, MANIFEST, MANIFESTS, NAME, Json, Layout
from vellum.oci.registry import Registry
from vellum.package import xpkg
from vellum.package.compositions import FUNCTION
from vellum.package.recipes import CHARTS, CONFIGURATION, TAG

LOCK = "vellum-images.lock"
_BASE = "org.opencontainers.image.base.name"
_MOST_BYTES = 1 << 20
Say = Callable[[str], None]


class ImageLock(Spec):
    """What a push wrote to which registry."""

    vellum: str
    registry: str
    """Host and path; charts are in its folder ``charts``."""
    base: str
    """The base image of all images, with its digest."""
    images: dict[str, str]
    """Image to reference by digest."""
    packages: dict[str, str]
    """Crossplane's packages: ``function-vellum`` and ``configuration-vellum``."""
    charts: dict[str, str]
    """Chart to version and digest, ``0.1.0@sha256:...``."""

    def text(self) -> str:
        """Return the file's text, with one fact a line."""
        return json.dumps(self.model_dump(), indent=1, sort_keys=True) + "\n"


def read(path: Path) -> ImageLock:
    """Return the lock in the file.

    Raises:
        UsageError: the file is missing or not such a lock (VEL755).
    """
    try:
        with path.open("rb") as stream:
            return ImageLock.model_validate_json(stream.read(_MOST_BYTES))
    except (OSError, ValueError) as error:
        fix = "run `vellum package push REGISTRY` to write it"
        raise UsageError("VEL755", "the lock of images is missing or not valid", where=str(path), fix=fix) from error


def push(layout: Layout, registry: Registry, path: str, say: Say) -> ImageLock:
    """Push every image, package, chart and bill of materials of the layout to ``HOST/PATH``; return what was pushed.

    Raises:
        UsageError: the layout has no images (VEL754), or the registry refuses something (VEL757).
    """
    named = layout.named()
    if not any(name.startswith(f"{FUNCTION}:") for name in named):
        fix = "run `vellum package build` without --image"
        raise UsageError("VEL754", "the layout does not contain the function", where=str(layout.root), fix=fix)
    where = "/".join(filter(None, (registry.host, path)))
    objects = xpkg.configuration(CONFIGURATION, f"{where}/{FUNCTION}", named[f"{FUNCTION}:{TAG}"]["digest"])
    named[f"{CONFIGURATION}:{TAG}"] = package(layout, f"{CONFIGURATION}:{TAG}", objects)
    bills = [item for item in layout.index() if NAME not in (item.get("annotations") or {})]
    layout.publish([*named.values(), *bills])
    pushing = Pushing(layout, registry, path, say)
    for name, descriptor in named.items():
        pushing.image(name, descriptor)
    for bill in bills:
        pushing.referrer(bill)
    return _lock(layout, where, named)


def package(layout: Layout, name: str, objects: list[Obj]) -> Json:
    """Write a package of Crossplane without a program; return its descriptor.

    A push writes the configuration's package, not a build, because it names the registry.
    """
    made = layout.layer(lambda out: write(out, xpkg.layer(objects)))
    layer = {"mediaType": LAYER, "digest": made.digest, "size": made.size, "annotations": xpkg.ANNOTATION}
    # Crossplane only reads it, on any platform.
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [made.diff_id]}}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": layout.add(CONFIG, config), "layers": [layer]}
    return layout.add(MANIFEST, manifest, annotations={NAME: name})


class Pushing:
    """One push; it records which repository already has each blob."""

    def __init__(self, layout: Layout, registry: Registry, path: str, say: Say) -> None:
        self._layout, self._registry, self._path, self._say = layout, registry, path, say
        self._blobs: dict[str, str] = {}
        self._manifests: dict[str, str] = {}

    def image(self, name: str, descriptor: Json) -> None:
        """Push an image under its tag."""
        repository, _, tag = name.rpartition(":")
        self._push("/".join(filter(None, (self._path, repository))), descriptor, tag)

    def referrer(self, descriptor: Json) -> None:
        """Push a bill of materials beside its image."""
        subject = self._layout.read(descriptor)["subject"]["digest"]
        self._push(self._manifests[subject], descriptor, descriptor["digest"])

    def _push(self, repository: str, descriptor: Json, version: str) -> None:
        self._say(f"{self._registry.host}/{repository}")
        for item in self._layout.reached(descriptor):
            digest, path = item["digest"], self._layout.path(item["digest"])
            if item["mediaType"] in (*INDEXES, *MANIFESTS):
                under = version if item is descriptor else digest
                self._registry.push_manifest(repository, under, item["mediaType"], path.read_bytes())
                self._manifests[digest] = repository
            elif self._registry.push_blob(repository, item, path, self._blobs.get(digest, "")):
                self._say(f"  {item['size'] / 1e6:8.1f} MB {digest}")
            self._blobs.setdefault(digest, repository)


def _lock(layout: Layout, where: str, named: dict[str, Json]) -> ImageLock:
    images: dict[str, str] = {}
    packages: dict[str, str] = {}
    charts: dict[str, str] = {}
    for name, descriptor in named.items():
        repository, _, tag = name.rpartition(":")
        if repository.startswith(f"{CHARTS}/"):
            charts[repository.partition("/")[2]] = f"{tag}@{descriptor['digest']}"
        elif repository in (FUNCTION, CONFIGURATION):
            packages[repository] = f"{where}/{repository}@{descriptor['digest']}"
        else:
            images[repository] = f"{where}/{repository}@{descriptor['digest']}"
    base = layout.read(named[f"{FUNCTION}:{TAG}"])["annotations"][_BASE]
    return ImageLock(vellum=__version__, registry=where, base=base, images=images, packages=packages, charts=charts)
