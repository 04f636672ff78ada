"""What ``vellum render --gitops`` adds: Argo CD and Flux apply the same objects, in the order of the tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml
from tests.compose.render import CLAIM, EVERYTHING
from tests.compose.world import PLATFORMS

from vellum.kube.objects import Key, Obj, annotations_of
from vellum.package import tree

PACKAGE = f"registry.example.org/vellum/function-vellum@sha256:{'0' * 64}"
IN_GIT = ("--repository", "https://git.example.org/platform.git", "--branch", "main", "--path", "./clusters/a/")
Files = dict[str, list[Obj]]


def render(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "vellum.cli", "render", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("asked")
    (folder / "platform.yaml").write_text(PLATFORMS["light"])
    (folder / "claim.yaml").write_text(CLAIM + EVERYTHING)
    return [str(folder), "--function", PACKAGE]


def written(folder: Path) -> Files:
    return {
        str(path.relative_to(folder)): list(yaml.safe_load_all(path.read_text()))
        for path in sorted(folder.glob("*/*.yaml"))
    }


def in_git(asked: list[str], folder: Path, *more: str) -> Files:
    done = render(*asked, "--output", str(folder), *more)
    assert done.returncode == 0, done.stderr
    return written(folder)


@pytest.fixture(scope="module")
def folder(asked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the tree as it is, for Argo CD, and for Flux."""
    folder = tmp_path_factory.mktemp("git")
    in_git(asked, folder / "plain")
    for tool in ("argocd", "flux"):
        in_git(asked, folder / tool, "--gitops", tool, *IN_GIT)
    return folder


@pytest.fixture
def tree_alone(folder: Path) -> Files:
    return written(folder / "plain")


@pytest.fixture
def argo(folder: Path) -> Files:
    return written(folder / "argocd")


@pytest.fixture
def flux(folder: Path) -> Files:
    return written(folder / "flux")


def plain(obj: Obj) -> Obj:
    """Return an object without what Argo CD reads off it."""
    annotations = {name: text for name, text in annotations_of(obj).items() if "argocd" not in name}
    meta = {name: value for name, value in obj["metadata"].items() if name != "annotations"}
    return {**obj, "metadata": {**meta, "annotations": annotations} if annotations else meta}


def numbered(files: Files) -> Files:
    return {path: objects for path, objects in files.items() if path[0].isdigit()}


def test_every_object_has_a_wave_and_waves_rise_by_folder(tree_alone: Files, argo: Files, folder: Path) -> None:
    result = numbered(argo)
    assert {path: list(map(plain, objects)) for path, objects in result.items()} == tree_alone

    waves = [
        (path.partition("/")[0], int(annotations_of(obj)["argocd.argoproj.io/sync-wave"]))
        for path, objects in result.items()
        for obj in objects
    ]
    assert list(dict.fromkeys(waves)) == sorted({*waves}, key=lambda item: item[1])
    assert len({folder for folder, _ in waves}) == len({*waves}) == len({wave for _, wave in waves}) == 10
    assert list(result) == [str(path.relative_to(folder / "argocd")) for path in tree.in_order(folder / "argocd")]


def test_argo_cd_prunes_nothing_and_skips_missing_kinds(argo: Files) -> None:
    options = {
        obj["kind"]: annotations_of(obj)["argocd.argoproj.io/sync-options"]
        for objects in numbered(argo).values()
        for obj in objects
    }
    kept, early = "Prune=false,Delete=false", "Prune=false,Delete=false,SkipDryRunOnMissingResource=true"
    assert {kind: text for kind, text in options.items() if text != kept} == {
        "ProviderConfig": early,
        "KubeflowPlatform": early,
        "MLOpsPlatform": early,
    }


def test_argo_cds_application_is_the_folder_without_itself(argo: Files) -> None:
    (application,) = argo["argocd/application.yaml"]
    assert application["spec"]["source"] == {
        "repoURL": "https://git.example.org/platform.git",
        "targetRevision": "main",
        "path": "clusters/a",
        "directory": {"recurse": True, "exclude": "{argocd/*,flux/*}"},
    }
    assert application["spec"]["syncPolicy"]["automated"] == {"prune": False, "selfHeal": True}
    assert "finalizers" not in application["metadata"]


