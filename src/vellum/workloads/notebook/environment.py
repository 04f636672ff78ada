"""The notebook's own Python environment: created once, kept across restarts and upgrades, separate from Vellum's.

It is a venv with its own pip. A ``.pth`` file puts Vellum's packages after those of the venv. So pandas and boto3 are
there without a download, and packages that a user installs take precedence. pip installs into the venv only. It treats
packages outside the venv as installed, and does not remove them.
"""

from __future__ import annotations

import contextlib
import csv
import email
import importlib.resources
import json
import logging
import os
import shlex
import shutil
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

from vellum.errors import LaptopError

LOG = logging.getLogger(__name__)
MADE = ".vellum-made"
"""Written last: without this file the environment is incomplete, and the next start completes it."""
ELSEWHERE = (sysconfig.get_config_var("WHEEL_PKG_DIR"), "/usr/share/python-wheels")
"""Where Fedora and Debian keep pip's wheel."""
_COLUMNS = 3
"""The number of columns in a package's RECORD."""
BEHIND = "vellum-behind.pth"
KERNEL = "python3"
"""The name of JupyterLab's default kernel."""


def prepare(folder: Path, home: Path) -> None:
    """Make the environment, or update it to the current Python and packages.

    Args:
        folder: its path; notebooks run its ``bin/python``.
        home: where to write the list of packages of an older Python's environment.

    Raises:
        LaptopError: this Python comes without pip's wheel (VEL430).
    """
    if (version := _python_of(folder)) and version != _minor():
        _replace(folder, home, version)
    if not _is_whole(folder):
        _make(folder)
    # At every start: an upgrade of Vellum moves its packages.
    _write(_packages(folder) / BEHIND, "\n".join([*_ours(), ""]))
    # Vellum's own Python runs its commands, so a user's packages cannot break them.
    _script(folder / "bin" / "vellum", f"{shlex.quote(sys.executable)} -P -m vellum.cli")


def kernel(folder: Path, data: Path) -> None:
    """Write the kernel that runs in the environment, below a folder of Jupyter's data."""
    # A file with the name of a Python module must not stop the kernel. A cell imports it, as in Jupyter.
    beside = "--IPKernelApp.exec_lines=__import__('sys').path.insert(0, '')"
    argv = [str(folder / "bin" / "python"), "-P", "-m", "ipykernel_launcher", "-f", "{connection_file}", beside]
    spec = {"argv": argv, "display_name": "Python 3 (ipykernel)", "language": "python", "metadata": {"debugger": True}}
    place = data / "kernels" / KERNEL
    place.mkdir(parents=True, exist_ok=True)
    _write(place / "kernel.json", json.dumps(spec))


def _write(path: Path, text: str) -> None:
    """Write a file so that a kernel that starts now reads the old text or the new."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _minor() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _packages(folder: Path, python: str = "") -> Path:
    return folder / "lib" / f"python{python or _minor()}" / "site-packages"


def _python_of(folder: Path) -> str:
    """Return the environment's Python version, such as ``3.11``; empty without an environment."""
    versions = [path.name.removeprefix("python") for path in (folder / "lib").glob("python3.*")]
    return _minor() if _minor() in versions else next(iter(sorted(versions)), "")


def _is_whole(folder: Path) -> bool:
    """Return whether the environment is complete, has the current Python, and has pip."""
    python = folder / "bin" / "python"
    return (
        (folder / MADE).is_file()
        and python.exists()
        and python.resolve() == Path(_base()).resolve()
        and _has_pip(_packages(folder))
    )


def _has_pip(packages: Path) -> bool:
    """Return whether all of pip's modules exist, in the sizes that pip's own record names."""
    return any(
        all(_has_size(packages / name, size) for name, _, size in record if name.endswith(".py"))
        for package in metadata.distributions(name="pip", path=[str(packages)])
        if (record := _record(package))
    )


def _record(package: metadata.Distribution) -> list[list[str]]:
    """Return path, hash and size of each file of a package; empty where the record is missing or damaged."""
    with contextlib.suppress(ValueError, csv.Error):
        rows = list(csv.reader((package.read_text("RECORD") or "").splitlines()))
        # The last line of a truncated record is too short, or does not name the record itself.
        if rows and all(len(row) == _COLUMNS for row in rows) and any(row[0].endswith("/RECORD") for row in rows):
            return rows
    return []


def _has_size(path: Path, size: str) -> bool:
    return path.is_file() and (not size or str(path.stat().st_size) == size)


