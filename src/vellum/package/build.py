"""Build the images into an OCI layout, without Docker and without running programs from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from vellum._version import __version__
from vellum.oci import archive
from vellum.oci.archive import Entry, Folder, Written, plain
from vellum.oci.layout import CONFIG, INDEX, LAYER, MANIFEST, NAME, Json, Layout
from vellum.package import base, bill, charts, installed, pinned, xpkg
from vellum.package.base import Base, Source
from vellum.package.pinned import Target
from vellum.package.recipes import CHARTS, TAG, Recipe

Say = Callable[[str], None]
_IMAGE = "org.opencontainers.image"
_CHART = "application/vnd.cncf.helm"
_EMPTY = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True, slots=True)
class Request:
    """What is built, from which base, and where archives are kept."""

    base: Source
    architectures: tuple[str, ...]
    recipes: tuple[Recipe, ...]
    cache: Path


def build(layout: Layout, request: Request, say: Say) -> None:
    """Build every image and chart, then make them the layout's only content.

    Raises:
        UsageError: the base does not fit (VEL750), or a package has no wheel (VEL751) or cannot be downloaded (VEL756).
    """
    descriptors: list[Json] = []
    bases = [base.read(request.base, architecture) for architecture in request.architectures]
    for recipe in request.recipes:
        manifests = []
        for on in bases:
            say(f"{recipe.name} for linux/{on.architecture}")
            manifest, listed = _image(layout, request, recipe, on)
            platform = {"architecture": on.architecture, "os": "linux"}
            manifests.append({**manifest, "platform": platform})
            descriptors.append(listed)
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": _told(recipe, request)}
        named = {"annotations": {NAME: f"{recipe.name}:{TAG}"}}
        descriptors.append(layout.add(INDEX, index, **named))
    say("charts")
    descriptors += [_chart(layout, name) for name in charts.OWN]
    layout.publish(descriptors)


def _told(recipe: Recipe, request: Request) -> Json:
    return {
        f"{_IMAGE}.base.digest": request.base.descriptor["digest"],
        f"{_IMAGE}.base.name": request.base.name,
        f"{_IMAGE}.description": recipe.summary,
        f"{_IMAGE}.licenses": "Apache-2.0",
        f"{_IMAGE}.title": recipe.name,
        f"{_IMAGE}.version": __version__,
    }


def _image(layout: Layout, request: Request, recipe: Recipe, on: Base) -> tuple[Json, Json]:
    """Write one platform of an image; return the descriptors of its manifest and of its bill of materials."""
    target = Target(on.architecture, on.python.version)
    archives = pinned.archives(recipe.packages, target, request.cache)
    for layer in on.layers:
        layout.copy(request.base.layout, layer)
    with ExitStack() as opened:
        made = [
            _layer(layout, {**installed.environment(on.python), **installed.packages(archives, on.python, opened)}),
            _layer(layout, {**installed.vellum(on.python), **_rest(recipe, on)}),
        ]
    described: list[Json] = [{"mediaType": LAYER, "digest": item.digest, "size": item.size} for item in made]
    if recipe.xpkg:
        package = _layer(layout, xpkg.layer(xpkg.function()))
        made.append(package)
        described.append(
            {"mediaType": LAYER, "digest": package.digest, "size": package.size, "annotations": xpkg.ANNOTATION}
        )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": layout.add(CONFIG, _config(recipe, on, made)),
        "layers": [*on.layers, *described],
        "annotations": _told(recipe, request),
    }
    descriptor = layout.add(MANIFEST, manifest)
    document = bill.bill(recipe.name, target, archives, request.base.descriptor["digest"])
    return descriptor, _bill(layout, document, descriptor)


def _layer(layout: Layout, entries: Mapping[str, Entry]) -> Written:
    def write(out: IO[bytes]) -> Written:
        return archive.write(out, entries)

    return layout.layer(write)


def _rest(recipe: Recipe, on: Base) -> dict[str, Entry]:
    """Return the account, the home and other files of the image."""
    home = recipe.home.strip("/")
    entries: dict[str, Entry] = {path: plain(text.encode()) for path, text in recipe.files.items()}
    entries["etc/passwd"] = plain(
        _with(on, "etc/passwd", f"vellum:x:{recipe.user}:{recipe.user}::{recipe.home}:/bin/sh")
    )
    entries["etc/group"] = plain(_with(on, "etc/group", f"vellum:x:{recipe.user}:"))
    entries[home] = Folder(0o1777) if home == "tmp" else Folder(0o755, recipe.user)
    return entries


def _with(on: Base, path: str, line: str) -> bytes:
    """Return the base's file with our account; some programs do not start if their user id has no name."""
    before = on.accounts.get(path, b"root:x:0:0:root:/root:/bin/sh\n" if path.endswith("passwd") else b"root:x:0:\n")
    number = line.split(":")[2]
    kept = [item for item in before.decode().splitlines() if item.split(":")[2:3] != [number]]
    return "".join(f"{item}\n" for item in [*kept, line]).encode()


def _config(recipe: Recipe, on: Base, made: list[Written]) -> Json:
    given = on.config.get("config") or {}
    env = dict(item.partition("=")[::2] for item in given.get("Env") or ())
    env["PATH"] = f"/{installed.VENV}/bin:{env.get('PATH') or '/usr/local/bin:/usr/bin:/bin'}"
    # The root file system is read-only on a cluster.
    env |= {"HOME": recipe.home, "PYTHONDONTWRITEBYTECODE": "1", **recipe.env}
    return {
        "architecture": on.architecture,
        "os": "linux",
        "created": datetime.fromtimestamp(archive.epoch(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "config": {
            "User": f"{recipe.user}:{recipe.user}",
            "Env": [f"{name}={value}" for name, value in env.items()],
            "Entrypoint": list(recipe.entrypoint),
            "WorkingDir": recipe.home,
        },
        "rootfs": {"type": "layers", "diff_ids": [*on.config["rootfs"]["diff_ids"], *(item.diff_id for item in made)]},
    }


def _bill(layout: Layout, document: Json, subject: Json) -> Json:
    """Write the bill of materials as a referrer of the manifest."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": bill.MEDIA_TYPE,
        "config": layout.add(_EMPTY, {}),
        "layers": [layout.add(bill.MEDIA_TYPE, document)],
        "subject": subject,
    }
    return layout.add(MANIFEST, manifest, artifactType=bill.MEDIA_TYPE)


def _chart(layout: Layout, name: str) -> Json:
    content = charts.packed(name, charts.own(name))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": layout.add(f"{_CHART}.config.v1+json", charts.metadata(name)),
        "layers": [{"mediaType": f"{_CHART}.chart.content.v1.tar+gzip", **layout.put(content)}],
        "annotations": {f"{_IMAGE}.title": name, f"{_IMAGE}.version": charts.version(name)},
    }
    return layout.add(MANIFEST, manifest, annotations={NAME: f"{CHARTS}/{name}:{charts.version(name)}"})
