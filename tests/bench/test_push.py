"""``vellum package push`` to the CNCF's registry, and Helm that pulls from it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.bench import registries
from tests.oci import bases

from vellum._version import __version__
from vellum.package.charts import OWN, own, version

TAG = f"v{__version__}"
INDEX, MANIFEST = "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"


def package(folder: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "vellum.cli", "package", *map(str, words)]
    env = {**os.environ, "DOCKER_CONFIG": str(folder / "docker"), **environment}
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a layout with the function for both platforms and the charts."""
    folder = tmp_path_factory.mktemp("build")
    base = bases.write(folder / "base")
    done = package(folder, "build", "--base", base, "--layout", folder / "layout", "--image", "function-vellum")
    assert done.returncode == 0, done.stderr
    return folder / "layout"


def asked(host: str, repository: str, version: str, kind: str) -> dict[str, Any]:
    request = urllib.request.Request(f"http://{host}/v2/{repository}/manifests/{version}", headers={"Accept": kind})
    with urllib.request.urlopen(request, timeout=10) as answer:
        result: dict[str, Any] = json.load(answer)
    return result


def test_a_push_can_be_pulled_and_its_lock_names_every_digest(
    built: dict[str, Path], layout: Path, tmp_path: Path
) -> None:
    """A second push uploads nothing. Helm pulls the charts, and the bills of materials are referrers."""
    with registries.running(built["registry"], tmp_path / "registry") as host:
        done = package(tmp_path, "push", f"{host}/team/vellum", "--layout", layout, "--output", "json")
        assert done.returncode == 0, done.stderr
        lock = json.loads(done.stdout)
        assert json.loads((tmp_path / "vellum-images.lock").read_text()) == lock
        assert str(tmp_path) not in json.dumps(lock)
        again = package(tmp_path, "push", f"{host}/team/vellum", "--layout", layout)
        assert (again.returncode, " MB " in again.stderr) == (0, False)

        reference = lock["packages"]["function-vellum"]
        repository, _, digest = reference.removeprefix(f"{host}/").partition("@")
        index = asked(host, repository, TAG, INDEX)
        assert index == asked(host, repository, digest, INDEX)
        for item in index["manifests"]:
            manifest = asked(host, repository, item["digest"], MANIFEST)
            assert manifest["layers"][-1]["annotations"] == {"io.crossplane.xpkg": "base"}
            (referrer,) = asked(host, repository, item["digest"].replace(":", "-"), INDEX)["manifests"]
            assert referrer["artifactType"] == "application/vnd.cyclonedx+json"
            assert asked(host, repository, referrer["digest"], MANIFEST)["subject"]["digest"] == item["digest"]

        for name in OWN:
            pulled(built["helm"], f"oci://{host}/team/vellum/charts/{name}", version(name), tmp_path)
            for path, content in own(name).items():
                assert (tmp_path / name / path).read_bytes() == content


def pulled(helm: Path, chart: str, version: str, folder: Path) -> None:
    homes = {f"HELM_{what}_HOME": str(folder / "helm") for what in ("CACHE", "CONFIG", "DATA")}
    argv: list[str | Path] = [helm, "pull", chart, "--version", version, "--plain-http", "--untar"]
    done = subprocess.run(argv, cwd=folder, env={**os.environ, **homes}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("helper", [False, True])
def test_a_registry_accepts_dockers_login_and_refuses_none(
    built: dict[str, Path], layout: Path, tmp_path: Path, helper: bool
) -> None:
    """Both ways of Docker's settings: the login itself, and a credential helper."""
    with registries.running(built["registry"], tmp_path / "registry", login=True) as host:
        refused = package(tmp_path, "push", host, "--layout", layout)
        assert refused.returncode == 1
        assert f"docker login {host}" in refused.stderr
        docker = tmp_path / "docker"
        docker.mkdir()
        if helper:
            program = docker / "docker-credential-test"
            login = json.dumps({"Username": registries.USER, "Secret": registries.PASSWORD})
            program.write_text(f"#!/bin/sh\nread host\n[ \"$host\" = {host} ] && echo '{login}'\n")
            program.chmod(0o755)
            settings: dict[str, Any] = {"credHelpers": {host: "test"}}
        else:
            words = base64.b64encode(f"{registries.USER}:{registries.PASSWORD}".encode()).decode()
            settings = {"auths": {host: {"auth": words}}}
        (docker / "config.json").write_text(json.dumps(settings))
        done = package(tmp_path, "push", host, "--layout", layout, PATH=f"{docker}:{os.environ['PATH']}")
        assert done.returncode == 0, done.stderr


def test_an_interrupted_push_continues(built: dict[str, Path], layout: Path, tmp_path: Path) -> None:
    """The first push is killed at its first large layer; the next one skips what the registry has."""
    with registries.running(built["registry"], tmp_path / "registry") as host:
        argv: list[str | Path] = [sys.executable, "-m", "vellum.cli", "package", "push", host, "--layout", layout]
        with subprocess.Popen(argv, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as first:
            assert first.stderr is not None
            sent = {line.split()[-1] for line in iter(first.stderr.readline, "") if stopped(first, line)}
        assert not (tmp_path / "vellum-images.lock").exists()
        second = package(tmp_path, "push", host, "--layout", layout)
        assert second.returncode == 0, second.stderr
        uploaded = {line.split()[-1] for line in second.stderr.splitlines() if " MB " in line}
        assert sent
        assert uploaded
        assert not sent & uploaded


def stopped(push: subprocess.Popen[str], line: str) -> bool:
    """Kill the push once it has uploaded something; tell whether the line names an upload."""
    if " MB " in line:
        push.kill()
    return " MB " in line


def test_a_registry_that_is_gone_is_an_error(built: dict[str, Path], layout: Path, tmp_path: Path) -> None:
    with registries.running(built["registry"], tmp_path / "registry") as host:
        pass
    gone = package(tmp_path, "push", host, "--layout", layout)
    assert gone.returncode == 1
    assert "VEL757" in gone.stderr
    assert not (tmp_path / "vellum-images.lock").exists()


def test_a_base_in_a_registry_is_pulled_and_the_lock_keeps_its_digest(
    built: dict[str, Path], layout: Path, tmp_path: Path
) -> None:
    """The function's image is the base here, because it contains a Python. A later build takes the base of the lock."""
    words = ("--image", "function-vellum", "--platform", "linux/amd64", "--output", "json")
    with registries.running(built["registry"], tmp_path / "registry") as host:
        pushed = package(tmp_path, "push", f"{host}/base", "--layout", layout, "--output", "json")
        name, _, digest = json.loads(pushed.stdout)["packages"]["function-vellum"].partition("@")
        (tmp_path / "vellum-images.lock").unlink()
        item = package(tmp_path, "build", "--base", f"{name}:{TAG}", "--layout", "one", *words)
        assert item.returncode == 0, item.stderr
        again = package(tmp_path, "push", f"{host}/more", "--layout", "one", "--output", "json")
        assert json.loads(again.stdout)["base"] == f"{name}@{digest}"
        two = package(tmp_path, "build", "--layout", "two", *words)
    (first,) = (image for image in json.loads(item.stdout)["images"] if image["kind"] == "package")
    assert first in json.loads(two.stdout)["images"]
