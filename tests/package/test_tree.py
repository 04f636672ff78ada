"""The tree for git: everything that Crossplane needs, the same bytes every time, and no secret."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.compose.render import CLAIM, EVERYTHING, worlds
from tests.compose.world import PLATFORMS

from vellum.components import team_components
from vellum.compose import prerequisites
from vellum.compose.entry import PLATFORM
from vellum.kube import names
from vellum.package import lock, rights, tree
from vellum.package.compositions import compositions

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/render.yaml"
PACKAGE = f"registry.example.org/vellum/function-vellum@sha256:{'0' * 64}"


def render(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "vellum.cli", "render", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "platform.yaml").write_text(PLATFORMS["light"])
    (tmp_path / "claim.yaml").write_text(CLAIM + EVERYTHING)
    return [str(tmp_path / "claim.yaml"), str(tmp_path / "platform.yaml")]


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_tree_is_what_the_golden_file_says(files: list[str]) -> None:
    output = render(*files, "--function", PACKAGE).stdout
    if os.environ.get("VELLUM_GOLDEN"):
        GOLDEN.write_text(output)
    assert output == GOLDEN.read_text()


def test_files_printed_yaml_and_json_say_the_same(files: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "git"
    assert render(*files, "--output", str(folder)).returncode == 0
    written = {path: list(yaml.safe_load_all(text)) for path, text in contents(folder).items() if "/" in path}
    printed = list(yaml.safe_load_all(render(*files).stdout))
    assert [obj for objects in written.values() for obj in objects] == printed
    assert json.loads(render(*files, "--output", "json").stdout) == written


def test_what_is_applied_first_comes_first(files: list[str]) -> None:
    kinds = [obj["kind"] for obj in yaml.safe_load_all(render(*files, "--function", PACKAGE).stdout)]
    order = [
        "ClusterRole",
        "ClusterRoleBinding",
        "DeploymentRuntimeConfig",
        "Provider",
        "ProviderConfig",
        "CompositeResourceDefinition",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "Function",
        "Composition",
        "KubeflowPlatform",
        "Namespace",
        "MLOpsPlatform",
    ]
    assert list(dict.fromkeys(kinds)) == order


def test_a_deleted_claim_keeps_its_file_until_a_prune(files: list[str], tmp_path: Path) -> None:
    """Rendering again changes nothing, and the file of a deleted claim stays until it is pruned."""
    folder = tmp_path / "git"
    render(*files, "--output", str(folder))
    (folder / "README.md").write_text("mine")
    before = contents(folder)
    assert "0 changed" in render(*files, "--output", str(folder)).stderr
    assert contents(folder) == before
    output = render(files[1], "--output", str(folder)).stderr
    assert {path: text for path, text in contents(folder).items() if path != lock.NAME} == {
        path: text for path, text in before.items() if path != lock.NAME
    }
    assert "kept: 60-teams/team-a.research.yaml, which is not rendered now; --prune removes it" in output
    render(files[1], "--output", str(folder), "--prune")
    assert before.keys() - contents(folder).keys() == {"55-namespaces/team-a.yaml", "60-teams/team-a.research.yaml"}
    assert (folder / "README.md").read_text() == "mine"


def test_a_list_that_names_files_elsewhere_removes_nothing_there(files: list[str], tmp_path: Path) -> None:
    folder, victim = tmp_path / "git", tmp_path / "victim.yaml"
    render(*files, "--output", str(folder))
    victim.write_text("mine")
    with (folder / tree.MARK).open("a") as listed:
        listed.write(f"../victim.yaml\n{victim}\n60-teams/../../victim.yaml\n")
    render(*files, "--output", str(folder), "--prune")
    assert victim.read_text() == "mine"


def test_a_claim_called_namespace_has_its_own_file(tmp_path: Path) -> None:
    """The claim's file differs from the file of its namespace."""
    (tmp_path / "claim.yaml").write_text(CLAIM.replace("research", "namespace") + "spec: {}\n")
    result = json.loads(render(str(tmp_path / "claim.yaml"), "--output", "json").stdout)
    kinds = {path: [obj["kind"] for obj in objects] for path, objects in result.items() if path > "5"}
    assert kinds == {"55-namespaces/team-a.yaml": ["Namespace"], "60-teams/team-a.namespace.yaml": ["MLOpsPlatform"]}


