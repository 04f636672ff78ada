"""Find the PDFs of a folder and name them by their content."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vellum.errors import WorkloadError

ID_LENGTH = 32
"""Characters of a content's SHA-256 that are its id: 128 bits."""
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
    """The contents of a folder."""

    documents: tuple[Document, ...]
    unreadable: tuple[str, ...]
    """Names of PDFs that this user may not read."""
    closed: tuple[str, ...]
    """Names of folders that this user may not read, each with a slash at its end; their contents are unknown."""
    listed: frozenset[str]
    """Every name of a PDF that was seen, even an unreadable one: its earlier content is not deleted."""
    skipped: tuple[str, ...]
    """Names of files that are not PDFs, and of links that leave the folder."""


def find(source: Path) -> Listing:
    """List the PDFs below ``source``, in the order of their names; equal contents become one document.

    Linked folders are not entered. Linked files count when they end inside the folder.

    Raises:
        WorkloadError: ``source`` is not a folder that can be read (VEL501).
    """
    root = source.resolve()
    if not os.access(root, os.R_OK | os.X_OK) or not root.is_dir():
        raise WorkloadError(
            "VEL501",
            "this is not a folder that can be read",
            where=text_of(source),
            fix="name a folder that holds PDFs: vellum ingest DIR",
        )
    contents: dict[str, tuple[Path, Stamp, list[str]]] = {}
    unreadable: list[str] = []
    closed: list[Path] = []
    listed: set[str] = set()
    skipped: list[str] = []
    for path in _files(root, closed):
        name = text_of(path.relative_to(root))
        if path.suffix.lower() != ".pdf":
            skipped.append(name)
            continue
        listed.add(name)
        if not _belongs(path, root):
            skipped.append(name)
            continue
        try:
            stamp, digest = stamp_of(path), _digest(path)
        except OSError:
            unreadable.append(name)
            continue
        contents.setdefault(digest, (path, stamp, []))[2].append(name)
    documents = (Document(digest, path, tuple(names), stamp) for digest, (path, stamp, names) in contents.items())
    shut = tuple(f"{text_of(folder.relative_to(root))}/" for folder in closed)
    return Listing(tuple(documents), tuple(unreadable), shut, frozenset(listed), tuple(skipped))


def stamp_of(path: Path) -> Stamp:
    """Return the stamp of a file, which changes when the file is replaced or written to."""
    info = path.stat()
    return info.st_ino, info.st_size, info.st_mtime_ns


def text_of(path: Path) -> str:
    r"""Return a path as text; bytes that are not UTF-8 are shown as ``\xff``, so different names stay different."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _files(root: Path, closed: list[Path]) -> Iterator[Path]:
    """Yield the files below ``root``, and add folders that cannot be read to ``closed``: os.walk is silent on them."""

    def note(error: OSError) -> None:
        """Record a folder that cannot be read, unless it has disappeared."""
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            closed.append(Path(error.filename))

    for folder, folders, files in os.walk(root, onerror=note):
        folders.sort()
        if os.access(folder, os.X_OK):
            yield from (Path(folder) / name for name in sorted(files))
        else:
            # Its names can be listed, but nothing can be asked about them: every file would look like a broken link.
            folders.clear()
            closed.append(Path(folder))


def _belongs(path: Path, root: Path) -> bool:
    """Return whether a path is a regular file inside the folder, not a pipe, device, broken or outward link."""
    try:
        real = path.resolve(strict=True)
        return real.is_relative_to(root) and stat.S_ISREG(real.stat().st_mode)
    except (OSError, RuntimeError):
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:ID_LENGTH]
