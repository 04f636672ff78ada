"""The upgrade page: what changes since an earlier render, and what that means."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.compose.render import CLAIM, EVERYTHING
from tests.compose.world import PLATFORMS

from vellum.api import schema
from vellum.errors import VellumError
from vellum.kube.objects import Obj
from vellum.package import lock, meanings, tree
from vellum.package.differences import properties

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/upgrade.md"
PACKAGE = f"registry.example.org/vellum/function-vellum@sha256:{'0' * 64}"
DIGEST = f"@sha256:{'1' * 64}"
CHANGED = 3


def render(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "vellum.cli", "render", "--function", PACKAGE, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def write(folder: Path) -> Path:
    """Write a platform and a claim."""
    folder.mkdir()
    (folder / "platform.yaml").write_text(PLATFORMS["light"])
    (folder / "claim.yaml").write_text(CLAIM + EVERYTHING)
    return folder


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """Return a folder with a platform and a claim."""
    return write(tmp_path / "asked")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tree of them."""
    folder = tmp_path_factory.mktemp("rendered")
    done = render(str(write(folder / "asked")), "--output", str(folder / "git"))
    assert done.returncode == 0, done.stderr
    return folder / "git"


@pytest.fixture
def earlier(rendered: Path, tmp_path: Path) -> Path:
    """Return a copy that a test may change."""
    return shutil.copytree(rendered, tmp_path / "git")