def test_a_folder_with_other_things_is_left_alone(files: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    done = render(*files, "--output", str(folder))
    assert (done.returncode, "VEL708" in done.stderr, list(contents(folder))) == (1, True, ["thesis.tex"])


def test_a_claim_that_is_wrong_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "claim.yaml").write_text(CLAIM + "spec: {size: huge}\n")
    done = render(str(tmp_path / "claim.yaml"), "--output", str(tmp_path / "git"))
    assert (done.returncode, "VEL115" in done.stderr, (tmp_path / "git").exists()) == (1, True, False)


def test_no_secret_is_rendered(files: list[str]) -> None:
    output = render(*files, "--function", PACKAGE).stdout
    assert not re.search("kind: Secret$", output, re.MULTILINE)


def test_every_composed_kind_is_covered_by_a_right_or_held_by_crossplane() -> None:
    (role,) = [role for role in rights.roles() if role["metadata"]["name"] == "vellum:compose"]
    covered = {(group, name) for rule in role["rules"] for group in rule["apiGroups"] for name in rule["resources"]}
    held = {
        ("", "secrets"),
        ("", "serviceaccounts"),
        ("", "services"),
        ("", "configmaps"),
        ("protection.crossplane.io", "clusterusages"),
        ("protection.crossplane.io", "usages"),
    }
    made = {(obj["apiVersion"].rpartition("/")[0], names.plural(obj["kind"])) for obj in rights._objects()}
    assert made <= covered | held
    assert {
        ("", "namespaces"),
        ("kubeflow.org", "notebooks"),
        ("serving.kserve.io", "inferenceservices"),
        ("networking.k8s.io", "networkpolicies"),
        ("apps", "statefulsets"),
        ("seaweed.seaweedfs.com", "s3policies"),
        ("seaweed.seaweedfs.com", "s3credentials"),
    } <= covered


@pytest.mark.parametrize(
    "case", ["claim-full-external", "claim-full-light", "platform-external-light", "platform-light"]
)
def test_what_a_pass_asks_for_may_be_read(case: str) -> None:
    (role,) = [role for role in rights.roles() if role["metadata"]["name"] == "vellum:compose"]
    read = {
        (group, name)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for name in rule["resources"]
        if {"*", "get"} & set(rule["verbs"])
    }
    # Crossplane's own: secrets and configmaps by its chart, Provider as its kind, ours by its rbac-manager.
    own = {
        ("", "secrets"),
        ("", "configmaps"),
        ("", "serviceaccounts"),
        ("", "services"),
        ("apps", "deployments"),
        ("pkg.crossplane.io", "providers"),
        ("platform.vellum.dev", "kubeflowplatforms"),
    }
    asked = worlds()[case].settle().requirements.values()
    kinds = {(item.api_version.rpartition("/")[0], names.plural(item.kind)) for item in asked}
    assert kinds - read <= own
    assert ("", "secrets") in kinds or case == "claim-full-light"


def test_what_a_pass_always_asks_for_is_looked_up_before_its_first_call() -> None:
    claims, platforms = compositions()
    known = [
        {entry["requirementName"] for entry in item["spec"]["pipeline"][0]["requirements"]["requiredResources"]}
        for item in (claims, platforms)
    ]
    kinds = [kind for part in team_components().values() for kind in part.kinds]
    groups = {
        "v1.cert-manager.io",
        "v1.kubeflow.org",
        "v1.networking.istio.io",
        "v1.seaweed.seaweedfs.com",
        "v1.security.istio.io",
        "v1alpha1.argoproj.io",
        "v1alpha1.serving.kserve.io",
        "v1alpha1.trainer.kubeflow.org",
        "v1alpha2.jobset.x-k8s.io",
        "v1beta1.helm.crossplane.io",
        "v1beta1.protection.crossplane.io",
        "v1beta1.serving.kserve.io",
    }
    platform = {"provider-helm/provider", *(f"api/{name}" for name in groups)}
    assert known == [{"platform", *prerequisites.questions(kinds)}, platform]
    assert PLATFORM.name == "kubeflow"
