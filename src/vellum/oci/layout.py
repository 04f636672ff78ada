"""An OCI image layout: a folder of blobs by digest, and ``index.json`` with the names."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from vellum.errors import UsageError
from vellum.oci.archive import Written

Json = dict[str, Any]
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_DOCKER = "application/vnd.docker.distribution.manifest"
INDEXES = (INDEX, f"{_DOCKER}.list.v2+json")
MANIFESTS = (MANIFEST, f"{_DOCKER}.v2+json")
NAME = "org.opencontainers.image.ref.name"
_MARK = '{"imageLayoutVersion":"1.0.0"}'
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_SMALL = 4 << 20
"""The most bytes of a manifest, as registries limit them."""


def encoded(value: Json) -> bytes:
    """Return JSON, the same bytes for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def sha256(data: bytes) -> str:
    """Return the digest as OCI writes it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Layout:
    """One layout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs/sha256"

    @classmethod
    def create(cls, root: Path) -> Layout:
        """Return the layout of the folder, which is made if it does not exist.

        Raises:
            UsageError: the folder has other files (VEL754).
        """
        mark = root / "oci-layout"
        if not mark.exists() and root.exists() and any(root.iterdir()):
            fix = "name an empty folder, or a new one"
            raise UsageError("VEL754", "the folder has other files", where=str(root), fix=fix)
        (root / "blobs/sha256").mkdir(parents=True, exist_ok=True)
        mark.write_text(_MARK)
        return cls(root)

    @classmethod
    def existing(cls, root: Path) -> Layout:
        """Return the layout in the folder.

        Raises:
            UsageError: the folder is not a layout, or the first build into it did not finish (VEL754).
        """
        marked, indexed = (root / "oci-layout").is_file(), (root / "index.json").is_file()
        if marked and not indexed:
            fix = "run `vellum package build` again, or make the layout again with the tool that wrote it"
            raise UsageError("VEL754", "the OCI image layout is not finished", where=str(root), fix=fix)
        if not marked:
            fix = "name a folder that `vellum package build` or another tool wrote as an OCI image layout"
            raise UsageError("VEL754", "the folder is not an OCI image layout", where=str(root), fix=fix)
        return cls(root)

    def path(self, digest: str) -> Path:
        """Return the blob's path.

        Raises:
            UsageError: the text is not a digest, so it could name a file outside the layout (VEL754).
        """
        match = _DIGEST.fullmatch(digest)
        if not match:
            fix = "use another image, or make the layout again with the tool that wrote it"
            raise UsageError("VEL754", f"{digest[:100]!r} is not a SHA-256 digest", where=str(self.root), fix=fix)
        return self._blobs / match[1]

    def add(self, media_type: str, value: Json, **more: Any) -> Json:  # noqa: ANN401  # fields of a descriptor
        """Write a small JSON blob; return its descriptor with ``more``."""
        data = encoded(value)
        return {"mediaType": media_type, **self.put(data), **more}

    def put(self, data: bytes) -> Json:
        """Write a blob; return its digest and size."""
        digest = sha256(data)
        if not self.path(digest).exists():
            self._put(digest, lambda out: _write(out, data))
        return {"digest": digest, "size": len(data)}

    def layer(self, write: Callable[[IO[bytes]], Written]) -> Written:
        """Write a blob whose digest is known only at its end."""
        with self._draft() as out:
            made = write(out)
            self._keep(out, made.digest)
        return made

    def copy(self, other: Layout, descriptor: Json) -> None:
        """Add a blob of another layout, as a hard link where possible."""
        target, source = self.path(descriptor["digest"]), other.path(descriptor["digest"])
        if target.exists():
            return
        try:
            os.link(source, target)
        except OSError:
            self._put(descriptor["digest"], lambda out: _copied(source, out))

    def fetch(self, descriptor: Json, chunks: Iterator[bytes]) -> None:
        """Write a blob that comes from outside.

        Raises:
            UsageError: it does not match its digest and size (VEL757).
        """
        digest, left = hashlib.sha256(), descriptor["size"]
        with self._draft() as out:
            for chunk in chunks:
                digest.update(chunk)
                out.write(chunk)
                left -= len(chunk)
                if left < 0:
                    # Otherwise an endless answer fills the disk.
                    break
            if left or f"sha256:{digest.hexdigest()}" != descriptor["digest"]:
                what = f"the registry's blob does not match {descriptor['digest']}"
                raise UsageError("VEL757", what, where=str(self.root), fix="run the command again")
            self._keep(out, descriptor["digest"])

    def _put(self, digest: str, write: Callable[[IO[bytes]], None]) -> None:
        with self._draft() as out:
            write(out)
            self._keep(out, digest)

    @contextmanager
    def _draft(self) -> Iterator[IO[bytes]]:
        """Yield a new file, which is removed at the end unless ``_keep`` made it a blob."""
        with tempfile.NamedTemporaryFile(dir=self._blobs, prefix=".", delete=False) as out:
            try:
                yield out.file
            finally:
                Path(out.name).unlink(missing_ok=True)

    def _keep(self, out: IO[bytes], digest: str) -> None:
        out.flush()
        new = Path(out.name)
        new.chmod(0o644)
        new.replace(self.path(digest))

    def read(self, descriptor: Json) -> Json:
        """Return a manifest, an index or a config, checked by its digest.

        Raises:
            UsageError: the blob is missing or damaged (VEL754).
        """
        path = self.path(descriptor["digest"])
        try:
            with path.open("rb") as stream:
                data = stream.read(_SMALL + 1)
            # A damaged manifest has another digest.
            value: Json = json.loads(data if sha256(data) == descriptor["digest"] else b"")
        except (OSError, ValueError) as error:
            fix = "run `vellum package build` again, or make the layout again with the tool that wrote it"
            what = f"blob {descriptor['digest']} is missing or damaged"
            raise UsageError("VEL754", what, where=str(self.root), fix=fix) from error
        return value

    def index(self) -> list[Json]:
        """Return the descriptors of ``index.json``.

        Raises:
            UsageError: the file is damaged (VEL754).
        """
        path = self.root / "index.json"
        if not path.exists():
            return []
        try:
            result: list[Json] = json.loads(path.read_bytes())["manifests"]
        except (ValueError, KeyError, TypeError) as error:
            fix = "delete the folder, and build or copy the layout again"
            raise UsageError("VEL754", "index.json is damaged", where=str(self.root), fix=fix) from error
        return result

    def named(self) -> dict[str, Json]:
        """Return name to descriptor."""
        return {item["annotations"][NAME]: item for item in self.index() if NAME in (item.get("annotations") or {})}

    def publish(self, descriptors: list[Json]) -> None:
        """Write ``index.json`` with exactly these descriptors, and remove all other blobs that they do not reach."""
        ordered = sorted(descriptors, key=lambda item: ((item.get("annotations") or {}).get(NAME, "~"), item["digest"]))
        value = {"schemaVersion": 2, "mediaType": INDEX, "manifests": ordered}
        path = self.root / "index.json"
        new = path.with_suffix(".new")
        new.write_bytes(encoded(value))
        new.replace(path)
        kept = {self.path(item["digest"]).name for descriptor in ordered for item in self.reached(descriptor)}
        for blob in self._blobs.iterdir():
            if blob.name not in kept:
                blob.unlink()

    def reached(self, descriptor: Json) -> Iterator[Json]:
        """Yield the blobs that a descriptor reaches, each after the blobs that it names, as registries require."""
        if descriptor["mediaType"] in INDEXES:
            for item in self.read(descriptor)["manifests"]:
                yield from self.reached(item)
        elif descriptor["mediaType"] in MANIFESTS:
            manifest = self.read(descriptor)
            yield from (manifest["config"], *manifest["layers"])
        yield descriptor


def _write(out: IO[bytes], data: bytes) -> None:
    out.write(data)


def _copied(source: Path, out: IO[bytes]) -> None:
    with source.open("rb") as stream:
        shutil.copyfileobj(stream, out, 1 << 20)
