"""The notebook's environment is made once, keeps a user's packages, and follows Python: real venvs, no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vellum.errors import LaptopError
from vellum.workloads.notebook import environment

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Path]:
    """Return an environment that was just made, and the home beside it; the path has a space, as state may."""
    folder, home = tmp_path / "a state" / "environment", tmp_path / "a state" / "work"
    home.mkdir(parents=True)
    environment.prepare(folder, home)
    return folder, home


def installed(folder: Path, name: str, version: str, more: str = "", python: str = PYTHON) -> None:
    """Put a package into the environment as pip leaves it."""
    packages = folder / "lib" / python / "site-packages"
    info = packages / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if more:
        (info / "direct_url.json").write_text(more)
    (packages / f"{name}.py").write_text(f"version = {version!r}\n")


def python(folder: Path, code: str) -> str:
    argv = [str(folder / "bin" / "python"), "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={"PATH": os.defpath})
    return (done.stdout + done.stderr).strip()


def test_it_has_a_pip_of_its_own_and_vellums_packages_behind(place: tuple[Path, Path]) -> None:
    """Its own packages come first, so a version that a user installs wins."""
    folder, home = place
    packages = folder / "lib" / PYTHON / "site-packages"
    assert python(folder, "import pip, sys; print(pip.__path__[0], sys.prefix)") == f"{packages / 'pip'} {folder}"
    done = subprocess.run([folder / "bin" / "pip", "--version"], capture_output=True, text=True, check=True)
    assert str(packages / "pip") in done.stdout
    assert python(folder, "import click, vellum; print(vellum.__name__)") == "vellum"
    installed(folder, "click", "0.1")
    environment.prepare(folder, home)
    assert python(folder, "import click; print(click.version)") == "0.1"


@pytest.mark.parametrize("hurt", ["killed", "python gone", "python is another", "pip gone", "bin gone"])
def test_what_is_missing_is_made_again_and_the_rest_stays(place: tuple[Path, Path], hurt: str) -> None:
    folder, home = place
    installed(folder, "brought", "1.0")
    link = folder / "bin" / PYTHON
    if hurt == "killed":
        (folder / environment.MADE).unlink()
        shutil.rmtree(folder / "lib" / PYTHON / "site-packages" / "pip")
    elif hurt == "python gone":
        link.unlink()
        link.symlink_to("/nonexistent/cpython-3.11.1/bin/python3.11")
    elif hurt == "python is another":
        link.unlink()
        link.symlink_to("/bin/true")
    elif hurt == "pip gone":
        shutil.rmtree(folder / "lib" / PYTHON / "site-packages" / "pip")
    else:
        shutil.rmtree(folder / "bin")
    environment.prepare(folder, home)
    assert python(folder, "import brought, pip, vellum; print(brought.version)") == "1.0"
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("cut", ["first file", "half a file", "no record", "half a record", "before the move"])
def test_a_cut_extraction_of_pip_is_done_again(place: tuple[Path, Path], cut: str) -> None:
    folder, home = place
    installed(folder, "brought", "1.0")
    packages = folder / "lib" / PYTHON / "site-packages"
    (info,) = packages.glob("pip-*.dist-info")
    if cut == "first file":
        shutil.rmtree(info)
        shutil.rmtree(packages / "pip")
        (packages / "pip").mkdir()
        (packages / "pip/__init__.py").write_text("")
    elif cut == "half a file":
        os.truncate(packages / "pip/__main__.py", 20)
    elif cut == "no record":
        (info / "RECORD").unlink()
    elif cut == "half a record":
        os.truncate(info / "RECORD", 3000)
    else:
        (packages / ".vellum-pip").mkdir()
        (packages / "pip").rename(packages / ".vellum-pip/pip")
    if cut != "half a file":
        (folder / environment.MADE).unlink()
    environment.prepare(folder, home)
    done = subprocess.run([folder / "bin/pip", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in packages.iterdir() if "pip" in path.name and path != info] == ["pip"]
    assert python(folder, "import brought; print(brought.version)") == "1.0"


def test_a_pip_that_a_person_installed_stays(place: tuple[Path, Path]) -> None:
    """Its record also names files outside the folder, and compiled ones, which may be gone."""
    folder, home = place
    packages = folder / "lib" / PYTHON / "site-packages"
    (info,) = packages.glob("pip-*.dist-info")
    with (info / "RECORD").open("a") as record:
        record.write("../../../bin/pip,sha256=x,1\npip/__pycache__/gone.cpython-311.pyc,,\n")
    (packages / "pip/mark").touch()
    (folder / environment.MADE).unlink()
    environment.prepare(folder, home)
    assert (packages / "pip/mark").exists()


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b"[]", b"null", b'{"url": 1}', b'{"url": "a\\nb"}', b'"text"'])
def test_a_damaged_package_is_listed_by_its_name(place: tuple[Path, Path], damage: bytes) -> None:
    folder, home = place
    (folder / "lib" / PYTHON).rename(folder / "lib" / "python3.7")
    installed(folder, "hurt", "1.0", "{}", python="python3.7")
    installed(folder, "worse", "2.0", python="python3.7")
    installed(folder, "nameless", "2.0", python="python3.7")
    packages = folder / "lib" / "python3.7" / "site-packages"
    (packages / "hurt-1.0.dist-info/direct_url.json").write_bytes(damage)
    (packages / "worse-2.0.dist-info/METADATA").write_bytes(b"\xff\xfe")
    (packages / "nameless-2.0.dist-info/METADATA").write_bytes(b"Name: nameless\n")
    environment.prepare(folder, home)
    listed = (home / "packages-of-python-3.7.txt").read_text().splitlines()
    assert [line for line in listed if not line.startswith("#")] == ["hurt==1.0", "nameless", "worse"]


def test_another_python_gets_a_new_environment_and_a_list(place: tuple[Path, Path]) -> None:
    """The list says how to install the packages of the earlier Python again."""
    folder, home = place
    lib = folder / "lib"
    (lib / PYTHON).rename(lib / "python3.7")
    installed(folder, "brought", "1.0", python="python3.7")
    installed(folder, "built", "2.0", '{"url": "file:///tmp/built", "dir_info": {}}', "python3.7")
    (lib / "python3.7" / "site-packages" / "damaged-1.dist-info").mkdir()
    environment.prepare(folder, home)
    listed = (home / "packages-of-python-3.7.txt").read_text().splitlines()
    assert [line for line in listed if not line.startswith("#")] == ["brought==1.0", "built @ file:///tmp/built"]
    assert listed[1].endswith("%pip install -r ~/packages-of-python-3.7.txt")
    assert [path.name for path in lib.iterdir()] == [PYTHON]
    assert python(folder, "import pip; import brought").endswith("ModuleNotFoundError: No module named 'brought'")


def test_a_python_without_pip_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some distributions leave the package ``ensurepip`` out, and pip's wheel with it."""
    monkeypatch.setattr(environment, "ELSEWHERE", ())
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(LaptopError) as error:
        environment.prepare(tmp_path / "environment", tmp_path)
    assert (error.value.code, error.value.what.partition(",")[0]) == ("VEL430", "this Python comes without pip")
