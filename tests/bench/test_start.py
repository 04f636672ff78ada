"""Starting, taking more files, and stopping at any moment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.bench.real import Bench, condition, until

PLATFORM = Path(__file__).parents[2] / "examples/bench/platform.yaml"


def test_a_bench_that_is_stopped_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    empty = Bench(tmp_path / "state")
    argv = [sys.executable, "-m", "vellum.cli", "bench", "up"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), "VELLUM_BENCH": str(empty.root)}

    def pids() -> list[int]:
        status = json.loads(empty.vellum("status", "--output", "json", check=False).stdout or "{}")
        return [process["pid"] for process in status.get("processes", ()) if process["pid"]]

    starting = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # The API server comes after etcd, so both run and the others do not.
    running = until(lambda: len(result := pids()) >= 2 and result, 60)

    empty.vellum("down")

    starting.wait(30)
    assert [pid for pid in running if Path(f"/proc/{pid}").exists()] == []
    assert not empty.root.exists()


def test_a_running_bench_accepts_more_files(bench: Bench, tmp_path: Path) -> None:
    """One of the files is a claim in a namespace of its own."""
    claim = tmp_path / "claim.yaml"
    claim.write_text(
        "apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlatform\n"
        "metadata: {name: alpha, namespace: beta}\nspec: {}\n"
    )
    bench.vellum("up", str(PLATFORM), str(claim))
    until(lambda: condition(bench.get("mlopsplatform", "alpha", "beta"), "Ready").get("status") == "True", 60)
    bench.kubectl("delete", "mlopsplatform", "alpha", "-n", "beta")


def test_the_benchs_api_server_changes_addresses_on_admission(bench: Bench) -> None:
    """The API server changes the addresses of the bench when objects are applied."""
    config = {
        "apiVersion": "helm.crossplane.io/v1beta1",
        "kind": "ProviderConfig",
        "metadata": {"name": "vellum-two"},
        "spec": {"credentials": {"source": "InjectedIdentity"}},
    }
    stored = json.loads(bench.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", given=json.dumps(config)))
    reference = {"namespace": "crossplane-system", "name": "provider-helm-kubeconfig", "key": "kubeconfig"}
    assert stored["spec"] == {"credentials": {"source": "Secret", "secretRef": reference}}

    charts = (bench.get("kubeflowplatform", "kubeflow") or {})["spec"]["charts"]
    assert charts["repository"].startswith("oci://127.0.0.1:")
    assert (charts["plainHTTP"], sorted(charts["patches"])) == (True, ["kserve", "kubeflow-trainer"])


def test_a_laptops_folder_is_neither_used_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("data")
    (tmp_path / ".vellum").touch()
    for verb in ("up", "down"):
        done = Bench(tmp_path).vellum(verb, check=False)
        assert (done.returncode, "VEL709" in done.stderr) == (1, True), done.stderr
    assert (tmp_path / "store.db").read_text() == "data"


def test_a_wrong_claim_is_refused_before_anything_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    wrong = tmp_path / "claim.yaml"
    wrong.write_text(
        "apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlatform\nmetadata: {name: a}\nspec: {size: huge}\n"
    )
    done = Bench(tmp_path / "state").vellum("up", str(wrong), check=False)
    assert (done.returncode, "VEL115" in done.stderr) == (1, True)
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "state").exists()
