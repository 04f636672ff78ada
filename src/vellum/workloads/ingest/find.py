"""Find the PDFs of a folder and name them by their content."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vellum.errors import WorkloadError

Stamp = tuple[int, int, int]
"""Inode, size and time of change: differs when a file was replaced or written to."""


@dataclass(frozen=True, slots=True)
class Document:
    """One content: a path to read it from, and every name under which the folder has it."""

    document_id: str
    path: Path
    names: tuple[str, ...]
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds."""

    documents: tuple[Document, ...]
    unreadable: tuple[str, ...]
    """Names of PDFs that this user may not read."""
    skipped: int
    """Files that are not PDFs, and links that leave the folder."""


def find(source: Path) -> Listing:
    """List the PDFs below ``source``, in the order of their names; equal contents become one document.

    Linked folders are not entered. Linked files count when they end inside the folder.

    Raises:
        WorkloadError: ``source`` is not a folder that can be read (VEL501).
    """
    root = source.resolve()
    if not os.access(root, os.R_OK | os.X_OK) or not root.is_dir():
        raise WorkloadError(
            "VEL501", "this is not a folder that can be read", where=str(source),
            fix="name a folder that holds PDFs: vellum ingest DIR",
        )  # fmt: skip
    contents: dict[str, tuple[Path, Stamp, list[str]]] = {}
    unreadable: list[str] = []
    skipped = 0
    for path in _files(root):
        if path.suffix.lower() != ".pdf" or not _belongs(path, root):
            skipped += 1
            continue
        name = os.fsencode(path.relative_to(root)).decode(errors="replace")
        try:
            stamp, digest = stamp_of(path), _digest(path)
        except OSError:
            unreadable.append(name)
            continue
        contents.setdefault(digest, (path, stamp, []))[2].append(name)
    documents = (
        Document(digest, path, tuple(names), stamp) for digest, (path, stamp, names) in contents.items()
    )
    return Listing(tuple(documents), tuple(unreadable), skipped)


def stamp_of(path: Path) -> Stamp:
    """Return what tells whether a file is still the one that was read before."""
    info = path.stat()
    return info.st_ino, info.st_size, info.st_mtime_ns


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders.sort()
        yield from (Path(folder) / name for name in sorted(files))


def _belongs(path: Path, root: Path) -> bool:
    """Tell a regular file inside the folder from pipes, devices, broken links and links that leave it."""
    try:
        real = path.resolve(strict=True)
        return real.is_relative_to(root) and stat.S_ISREG(real.stat().st_mode)
    except (OSError, RuntimeError):
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]
