"""``vellum render --images``: the images for a mirror are those of the real charts and of our own objects."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from tests.charts import images as rendered_images
from tests.charts import record
from tests.charts.images import leaves
from tests.compose.world import PLATFORMS, images

from vellum.api import loader
from vellum.api.claim import Claim, claim_spec
from vellum.api.platform import Platform
from vellum.components import platform_components, team_components
from vellum.compose import platform as platforms
from vellum.compose import team as teams
from vellum.kube.objects import Obj
from vellum.model.keys import DUMMY_SEED
from vellum.model.release import Image, ReleaseComponent
from vellum.package.images import pulled

NAMED = sorted(PLATFORMS)


def render(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "vellum.cli", "render", "--images", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def platform(text: str) -> Platform:
    (result,) = loader.load(text.encode(), "platform.yaml")
    assert isinstance(result, Platform)
    return result


@pytest.fixture
def clusters() -> dict[str, Platform]:
    """Return the platforms of clusters by the name that other tests give them."""
    results = {name: platform(text) for name, text in PLATFORMS.items()}
    return {name: item for name, item in results.items() if item.spec.profile != "local"}


def test_every_image_of_every_real_chart_is_named_and_no_other(clusters: dict[str, Platform]) -> None:
    """Else the real charts must be rendered again: docs/charts.md says how."""
    kept = record.kept().parts
    rendered = {part.name: part.facts.images for part in kept}
    # Two empty lists would be equal too. The gateway's only container gets its image from istiod.
    without = [part.name for part in kept if part.facts.workloads and not part.facts.images]
    assert without == ["istio-ingressgateway"]
    for cluster in clusters.values():
        result = pulled(cluster)
        for chart in result.charts:
            if chart.repository:
                named = [Image(image.image, image.use) for image in result.images if image.part == chart.part]
                assert sorted(map(rendered_images.line, named)) == rendered[chart.part]


def test_every_chart_is_named_in_the_order_of_installation(clusters: dict[str, Platform]) -> None:
    for cluster in clusters.values():
        releases = [obj for obj in platforms.everything(cluster, DUMMY_SEED) if obj["kind"] == "Release"]
        installed = [obj["spec"]["forProvider"]["chart"] for obj in releases]
        listed = [asdict(chart) for chart in pulled(cluster).charts]
        assert [(chart["name"], chart["version"]) for chart in listed] == [
            (chart["name"], chart["version"]) for chart in installed
        ]


def test_every_image_of_a_composed_object_is_named(clusters: dict[str, Platform]) -> None:
    switches = {part.switch: "enabled" for part in team_components().values() if part.switch}
    claim = Claim("team-a", "research", claim_spec().model_validate(switches))
    for cluster in clusters.values():
        objects: list[Obj] = [*platforms.everything(cluster, DUMMY_SEED), *teams.everything(claim, cluster, DUMMY_SEED)]
        plain = [obj for obj in objects if obj["kind"] != "Release"]
        composed = {text for key, text in leaves(plain) if key == "image"}
        assert composed
        assert composed <= {image.image for image in pulled(cluster).images} | {
            "vellum.invalid/the-image-that-runs-now"
        }


def test_an_external_store_needs_no_image_of_a_store(clusters: dict[str, Platform]) -> None:
    by_backend = {cluster.spec.objectStore.backend: pulled(cluster) for cluster in clusters.values()}
    parts = {backend: {image.part for image in result.images} for backend, result in by_backend.items()}
    assert "seaweedfs-operator" in parts["seaweedfs"]
    assert "seaweedfs-operator" not in parts["external"]
    assert "spec.images.seaweedfs" not in by_backend["external"].unnamed


def test_all_references_are_whole_and_none_moves() -> None:
    for part in platform_components().values():
        if isinstance(part, ReleaseComponent):
            for image in part.images:
                assert rendered_images.whole(image.reference) == image.reference
                assert not image.reference.endswith(":latest")


def test_what_is_printed_is_the_same_in_words_and_as_json(tmp_path: Path) -> None:
    (tmp_path / "platform.yaml").write_text(PLATFORMS["light"])
    package = f"registry.example.org/function-vellum@sha256:{'0' * 64}"
    result = json.loads(render(str(tmp_path), "--output", "json", "--function", package).stdout)
    assert result == pulled(platform(PLATFORMS["light"]), package).as_dict()
    assert [image["image"] for image in result["images"]][:2] == [
        "xpkg.crossplane.io/crossplane-contrib/provider-helm:v1.3.0",
        package,
    ]

    words = render(str(tmp_path), "--function", package).stdout
    charts, images = (part.splitlines()[1:] for part in words.split("\n\n"))
    assert [line.split()[:2] for line in charts] == [[chart["name"], chart["version"]] for chart in result["charts"]]
    assert [line.split()[:2] for line in images] == [[image["image"], image["use"]] for image in result["images"]]


def test_images_that_nobody_named_yet_are_told_beside_the_list(tmp_path: Path) -> None:
    text = "apiVersion: platform.vellum.dev/v1alpha1\nkind: KubeflowPlatform\nmetadata: {name: kubeflow}\n"
    (tmp_path / "platform.yaml").write_text(f"{text}spec: {{profile: light}}\n")
    done = render(str(tmp_path / "platform.yaml"), "--output", "json")
    fields = [f"spec.images.{name}" for name in images()]
    assert json.loads(done.stdout)["unnamed"] == fields
    assert done.stderr.splitlines() == [f"image not named yet: {field}" for field in fields]


def test_a_list_needs_a_platform_and_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "platform.yaml").write_text(PLATFORMS["light"])
    without, folder = render(), render(str(tmp_path), "--output", str(tmp_path / "git"))
    assert (without.returncode, "VEL731" in without.stderr) == (1, True)
    assert (folder.returncode, "VEL732" in folder.stderr, (tmp_path / "git").exists()) == (1, True, False)


def test_a_lock_names_what_the_platforms_file_does_not(tmp_path: Path) -> None:
    """The file's own names stay, and Qdrant and SeaweedFS get the pinned images of their projects."""
    text = "apiVersion: platform.vellum.dev/v1alpha1\nkind: KubeflowPlatform\nmetadata: {name: kubeflow}\n"
    own = f"registry.example.org/mine:v2@sha256:{'1' * 64}"
    (tmp_path / "platform.yaml").write_text(f"{text}spec: {{profile: light, images: {{notebook: '{own}'}}}}\n")
    where = "registry.example.org/vellum"
    named = {name: f"{where}/{name}@sha256:{'2' * 64}" for name in ("notebook", "qdrant-stand-in", "workloads")}
    packages = {f"{name}-vellum": f"{where}/{name}-vellum@sha256:{'3' * 64}" for name in ("configuration", "function")}
    lock = {"vellum": "0.1.0", "registry": where, "base": "b", "images": named, "packages": packages, "charts": {}}
    (tmp_path / "team.lock").write_text(json.dumps(lock))
    words = ("--lock", str(tmp_path / "team.lock"), "--output", "json")
    done = render(str(tmp_path / "platform.yaml"), *words)
    result = json.loads(done.stdout)
    assert result["unnamed"] == []
    images = {
        image["source"]: image["image"] for image in result["images"] if image["source"].startswith("spec.images.")
    }
    assert images == {
        "spec.images.notebook": own,
        "spec.images.qdrant": "docker.io/qdrant/qdrant:v1.19.0-unprivileged",
        "spec.images.seaweedfs": "docker.io/chrislusf/seaweedfs:4.48",
        "spec.images.workloads": named["workloads"],
    }
    assert {
        "part": "function-vellum",
        "image": packages["function-vellum"],
        "source": "crossplane",
        "use": "package",
    } in (result["images"])


def test_a_lock_of_another_shape_is_refused(tmp_path: Path) -> None:
    (tmp_path / "platform.yaml").write_text(PLATFORMS["light"])
    (tmp_path / "bad.lock").write_text('{"vellum": "0.1.0"}')
    done = render(str(tmp_path / "platform.yaml"), "--lock", str(tmp_path / "bad.lock"))
    assert (done.returncode, "VEL755" in done.stderr) == (1, True)


def test_a_lock_of_another_version_is_refused(tmp_path: Path) -> None:
    """A function of one version would not fit the Compositions of another."""
    (tmp_path / "platform.yaml").write_text(PLATFORMS["light"])
    lock = {"vellum": "0.0.1", "registry": "r.example", "base": "b", "images": {}, "packages": {}, "charts": {}}
    (tmp_path / "old.lock").write_text(json.dumps(lock))
    done = render(str(tmp_path / "platform.yaml"), "--lock", str(tmp_path / "old.lock"))
    assert (done.returncode, "VEL755" in done.stderr, "Vellum 0.0.1" in done.stderr) == (1, True, True)