def changes(asked: Path, earlier: Path) -> list[Obj]:
    done = render(str(asked), "--against", str(earlier), "--output", "json")
    result: list[Obj] = json.loads(done.stdout)["changes"]
    assert done.returncode == (CHANGED if result else 0), done.stderr
    return result


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change a file of the earlier tree, so that it is as another version of Vellum may have written it."""
    if path.name == lock.NAME:
        output = json.loads(path.read_text())
        change(output)
        path.write_text(json.dumps(output))
    else:
        objects = list(yaml.safe_load_all(path.read_text()))
        change(objects)
        path.write_text(tree.text(objects))


def told(items: list[Obj]) -> list[tuple[str, str, bool]]:
    return [(change["topic"], change["what"], change["grave"]) for change in items]


@pytest.mark.parametrize("tool", [[], ["--gitops", "argocd", "--repository", "x", "--branch", "b", "--path", "p"]])
def test_nothing_changed_says_so(asked: Path, tmp_path: Path, tool: list[str]) -> None:
    assert render(str(asked), "--output", str(tmp_path / "git"), *tool).returncode == 0
    done = render(str(asked), "--against", str(tmp_path / "git"))
    assert (done.returncode, done.stdout) == (0, "# Upgrade\n\nNothing changes.\n")


def older(text: Any) -> None:
    """Change the lock to the form of an earlier version."""
    text["vellum"] = "0.0.9"
    text["charts"]["cert-manager"]["version"] = "v1.20.0"
    text["charts"]["kubeflow-pipelines"]["version"] = "0.0.9"
    text["charts"]["kserve-runtimes"]["version"] = "v0.30.0"
    text["charts"]["kserve"]["values"]["kserve"]["controller"]["resources"]["limits"]["memory"] = "200Mi"
    text["charts"]["loki"] = {**text["charts"]["kserve"], "name": "loki", "version": "1.0.0"}
    del text["charts"]["notebook-controller"]
    text["images"]["kubeflow-pipelines"] = [
        item.replace("mysql:8.4", "mysql:8.0").replace("kfp-frontend:2.17.0", "kfp-frontend:2.16.0")
        for item in text["images"]["kubeflow-pipelines"]
    ]
    text["images"]["cert-manager"].append("quay.io/jetstack/cert-manager-ctl:v1.20.0")
    (team,) = [name for name in text["composed"] if name != lock.PLATFORM]
    made = text["composed"][team]
    (made_of_pods,) = [name for name in made if name.startswith("StatefulSet")]
    made[made_of_pods] = "another"
    made["PersistentVolumeClaim somewhere/gone"] = "another"
    del made[next(name for name in made if name.startswith("LimitRange"))]


def older_definition(objects: list[Obj]) -> None:
    fields = objects[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    fields["flavour"] = {"type": "string"}
    fields["size"]["default"] = "medium"
    fields["owner"]["maxLength"] = 300
    del fields["inference"]


def older_provider(objects: list[Obj]) -> None:
    (provider,) = [obj for obj in objects if obj["kind"] == "Provider"]
    provider["spec"]["package"] = provider["spec"]["package"].replace("v1.3.0", "v1.2.0")
    objects.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lost"}})


def older_platform(objects: list[Obj]) -> None:
    spec = objects[0]["spec"]
    spec["images"]["qdrant"] = f"registry.example.org/qdrant{DIGEST}"
    del spec["images"]["notebook"]
    spec["repair"] = "disabled"
    spec["artifacts"]["bucket"] = "other-bucket"


def older_claim(objects: list[Obj]) -> None:
    objects[0]["spec"] |= {"size": "large", "deletionPolicy": "Retain", "owner": "*eve* | <b>"}


def test_the_page_tells_every_kind_of_change_and_what_it_means(asked: Path, earlier: Path) -> None:
    edit(earlier / lock.NAME, older)
    edit(earlier / "10-apis/mlopsplatform.yaml", older_definition)
    edit(earlier / "05-provider/provider-helm.yaml", older_provider)
    edit(earlier / "50-platform/kubeflow.yaml", older_platform)
    edit(earlier / "60-teams/team-a.research.yaml", older_claim)
    done = render(str(asked), "--against", str(earlier))
    assert (done.returncode, done.stderr) == (CHANGED, "")
    if os.environ.get("VELLUM_GOLDEN"):
        GOLDEN.write_text(done.stdout)
    assert done.stdout == GOLDEN.read_text()


def test_the_upgrade_page_names_a_removed_claim_and_its_data(asked: Path, earlier: Path) -> None:
    (asked / "claim.yaml").write_text(CLAIM.replace("research", "other") + "spec: {deletionPolicy: Delete}\n")
    results = [change for change in changes(asked, earlier) if change["topic"] == "Claims"]
    assert told(results) == [
        ("Claims", "team-a/research does not have a file any more", True),
        ("Claims", "team-a/other is added", False),
    ]
    lost, kept = (" and ".join(names) for names in meanings.lost_with_a_claim())
    home = f"then its namespace is deleted, with {lost}; {kept}"
    assert results[0]["means"][1] == f"{home} stay (Retain)"

    backwards = asked.parent / "back"
    assert render(str(asked), "--output", str(backwards)).returncode == 0
    (asked / "claim.yaml").write_text(CLAIM + EVERYTHING)
    (gone,) = [
        change for change in changes(asked, backwards) if change["what"] == "team-a/other does not have a file any more"
    ]
    assert gone["means"][1] == f"{home} are deleted too (Delete)"


def test_a_step_that_compose_refuses_is_told_before_it_is_tried(asked: Path, earlier: Path) -> None:
    (asked / "platform.yaml").write_text(PLATFORMS["external"])
    results = {change["what"]: change for change in changes(asked, earlier)}
    store = results["objectStore.backend: seaweedfs → external"]
    assert (store["grave"], "refuses another value (StoreChanged)" in store["means"][0]) == (True, True)
    assert results["seaweedfs-operator: seaweedfs-operator 0.1.39 is removed"]["grave"]


def with_training(objects: list[Obj]) -> None:
    objects[0]["spec"] |= {"training": "enabled", "keys": {"generation": 2}}


def of_another_role(objects: list[Obj]) -> None:
    next(obj for obj in objects if obj["kind"] == "ClusterRoleBinding")["roleRef"]["name"] = "cluster-admin"


def test_what_cannot_be_undone_or_is_refused_is_told_with_a_mark(asked: Path, earlier: Path) -> None:
    edit(earlier / "50-platform/kubeflow.yaml", with_training)
    edit(earlier / "05-provider/provider-helm.yaml", of_another_role)
    without = PLATFORMS["light"].replace("training: enabled", "training: disabled")
    (asked / "platform.yaml").write_text(f"{without}  keys: {{generation: 3}}\n")
    text = EVERYTHING.replace("training: enabled", "training: disabled")
    (asked / "claim.yaml").write_text(f"{CLAIM}{text}  keys: {{generation: 2, overlap: 2h}}\n")

    result = changes(asked, earlier)

    assert [item for item in told(result) if item[0] in ("The platform", "Claims", "Other objects")] == [
        ("The platform", "keys.generation: 2 → 3", True),
        ("The platform", "training: enabled → disabled", True),
        ("Claims", "team-a/research: training: enabled → disabled", True),
        ("Claims", "team-a/research: keys.generation: not said → 2", True),
        ("Claims", "team-a/research: keys.overlap: not said → 2h", False),
        (
            "Other objects",
            "ClusterRoleBinding vellum:provider-helm: roleRef.name: cluster-admin → vellum:provider-helm",
            True,
        ),
    ]
    means = [
        item["means"][0] for item in result if item["what"].startswith(("keys.generation", "training", "ClusterRole"))
    ]
    platform = meanings.of_platform()
    assert means == [platform["keys.generation"], platform["training"], meanings.BOUND]


def test_a_generation_that_is_not_said_any_more_changes_nothing_now(asked: Path, earlier: Path) -> None:
    edit(earlier / "50-platform/kubeflow.yaml", lambda objects: objects[0]["spec"].update(keys={"generation": 2}))
    edit(earlier / "60-teams/team-a.research.yaml", lambda objects: objects[0]["spec"].update(keys={"generation": 2}))
    assert [(change["what"], change["means"], change["grave"]) for change in changes(asked, earlier)] == [
        ("keys.generation: 2 → not said", [meanings.KEYS_UNSAID], False),
        ("team-a/research: keys.generation: 2 → not said", [meanings.KEYS_UNSAID], False),
    ]


def leaves(kind: str) -> list[str]:
    """Return the fields of a spec that have no fields of their own."""
    result = properties(schema.schema(kind)["properties"]["spec"])
    return [path for path in result if not any(other.startswith(f"{path}.") for other in result)]


def test_every_field_has_a_sentence() -> None:
    claim, platform = leaves("MLOpsPlatform"), leaves("KubeflowPlatform")
    assert sorted(meanings.of_claim()) == sorted(claim)
    assert [
        path
        for path in platform
        if not any(path == name or path.startswith(f"{name}.") for name in meanings.of_platform())
    ] == []


def test_istio_comes_with_the_profile_and_takes_nothing(asked: Path, earlier: Path) -> None:
    (asked / "platform.yaml").write_text(PLATFORMS["standard"])
    charts = [change for change in told(changes(asked, earlier)) if change[0] == "Charts"]
    assert [what for _, what, _ in charts if what.endswith("is added")] == [
        "istio-base: base 1.30.3 is added",
        "istiod: istiod 1.30.3 is added",
        "istio-cni: cni 1.30.3 is added",
        "istio-ingressgateway: gateway 1.30.3 is added",
    ]
    assert not any(grave for _, _, grave in charts)


def test_the_platforms_file_that_goes_is_told_with_what_would_go(asked: Path, earlier: Path) -> None:
    (asked / "platform.yaml").unlink()
    (results,) = [change for change in changes(asked, earlier) if change["topic"] == "The platform"]
    assert (results["what"], results["grave"]) == ("the platform does not have a file any more", True)


def test_a_tree_of_before_there_was_a_lock_is_compared_as_far_as_it_goes(asked: Path, earlier: Path) -> None:
    (earlier / lock.NAME).unlink()
    assert told(changes(asked, earlier)) == [
        ("Before you begin", "the earlier tree does not record what it was composed to", False)
    ]


@pytest.mark.parametrize(
    ("path", "text", "code"),
    [
        ("60-teams/team-a.research.yaml", "a: &x {b: c}\nd: *x\n", "VEL106"),
        ("60-teams/team-a.research.yaml", "a: 1\na: 2\n", "VEL107"),
        ("60-teams/team-a.research.yaml", "[not, an, object]\n", "VEL733"),
        ("60-teams/team-a.research.yaml", "a: [1,\n", "VEL105"),
        (lock.NAME, "{}", "VEL733"),
        (lock.NAME, '{"vellum": "1", "charts": {"x": 1}}', "VEL733"),
        (lock.NAME, "not json", "VEL733"),
        (tree.MARK, None, "VEL733"),
    ],
)
def test_what_lies_in_git_is_read_strictly(earlier: Path, path: str, text: str | None, code: str) -> None:
    if text is None:
        (earlier / path).unlink()
    else:
        (earlier / path).write_text(text)
    with pytest.raises(VellumError) as caught:
        _ = tree.read(earlier), lock.read(earlier)
    assert caught.value.code == code


def test_who_has_a_tree_with_aliases_is_told_how_to_be_rid_of_them(asked: Path, earlier: Path) -> None:
    (earlier / "60-teams/team-a.research.yaml").write_text("a: &x {b: c}\nd: *x\n")
    done = render(str(asked), "--against", str(earlier))
    assert (done.returncode, done.stdout) == (1, "")
    assert "yq --inplace 'explode(.)' */*.yaml" in done.stderr


def test_a_tree_that_cannot_be_read_prints_no_page(asked: Path) -> None:
    done = render(str(asked), "--against", str(asked))
    assert (done.returncode, done.stdout, "VEL733" in done.stderr) == (1, "", True)


def test_a_page_is_printed_and_nothing_is_written(asked: Path, earlier: Path, tmp_path: Path) -> None:
    done = render(str(asked), "--against", str(earlier), "--output", str(tmp_path / "new"))
    assert (done.returncode, "VEL732" in done.stderr, (tmp_path / "new").exists()) == (1, True, False)


def test_what_a_tree_was_composed_to_holds_no_key(asked: Path, earlier: Path) -> None:
    del asked
    output = json.loads((earlier / lock.NAME).read_text())
    digests = [digest for made in output["composed"].values() for digest in made.values()]
    assert all(len(digest) == 16 and set(digest) <= set("0123456789abcdef") for digest in digests)
    assert not any(word in json.dumps(output["charts"]) for word in ('secretkey": "', "AKIA"))


def test_a_notebook_that_is_turned_off_leaves_its_home_on_every_line(asked: Path, tmp_path: Path) -> None:
    """No platform follows another size of the home."""
    folder = tmp_path / "git"
    assert render(str(asked), "--output", str(folder)).returncode == 0
    claim = asked / "claim.yaml"
    text = claim.read_text()

    claim.write_text(text.replace("notebooks: enabled", "notebooks: disabled"))
    page = render(str(asked), "--against", str(folder)).stdout
    home = page.partition("notebook-workspace")[2].splitlines()
    assert "its home stays; enabled" in page
    assert home[0].endswith("is not composed any more")
    assert home[1].strip().startswith("- it stays while its claim exists")
    assert not any("PersistentVolumeClaim" in line for line in page.splitlines() if line.startswith("- **!**"))

    written = yaml.safe_load(text)
    written["spec"]["notebook"] = {"storage": "77Gi"}
    claim.write_text(yaml.safe_dump(written))
    page = render(str(asked), "--against", str(folder)).stdout
    assert "a home keeps the size with which it was made" in page
    assert "it keeps the size with which it was made" in page.partition("notebook-workspace")[2].splitlines()[1]
