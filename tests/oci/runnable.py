"""A base image of this machine's Python, and images unpacked and run by chroot."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from vellum.oci import archive
from vellum.oci.archive import Entry, File, Link
from vellum.oci.layout import CONFIG, LAYER, MANIFEST, Json, Layout

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
LIBRARIES = ("libstdc++.so.6", "libgcc_s.so.1", "libpthread.so.0", "librt.so.1", "libdl.so.2", "libutil.so.1")
"""What wheels expect of every distribution."""
_LEFT_OUT = {"__pycache__", "idlelib", "site-packages", "test", "tkinter"}


def base(folder: Path) -> Path:
    """Write a layout with one image for linux/amd64: Python, its library, and the shared libraries of both."""
    standard = Path(sysconfig.get_path("stdlib"))
    python = Path(sys.base_prefix) / "bin" / f"python{VERSION}"
    entries: dict[str, Entry] = {
        f"usr/local/bin/python{VERSION}": _file(python, 0o755),
        "bin/sh": _file(Path("/bin/sh"), 0o755),
    }
    for path in standard.rglob("*"):
        inside = path.relative_to(standard)
        if path.is_file() and not _LEFT_OUT & set(inside.parts):
            entries[f"usr/local/lib/python{VERSION}/{inside.as_posix()}"] = _file(path)
    for library in _libraries([python, Path("/bin/sh"), *(standard / "lib-dynload").glob("*.so")]):
        entries[library.lstrip("/")] = _file(Path(library), 0o755)
    layout = Layout.create(folder)
    layer = layout.layer(lambda out: archive.write(out, _with_links(entries)))
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": layout.add(CONFIG, config),
        "layers": [{"mediaType": LAYER, "digest": layer.digest, "size": layer.size}],
    }
    layout.publish([layout.add(MANIFEST, manifest)])
    return folder


def _file(path: Path, mode: int = 0o644) -> File:
    return File(path.read_bytes, mode)


def _with_links(entries: dict[str, Entry]) -> dict[str, Entry]:
    """Return the entries with Debian's link lib64, through which programs find their loader."""
    loader = next((path for path in entries if path.startswith("lib64/")), "")
    return {**entries, **({} if loader else {"lib64": Link("lib/x86_64-linux-gnu")})}


def _libraries(programs: list[Path]) -> set[str]:
    listed = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    results = set(re.findall(r"(/\S+\.so\S*)", re.sub(r"^/\S+:$", "", listed, flags=re.MULTILINE)))
    return results | {
        match for name in LIBRARIES for match in re.findall(rf"{re.escape(name)} .*x86-64.* => (\S+)", known)
    }


def unpacked(layout: Layout, name: str, root: Path) -> Json:
    """Unpack the image for linux/amd64 into the folder as a runtime does, and return its config."""
    (result,) = (item for full, item in layout.named().items() if full.startswith(f"{name}:"))
    manifest = layout.read(layout.read(result)["manifests"][0])
    root.mkdir()
    for layer in manifest["layers"]:
        blob = layout.path(layer["digest"])
        subprocess.run(["tar", "--extract", "--gzip", "--file", blob, "--directory", root], check=True)
    config: Json = layout.read(manifest["config"])["config"]
    return config


def run(root: Path, config: Json, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the unpacked image, with its user, environment and folder; without one its entry point."""
    env = dict(item.split("=", 1) for item in config["Env"])
    words = ["/usr/sbin/chroot", f"--userspec={config['User']}", root, *(argv or config["Entrypoint"])]
    return subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=120)
