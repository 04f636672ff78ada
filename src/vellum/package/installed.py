"""What pip would install into a virtual environment, as the entries of a layer. Nothing is run or unpacked on disk."""

from __future__ import annotations

import configparser
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vellum._version import __version__
from vellum.errors import UsageError
from vellum.oci.archive import Deflated, Entry, File, Link, plain
from vellum.package import charts, pinned
from vellum.package.pinned import Archive

VENV = "venv"
_EXECUTABLE = 0o111
_PROGRAM = 0o755
_LOCAL = struct.Struct("<26xHH")
_HERE = Path(__file__).resolve()
_IN_WHEEL, _IN_CHECKOUT = _HERE.parents[1] / "pages/errors", _HERE.parents[3] / "docs/errors"
_PAGES = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
_DATA = {"charts": charts.FOLDER, "locks": pinned.FOLDER, "pages/errors": _PAGES}
"""Folders that a wheel has in the package, and a checkout elsewhere."""
_SKIPPED = ("test", "tests", "docs", "examples")
_LAUNCHER = """\
#!/{venv}/bin/python
import sys
from {module} import {first}
sys.exit({call}())
"""


@dataclass(frozen=True, slots=True)
class Python:
    """The interpreter of a base image."""

    version: str
    """Such as ``3.12``."""
    path: str
    """Such as ``usr/local/bin/python3.12``."""

    @property
    def site(self) -> str:
        """The folder of packages in the virtual environment."""
        return f"{VENV}/lib/python{self.version}/site-packages"


def environment(python: Python) -> dict[str, Entry]:
    """Return the virtual environment itself, as ``python -m venv`` makes it."""
    home = str(PurePosixPath("/", python.path).parent)
    text = f"home = {home}\ninclude-system-site-packages = false\nversion = {python.version}\n"
    return {
        f"{VENV}/pyvenv.cfg": plain(text.encode()),
        f"{VENV}/bin/python": Link(f"/{python.path}"),
        f"{VENV}/bin/python3": Link("python"),
        f"{VENV}/bin/python{python.version}": Link("python"),
    }


def packages(archives: list[Archive], python: Python, opened: ExitStack) -> dict[str, Entry]:
    """Return the files of all archives; ``opened`` closes the archives after the layer is written.

    Raises:
        UsageError: an archive has a path outside the environment (VEL756).
    """
    entries: dict[str, Entry] = {}
    for archive in archives:
        if archive.path.suffix == ".whl":
            files = _wheel(opened.enter_context(zipfile.ZipFile(archive.path)), python)
        else:
            source = opened.enter_context(tarfile.open(archive.path))  # noqa: SIM115  # the stack closes it
            files = _source(source, archive, python)
        for path, entry in files:
            if ".." in path.split("/"):
                raise _refused(archive, path, "a file outside the environment")
            entries.setdefault(path, entry)
    return entries


def _refused(archive: Archive, path: str, why: str) -> UsageError:
    fix = f"check the archive {archive.path}"
    return UsageError("VEL756", f"{archive.package.name} has {why}: {path[:100]!r}", where="lock/images", fix=fix)


def _wheel(wheel: zipfile.ZipFile, python: Python) -> Iterator[tuple[str, Entry]]:
    for info in wheel.infolist():
        if info.is_dir():
            continue
        first, _, rest = info.filename.partition("/")
        mode = _PROGRAM if info.external_attr >> 16 & _EXECUTABLE else 0o644
        if not first.endswith(".data"):
            yield f"{python.site}/{info.filename}", _file(wheel, info, mode)
            if info.filename.endswith(".dist-info/entry_points.txt") and info.filename.count("/") == 1:
                yield from launchers(wheel.read(info).decode())
            continue
        scheme, _, inner = rest.partition("/")
        if scheme in ("purelib", "platlib"):
            yield f"{python.site}/{inner}", _file(wheel, info, mode)
        elif scheme == "data":
            yield f"{VENV}/{inner}", _file(wheel, info, mode)
        elif scheme == "scripts":
            yield f"{VENV}/bin/{inner}", _script(wheel, info)


def _script(wheel: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry:
    with wheel.open(info) as stream:
        start = stream.readline(100)
    if not start.startswith(b"#!python"):
        return _file(wheel, info, _PROGRAM)
    return plain(f"#!/{VENV}/bin/python\n".encode() + wheel.read(info)[len(start) :], _PROGRAM)


def _file(wheel: zipfile.ZipFile, info: zipfile.ZipInfo, mode: int) -> File:
    if info.compress_type != zipfile.ZIP_DEFLATED:
        return File(lambda: wheel.read(info), mode)
    return File(lambda: _deflated(wheel, info), mode)


def _deflated(wheel: zipfile.ZipFile, info: zipfile.ZipInfo) -> Deflated:
    """Return the file as the wheel holds it, still compressed."""
    stream = wheel.fp
    assert stream is not None
    stream.seek(info.header_offset)
    name, extra = _LOCAL.unpack(stream.read(_LOCAL.size))
    stream.seek(info.header_offset + _LOCAL.size + name + extra)
    return Deflated(stream.read(info.compress_size), info.file_size, info.CRC)


def launchers(text: str) -> Iterator[tuple[str, Entry]]:
    """Yield a program for each entry of ``console_scripts``."""
    points = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    points.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    points.read_string(text)
    if not points.has_section("console_scripts"):
        return
    for name, target in points.items("console_scripts"):
        module, _, attribute = target.partition("[")[0].strip().partition(":")
        first = attribute.partition(".")[0]
        program = _LAUNCHER.format(venv=VENV, module=module.strip(), first=first, call=attribute.strip())
        yield f"{VENV}/bin/{name}", plain(program.encode(), _PROGRAM)


def _source(source: tarfile.TarFile, archive: Archive, python: Python) -> Iterator[tuple[str, Entry]]:
    """Yield the packages of a source archive of plain Python, and its metadata."""
    members = {item.name.partition("/")[2]: item for item in source.getmembers() if item.isfile()}
    tops = {path.partition("/")[0] for path in members if path.endswith("/__init__.py") and path.count("/") == 1}
    for path, member in sorted(members.items()):
        top = path.partition("/")[0]
        if top in tops and top not in _SKIPPED:
            yield f"{python.site}/{path}", File(lambda member=member: _member(source, member))  # type: ignore[misc]
    folder = f"{archive.package.name.replace('-', '_')}-{archive.package.version}.dist-info"
    yield f"{python.site}/{folder}/METADATA", File(lambda: _member(source, members["PKG-INFO"]))


def _member(source: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = source.extractfile(member)
    assert stream is not None
    return stream.read()


def vellum(python: Python) -> dict[str, Entry]:
    """Return Vellum's own package, the same from a checkout and from a wheel."""
    root = _HERE.parents[1]
    results = dict(_below(root, f"{python.site}/vellum"))
    for name, folder in _DATA.items():
        results |= _below(folder, f"{python.site}/vellum/{name}")
    metadata = f"Metadata-Version: 2.1\nName: vellum-mlops\nVersion: {__version__}\n"
    return {
        **results,
        f"{python.site}/vellum_mlops-{__version__}.dist-info/METADATA": plain(metadata.encode()),
        **dict(launchers("[console_scripts]\nvellum = vellum.cli.main:main\n")),
    }


def _below(folder: Path, inside: str) -> Iterator[tuple[str, Entry]]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            yield f"{inside}/{path.relative_to(folder).as_posix()}", File(path.read_bytes)
