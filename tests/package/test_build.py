"""``vellum package build`` and ``list``: the images as a layout, from the hashed lists and a base image."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from tests.oci import bases, runnable

from vellum.oci.layout import Layout
from vellum.package import pinned

ROOT = Path(__file__).parents[2]


def package(*words: object, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    argv = [python, "-m", "vellum.cli", "package", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)


def another_python(folder: Path) -> str:
    """Return a Python of another version with Vellum's core in it; the one of this test if the machine has no other."""
    uv = ROOT / ".tools/bin/uv"
    pyenv = sorted((Path.home() / ".pyenv/versions").glob("3.1[1-3].*/bin/python3"), reverse=True)
    for python in [*map(str, pyenv), *(f"python3.{minor}" for minor in (13, 12, 11))]:
        try:
            asked = subprocess.run([python, "--version"], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        if asked.stdout.startswith(f"Python {runnable.VERSION}."):
            continue
        subprocess.run([uv, "venv", "--quiet", "--python", python, folder / "other"], check=True)
        installed: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", folder / "other/bin/python"]
        lists: list[str | Path] = ["--constraint", ROOT / "lock/laptop.txt", "--editable", f"{ROOT}[package]"]
        subprocess.run([*installed, *lists], check=True)
        return str(folder / "other/bin/python")
    return sys.executable


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def built(base: Path, layout: Path, *words: str, python: str = sys.executable) -> list[dict[str, Any]]:
    done = package("build", "--base", base, "--layout", layout, *words, "--output", "json", python=python)
    assert done.returncode == 0, done.stderr
    result: list[dict[str, Any]] = json.loads(done.stdout)["images"]
    return result


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_builds_have_equal_bytes_and_list_names_what_is_in_them(tmp_path: Path) -> None:
    """The second build runs on another Python where the machine has it. Slow: pip downloads 36 archives at first."""
    base = bases.write(tmp_path / "base")
    item = built(base, tmp_path / "one", "--image", "function-vellum")
    built(base, tmp_path / "two", "--image", "function-vellum", python=another_python(tmp_path))
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert [(result["name"].split(":")[0], result["kind"], result["platforms"]) for result in item] == [
        ("charts/kubeflow-pipelines", "chart", []),
        ("charts/notebook-controller", "chart", []),
        ("function-vellum", "package", ["linux/amd64", "linux/arm64"]),
    ]
    listed = package("list", "--layout", tmp_path / "one", "--output", "json")
    assert json.loads(listed.stdout)["images"] == item


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_the_functions_image_runs_as_its_user_with_its_entry_point(tmp_path: Path) -> None:
    """The base is this machine's Python; the image is unpacked as a runtime unpacks it."""
    words = ("--image", "function-vellum", "--platform", "linux/amd64")
    built(runnable.base(tmp_path / "base"), tmp_path / "layout", *words)
    config = runnable.unpacked(Layout.existing(tmp_path / "layout"), "function-vellum", tmp_path / "root")
    helped = runnable.run(tmp_path / "root", config, *config["Entrypoint"], "--help")
    assert (helped.returncode, helped.stdout.splitlines()[0]) == (0, "Usage: vellum function [OPTIONS]")
    told = "import grpc, os, pwd, vellum.function.server as s; print(s.__file__, pwd.getpwuid(os.getuid()).pw_name)"
    done = runnable.run(tmp_path / "root", config, "python", "-c", told)
    site = f"/venv/lib/python{runnable.VERSION}/site-packages"
    assert (done.stdout, done.stderr) == (f"{site}/vellum/function/server.py vellum\n", "")


def test_a_base_without_a_platform_or_a_python_is_refused(tmp_path: Path) -> None:
    item = package(
        "build", "--base", bases.write(tmp_path / "one", architectures=("amd64",)), "--layout", tmp_path / "a"
    )
    old = package("build", "--base", bases.write(tmp_path / "old", python="3.10"), "--layout", tmp_path / "b")
    assert item.stderr.startswith("error VEL750: the base image does not have a platform linux/arm64\n  where: sha256:")
    assert old.stderr.startswith(
        "error VEL750: the base image does not have Python 3.11, 3.12 or 3.13\n  where: sha256:"
    )
    assert (item.returncode, old.returncode) == (1, 1)


def test_a_base_with_layers_of_another_compression_is_refused(tmp_path: Path) -> None:
    base = Layout.existing(bases.write(tmp_path / "base", architectures=("amd64",)))
    (index,) = base.index()
    manifest = base.read(base.read(index)["manifests"][0])
    base.path(manifest["layers"][0]["digest"]).write_bytes(b"\x28\xb5\x2f\xfd, as zstd begins")
    done = package("build", "--base", base.root, "--layout", tmp_path / "layout", "--platform", "linux/amd64")
    assert done.returncode == 1
    assert done.stderr.startswith("error VEL750: a layer of the base image cannot be read: ")


def test_a_folder_that_is_not_a_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    listed = package("list", "--layout", tmp_path)
    built_into = package("build", "--base", bases.write(tmp_path / "base"), "--layout", tmp_path)
    assert (listed.returncode, "VEL754: the folder is not an OCI image layout" in listed.stderr) == (1, True)
    assert (built_into.returncode, "VEL754: the folder has other files" in built_into.stderr) == (1, True)


def test_list_and_push_refuse_a_folder_whose_first_build_was_interrupted(tmp_path: Path) -> None:
    Layout.create(tmp_path)
    listed = package("list", "--layout", tmp_path)
    pushed = package("push", "127.0.0.1:1/vellum", "--layout", tmp_path)
    refusal = f"""error VEL754: the OCI image layout is not finished
  where: {tmp_path}
  next:  run `vellum package build` again, or make the layout again with the tool that wrote it
"""
    assert (listed.returncode, listed.stderr) == (1, refusal)
    assert (pushed.returncode, pushed.stderr) == (1, refusal)


def test_list_refuses_a_damaged_index(tmp_path: Path) -> None:
    Layout.create(tmp_path)
    (tmp_path / "index.json").write_text("{")
    listed = package("list", "--layout", tmp_path)
    expected = f"error VEL754: index.json is damaged\n  where: {tmp_path}\n"
    assert (listed.returncode, listed.stderr.partition("  next:")[0]) == (1, expected)


def test_pip_comes_from_the_folder_in_which_debian_keeps_its_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of `make setup` has no pip, and Debian's ensurepip contains no wheel."""
    (tmp_path / "pip-23.0.1-py3-none-any.whl").write_bytes(b"")
    monkeypatch.setattr(pinned, "find_spec", lambda _name: None)
    monkeypatch.setattr(sysconfig, "get_config_var", {"WHEEL_PKG_DIR": str(tmp_path)}.get)
    assert pinned.pip() == [sys.executable, "-P", str(tmp_path / "pip-23.0.1-py3-none-any.whl/pip")]


def test_before_a_build_list_names_what_a_build_creates(tmp_path: Path) -> None:
    done = package("list", "--layout", tmp_path / "none", "--output", "json")
    assert [
        (image["name"].split(":")[0], image["kind"], image["digest"]) for image in json.loads(done.stdout)["images"]
    ] == [
        ("charts/kubeflow-pipelines", "chart", ""),
        ("charts/notebook-controller", "chart", ""),
        ("function-vellum", "package", ""),
        ("notebook", "image", ""),
        ("qdrant-stand-in", "image", ""),
        ("workloads", "image", ""),
    ]
    assert not (tmp_path / "none").exists()
