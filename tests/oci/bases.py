"""A base image as a layout: the files of a distribution that a build looks at, for both platforms."""

from __future__ import annotations

from pathlib import Path

from vellum.oci import archive
from vellum.oci.layout import CONFIG, INDEX, LAYER, MANIFEST, Layout

PASSWD = b"root:x:0:0:root:/root:/bin/sh\n"


def write(folder: Path, python: str = "3.11", architectures: tuple[str, ...] = ("amd64", "arm64")) -> Path:
    """Write the layout, and return its folder."""
    layout = Layout.create(folder)
    manifests = []
    for architecture in architectures:
        files = {
            f"usr/local/bin/python{python}": archive.plain(architecture.encode(), 0o755),
            "etc/passwd": archive.plain(PASSWD),
            "etc/group": archive.plain(b"root:x:0:\n"),
        }
        layer = layout.layer(lambda out, files=files: archive.write(out, files))  # type: ignore[misc]
        config = {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": layout.add(CONFIG, config),
            "layers": [{"mediaType": LAYER, "digest": layer.digest, "size": layer.size}],
        }
        platform = {"os": "linux", "architecture": architecture}
        manifests.append(layout.add(MANIFEST, manifest, platform=platform))
    layout.publish([layout.add(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})])
    return folder