def _base() -> str:
    """Return the base Python of environments; in a venv it differs from the running one."""
    return str(getattr(sys, "_base_executable", sys.executable))


def _make(folder: Path) -> None:
    # A link of an older Python is not replaced by venv, and may point nowhere.
    for path in (folder / "bin").glob("python*"):
        if path.is_symlink():
            path.unlink()
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    if not _has_pip(_packages(folder)):
        _bring_pip(_packages(folder))
    for name in ("pip", "pip3"):
        if not (folder / "bin" / name).exists():
            _script(folder / "bin" / name, f"{shlex.quote(str(folder / 'bin' / 'python'))} -m pip")
    _write(folder / MADE, f"{sys.version}\n")


def _script(path: Path, command: str) -> None:
    _write(path, f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o700)


def _bring_pip(packages: Path) -> None:
    """Extract pip beside its final path, then move it: an interrupted extraction must not look like pip."""
    aside = packages / ".vellum-pip"
    _remove(aside)
    with zipfile.ZipFile(_wheel()) as wheel:
        wheel.extractall(aside)
    for old in (packages / "pip", *packages.glob("pip-*.dist-info")):
        _remove(old)
    for path in aside.iterdir():
        path.rename(packages / path.name)
    aside.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _wheel() -> Path:
    """Return pip's wheel, which comes with Python; distributions keep it elsewhere."""
    places = list(ELSEWHERE)
    with contextlib.suppress(ModuleNotFoundError):
        places.insert(0, str(importlib.resources.files("ensurepip") / "_bundled"))
    for place in filter(None, places):
        if wheels := sorted(Path(place).glob("pip-*.whl")):
            return wheels[-1]
    raise LaptopError(
        "VEL430",
        "this Python comes without pip, which the notebook's environment needs",
        where=sys.base_prefix,
        fix="install the missing package, such as python3-venv on Debian, or run `vellum up` with another Python",
    )


def _ours() -> list[str]:
    """Return the folders of Vellum and its packages, without the standard library."""
    own = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    return [
        path
        for path in sys.path
        if path and path not in own and not path.endswith(".zip") and Path(path).name != "lib-dynload"
    ]


def _replace(folder: Path, home: Path, python: str) -> None:
    """Write the list of packages that a user installed in another Python's environment, then remove it."""
    installed = _installed(_packages(folder, python))
    if installed:
        listed = home / f"packages-of-python-{python}.txt"
        head = f"# Vellum now runs Python {_minor()}, so the notebook's environment of Python {python} was made anew.\n"
        again = f"# In a notebook, this installs the same packages again: %pip install -r ~/{listed.name}\n"
        _write(listed, head + again + "".join(f"{line}\n" for line in installed))
        LOG.warning("Python %s came for %s: what was installed is listed in %s", _minor(), python, listed)
    shutil.rmtree(folder)


def _installed(packages: Path) -> list[str]:
    """Return the packages of a folder in pip's form; of a damaged one at least the name."""
    lines = []
    for folder in (path for ending in ("dist-info", "egg-info") for path in packages.glob(f"*.{ending}")):
        package = metadata.PathDistribution(folder)
        name, version = _named(package, folder.name.partition("-")[0])
        if name and name.lower() != "pip":
            lines.append(f"{name} @ {url}" if (url := _source(package)) else "==".join(filter(None, (name, version))))
    return sorted(lines, key=str.lower)


def _named(package: metadata.PathDistribution, name: str) -> tuple[str, str]:
    """Return a package's name and version; ``name`` alone where they cannot be read, nothing where they are missing."""
    try:
        text = package.read_text("METADATA") or package.read_text("PKG-INFO") or ""
    except UnicodeDecodeError:
        return name, ""
    head = email.message_from_string(text)
    return str(head["Name"] or ""), str(head["Version"] or "")


def _source(package: metadata.PathDistribution) -> str:
    """Return the address that a package was installed from; empty where none is recorded, or its file is damaged."""
    try:
        direct = json.loads(package.read_text("direct_url.json") or "{}")
    except ValueError:
        return ""
    url = direct.get("url") if isinstance(direct, dict) else ""
    return url if isinstance(url, str) and url.isprintable() else ""


def variables(folder: Path) -> dict[str, str]:
    """Return variables with which a shell uses the environment's ``python`` and ``pip``."""
    path = os.pathsep.join([str(folder / "bin"), os.environ.get("PATH", os.defpath)])
    return {"PATH": path, "VIRTUAL_ENV": str(folder)}
