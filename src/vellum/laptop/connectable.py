"""Write a folder that makes ``import vellum`` work in every Python 3.11 or newer. It holds only ``vellum.connect``.

A copy, because Vellum's own folder on the user's path would also bring all of its packages, in its versions, and let
another Python write its bytecode there.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from vellum.host.files import private_folder, write

_PARTS = ("", "connect")
_OF_THE_ROOT = ("__init__.py", "_version.py", "errors.py", "py.typed")


def provide(folder: Path) -> None:
    """Write the folder, or update it to the installed version; leave correct files untouched."""
    for part in _PARTS:
        source, target = files("vellum").joinpath(part), folder / "vellum" / part
        private_folder(target)
        for entry in source.iterdir():
            if entry.is_file() and (part or entry.name in _OF_THE_ROOT):
                path, text = target / entry.name, entry.read_bytes()
                if not path.is_file() or path.read_bytes() != text:
                    write(path, text)
