"""Private files and folders. A file is written whole or not at all. Reading damaged JSON raises no error."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from vellum.host import reaper
from vellum.kube.objects import Json


def private_folder(path: Path) -> Path:
    """Create the folder and its missing parents, all 0700 (``mkdir`` would give the parents the umask's mode)."""
    if not path.is_dir():
        private_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def write(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Write a private file (0600) so that a reader sees the old content or the new, never half.

    After SIGKILL that holds for every file. After a power cut it holds for ``durable`` files. The others derive from
    the store, and the next process that finds a difference writes them again.
    """
    private_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.new")
    descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        _sync(path.parent)


def _sync(folder: Path) -> None:
    """Make a rename durable: the folder holds the name, not the file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Json, *, durable: bool = False) -> None:
    """Write private JSON."""
    write(path, json.dumps(value, sort_keys=True), durable=durable)


def read_json(path: Path, otherwise: Json) -> Json:
    """Read one of Vellum's derived JSON files; return ``otherwise`` if it is missing, damaged or of another type."""
    value = reaper.parsed(str(path))
    if otherwise is None:
        return value
    return value if isinstance(value, type(otherwise)) else otherwise
