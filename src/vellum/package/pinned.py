"""The hashed lists in ``lock/images``, read for one platform, and the archives that they name.

pip downloads the archives, because users have configured it for their index. It checks every hash, and installs
nothing. The lists hold for all platforms, so the lines of others are left out first.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vellum.errors import UsageError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_HERE = Path(__file__).resolve()
_IN_WHEEL, _IN_CHECKOUT = _HERE.parents[1] / "locks", _HERE.parents[3] / "lock/images"
FOLDER = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
SOURCES = ("kfp-server-api",)
"""Packages of plain Python that have no wheel: their files are copied from the source archive, and nothing is built.

But pip runs the archive's setup.py to check its name, with a setuptools from the index that no hash pins.
"""
_LIBC = 28
"""The newest glibc 2.x that a wheel may need: that of Debian 10 and RHEL 8, so every supported base image fits."""
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_ABSENT = re.compile(r"No matching distribution found for (\S+)")
_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Target:
    """What an image runs on: an architecture as OCI names it, and Python's version, such as ``3.12``."""

    architecture: str
    python: str

    def __str__(self) -> str:
        return f"linux/{self.architecture}, Python {self.python}"

    @property
    def machine(self) -> str:
        """The architecture as Linux names it."""
        return _MACHINES[self.architecture]

    def environment(self) -> dict[str, str]:
        """Return the variables of environment markers."""
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            # The last patch version of each is newer than any that a marker of our lists names.
            "python_full_version": f"{self.python}.99",
            "python_version": self.python,
            "sys_platform": "linux",
        }


@dataclass(frozen=True, slots=True)
class Pinned:
    """One package of a list, and the SHA-256 digests of its archives."""

    name: str
    version: str
    digests: frozenset[str]

    def line(self) -> str:
        """Return the line for pip."""
        return f"{self.name}=={self.version} {' '.join(f'--hash=sha256:{digest}' for digest in sorted(self.digests))}"


@dataclass(frozen=True, slots=True)
class Archive:
    """A downloaded wheel or source archive."""

    package: Pinned
    path: Path
    digest: str


def pinned(name: str, target: Target) -> list[Pinned]:
    """Return the packages of the list for the target, by name."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    result = (_read(line, target) for line in text.splitlines() if line.strip())
    return sorted((item for item in result if item), key=lambda item: item.name)


def _read(line: str, target: Target) -> Pinned | None:
    from packaging.requirements import Requirement

    words, *hashes = line.split("--hash=sha256:")
    wanted = Requirement(words.strip())
    if wanted.marker and not wanted.marker.evaluate(target.environment()):
        return None
    return Pinned(wanted.name, _version(wanted), frozenset(item.strip() for item in hashes))


def _version(wanted: Requirement) -> str:
    (only,) = wanted.specifier
    return only.version


def archives(name: str, target: Target, cache: Path) -> list[Archive]:
    """Return an archive for each package, downloaded unless the cache has it.

    Raises:
        UsageError: a package has no wheel for the target (VEL751), or pip fails (VEL756).
    """
    wanted = pinned(name, target)
    lines = "".join(f"{item.line()}\n" for item in wanted)
    key = hashlib.sha256(f"{target}\n{lines}".encode()).hexdigest()[:16]
    folder = cache / "archives" / key
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as temporary:
            _download(name, lines, target, Path(temporary))
            (Path(temporary) / "files").rename(folder)
    return list(_matched(wanted, folder))


def _matched(wanted: list[Pinned], folder: Path) -> Iterator[Archive]:
    results = {_sha256(path): path for path in sorted(folder.iterdir())}
    for item in wanted:
        digest = next((digest for digest in sorted(item.digests) if digest in results), "")
        if not digest:
            what = f"the cached archive of {item.name} {item.version} is missing or damaged"
            raise UsageError("VEL756", what, where=str(folder), fix=f"delete {folder}, and run the command again")
        yield Archive(item, results[digest], digest)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _download(name: str, lines: str, target: Target, folder: Path) -> None:
    machine = target.machine
    listed = folder / "list.txt"
    listed.write_text(lines, encoding="utf-8")
    older = [f"manylinux_2_{minor}_{machine}" for minor in range(_LIBC, 4, -1)]
    platforms = [*older, *(f"manylinux{year}_{machine}" for year in ("2014", "2010", "1"))]
    arguments = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    arguments += ["--only-binary=:all:", f"--no-binary={','.join(SOURCES)}", "--implementation=cp"]
    arguments += [f"--python-version={target.python}.99", *(f"--platform={platform}" for platform in platforms)]
    arguments += [f"--dest={folder / 'files'}", f"--requirement={listed}"]
    done = subprocess.run([*pip(), *arguments], capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode == 0:
        return
    last = (done.stderr.strip().splitlines() or ["no output"])[-1]
    if absent := _ABSENT.search(done.stderr):
        package, _, version = absent[1].partition("==")
        what = f"{package} {version} has no wheel for {target}"
        fix = "build the other platforms (`--platform`), or ask the package's authors for that wheel"
        raise UsageError("VEL751", what, where=f"lock/images/{name}.txt", fix=fix)
    fix = "check pip's index and proxy settings (`pip config list`), and run the command again"
    raise UsageError("VEL756", f"pip cannot download the packages: {last}", where=f"lock/images/{name}.txt", fix=fix)


def pip() -> list[str]:
    """Return how pip is called: as a module, or from the wheel that Python itself brings.

    Raises:
        UsageError: this Python has neither (VEL756).
    """
    if find_spec("pip"):
        return [sys.executable, "-P", "-m", "pip"]
    bundled = find_spec("ensurepip")
    # Debian and Fedora move the wheel out of ensurepip, and Python's build settings name its folder.
    moved = sysconfig.get_config_var("WHEEL_PKG_DIR")
    folders = [Path(moved)] if moved else []
    folders += [Path(bundled.origin).parent / "_bundled"] if bundled and bundled.origin else []
    for wheel in (wheel for folder in folders for wheel in sorted(folder.glob("pip-*.whl"))):
        return [sys.executable, "-P", str(wheel / "pip")]
    fix = f"install it: {sys.executable} -m ensurepip, or on Debian apt-get install python3-venv"
    raise UsageError("VEL756", "this Python has no pip", where=sys.executable, fix=fix)