def test_flux_applies_the_tree_as_it_is_folder_after_folder(tree_alone: Files, flux: Files) -> None:
    assert numbered(flux) == tree_alone

    steps = {step["metadata"]["name"]: step["spec"] for step in flux["flux/kustomizations.yaml"]}
    order = TopologicalSorter(
        {name: [item["name"] for item in spec.get("dependsOn", ())] for name, spec in steps.items()}
    ).static_order()
    assert [steps[name]["path"] for name in order] == [
        f"./clusters/a/{folder}" for folder in dict.fromkeys(path.partition("/")[0] for path in tree_alone)
    ]
    assert [len(spec.get("dependsOn", ())) for spec in steps.values()] == [0, *[1] * (len(steps) - 1)]
    assert {(spec["wait"], spec["prune"], spec["deletionPolicy"]) for spec in steps.values()} == {
        (True, False, "Orphan")
    }


def test_flux_reads_the_named_repository_with_the_named_secret(asked: list[str], tmp_path: Path) -> None:
    files = in_git(asked, tmp_path / "git", "--gitops", "flux", *IN_GIT, "--secret", "git")
    (repository,) = files["flux/source.yaml"]
    assert repository["spec"] == {
        "url": "https://git.example.org/platform.git",
        "ref": {"branch": "main"},
        "interval": "1m",
        "secretRef": {"name": "git"},
    }


NEVER_SAYS = {"Composition", "DeploymentRuntimeConfig", "ProviderConfig"}
"""Crossplane's kinds that have no condition when all is well (as argo-cd v3.6.1 checks them itself)."""


def test_both_wait_for_every_kind_that_says_whether_it_is_ready(argo: Files, flux: Files) -> None:
    custom = {
        (obj["apiVersion"], obj["kind"])
        for objects in numbered(flux).values()
        for obj in objects
        if "." in obj["apiVersion"] and "k8s.io" not in obj["apiVersion"] and obj["kind"] not in NEVER_SAYS
    }
    (settings,) = argo["argocd/settings.yaml"]
    prefix = "resource.customizations.health."
    known = {name.removeprefix(prefix) for name in settings["data"] if name.startswith(prefix)}
    assert known == {f"{version.partition('/')[0]}_{kind}" for version, kind in custom}
    checked = [
        (check["apiVersion"], check["kind"])
        for step in flux["flux/kustomizations.yaml"]
        for check in step["spec"].get("healthCheckExprs", ())
    ]
    assert sorted(checked) == sorted(custom)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ([], "missing: --repository, --branch, --path"),
        (["--repository", "https://git.example.org/x.git", "--branch", "main"], "missing: --path"),
        ([*IN_GIT, "--path", "../elsewhere"], "the path is not in the repository"),
        ([*IN_GIT, "--path", "/clusters"], "the path is not in the repository"),
    ],
)
def test_where_the_tree_lies_is_said_and_not_guessed(
    asked: list[str], tmp_path: Path, more: list[str], what: str
) -> None:
    done = render(*asked, "--output", str(tmp_path / "git"), "--gitops", "flux", *more)
    assert (done.returncode, "VEL730" in done.stderr, what in done.stderr) == (1, True, True)
    assert not (tmp_path / "git").exists()


def test_a_tree_that_was_told_to_flux_can_be_told_to_argo_cd(asked: list[str], folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(folder / "flux", tmp_path / "git")
    in_git(asked, folder, "--gitops", "argocd", *IN_GIT, "--prune")
    assert [path for path in written(folder) if not path[0].isdigit()] == [
        "argocd/application.yaml",
        "argocd/settings.yaml",
    ]
    keys = [Key.of(obj) for objects in written(folder).values() for obj in objects]
    assert len(keys) == len({*keys})
