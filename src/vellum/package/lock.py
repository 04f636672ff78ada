"""What a tree means beyond its files: this version's charts with their values, images, and every object it composes.

The tree has a platform and claims; their meaning is in Vellum, so another version makes other objects of the same
files. ``.vellum-composed`` is beside them in git. It is never applied, but allows a comparison of two renders.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from vellum._version import __version__
from vellum.api import claim, platform
from vellum.api.claim import Claim
from vellum.api.platform import Platform
from vellum.compose import platform as platforms
from vellum.compose import team as teams
from vellum.errors import UsageError
from vellum.kube.objects import Key, Obj
from vellum.model.component import Spec
from vellum.model.keys import DUMMY_SEED
from vellum.model.release import RELEASE
from vellum.package.images import pulled

NAME = ".vellum-composed"
PLATFORM = "the platform"
_MOST_BYTES = 16 << 20
"""A claim takes 2 KiB."""


class LockedChart(Spec):
    """One release: its chart and its values. No value is a secret: keys derive from the visible example seed."""

    repository: str
    name: str
    version: str
    namespace: str
    values: dict[str, Any]


class Lock(Spec):
    """What one version of Vellum makes of the files."""

    vellum: str
    charts: dict[str, LockedChart] = Field(default={})
    """By part."""
    images: dict[str, list[str]] = Field(default={})
    """By part: the images of charts and packages. The platform object names the others itself."""
    composed: dict[str, dict[str, str]] = Field(default={})
    """By claim, or for the platform: each object, and its digest."""

    def text(self) -> str:
        """Return the file's text for git, with one line per fact."""
        return json.dumps(self.model_dump(), indent=1, sort_keys=True) + "\n"


def locked(manifests: Iterable[Obj], function_package: str = "") -> Lock:
    """Return the lock of platform and claims; without a platform it is empty."""
    results = list(manifests)
    for manifest in results:
        if manifest["kind"] == platform.KIND:
            return _locked(platform.from_live(manifest), results, function_package)
    return Lock(vellum=__version__)


def _locked(place: Platform, manifests: list[Obj], function_package: str) -> Lock:
    made = platforms.everything(place, DUMMY_SEED)
    names = {chart.part: chart for chart in pulled(place).charts}
    charts = {
        part: LockedChart(
            repository=names[part].repository,
            name=names[part].name,
            version=names[part].version,
            namespace=spec["namespace"],
            values=spec["values"],
        )
        for part, spec in (
            (item["metadata"]["name"], item["spec"]["forProvider"]) for item in made if _is_release(item)
        )
    }
    images: dict[str, list[str]] = {}
    for image in pulled(place, function_package).images:
        if not image.source.startswith("spec."):
            images.setdefault(image.part, []).append(image.image)
    composed = {PLATFORM: dict(_digests(item for item in made if not _is_release(item)))}
    for manifest in manifests:
        if manifest["kind"] == claim.KIND:
            result = _claim(manifest)
            composed[f"{result.namespace}/{result.name}"] = dict(_digests(teams.everything(result, place, DUMMY_SEED)))
    return Lock(vellum=__version__, charts=charts, images=images, composed=composed)


def _is_release(obj: Obj) -> bool:
    return bool(obj["kind"] == RELEASE.kind)


def _claim(manifest: Obj) -> Claim:
    meta = manifest["metadata"]
    spec = claim.claim_spec().model_validate(manifest["spec"])
    return Claim(meta["namespace"], meta["name"], spec)


def _digests(objects: Iterable[Obj]) -> Iterator[tuple[str, str]]:
    for obj in objects:
        text = json.dumps(obj, sort_keys=True).encode()
        yield str(Key.of(obj)), hashlib.sha256(text).hexdigest()[:16]


def read(folder: Path) -> Lock | None:
    """Return the lock of a tree; None if an earlier version wrote the tree without a lock.

    Raises:
        UsageError: the file is not a lock (VEL733).
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream:
            return Lock.model_validate_json(stream.read(_MOST_BYTES))
    except ValueError as error:
        raise UsageError(
            "VEL733",
            "the file is not what Vellum wrote",
            where=str(path),
            fix="render that tree again, or delete the file",
        ) from error
