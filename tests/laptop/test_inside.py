"""In a notebook or a job the command line names the installation around it and refuses a second one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vellum.connect.installation import state_root
from vellum.host.state import State

VARIABLES = ("VELLUM_STATE", "VELLUM_BINDING_DIR", "VELLUM_PART", "VELLUM_BUCKET", "KUBERNETES_SERVICE_HOST")


def vellum(*arguments: str, **more: str) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    argv = [sys.executable, "-m", "vellum.cli", *arguments]
    done = subprocess.run(argv, env={**environment, **more}, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def notebook(root: Path) -> dict[str, str]:
    """Return the laptop's variables in a notebook's process."""
    home = root / "data" / "team" / "home"
    home.mkdir(parents=True, exist_ok=True)
    binding = root / "secrets" / "team" / "vellum-binding"
    return {"HOME": str(home), "VELLUM_PART": "notebook-team", "VELLUM_BINDING_DIR": str(binding)}


REFUSED = (
    "up",
    "up claim.yaml",
    "down --delete-data --yes",
    "bench up",
    "install x",
    "delete team --yes",
    "rotate team",
    "verify repair --yes",
)


@pytest.mark.parametrize("command", REFUSED)
def test_nothing_is_started_or_stopped_inside_a_notebook(state: State, command: str) -> None:
    inside = notebook(state.root)
    code, output = vellum(*command.split(), **inside)
    what = f"`vellum {command.partition(' ')[0]}` starts, stops or deletes parts of a platform"
    place = f"this is inside notebook-team of the installation in {state.root}"
    assert (code, output.splitlines()[0]) == (1, f"error VEL736: {what}, and {place}")
    assert list(Path(inside["HOME"]).iterdir()) == []
    assert state.root.exists()


CLAIM = """\
apiVersion: platform.vellum.dev/v1alpha1
kind: MLOpsPlatform
metadata: {name: other}
spec: {notebooks: disabled}
"""
MODEL = (Path(__file__).parents[2] / "examples/training/serve.yaml").read_text()


@pytest.mark.parametrize(("text", "refused"), [(CLAIM, True), (MODEL, False)])
def test_a_notebook_applies_models_but_no_claims(state: State, tmp_path: Path, text: str, *, refused: bool) -> None:
    """The platform does not run here, so the model is refused for that (VEL406)."""
    file = tmp_path / "object.yaml"
    file.write_text(text)
    code, output = vellum("apply", str(file), **notebook(state.root))
    what = f"this is inside notebook-team of the installation in {state.root}"
    expected = f"error VEL736: `vellum apply` starts, stops or deletes parts of a platform, and {what}"
    assert (code, output.splitlines()[0] == expected, "VEL406" in output) == (1, refused, not refused)


def test_jobs_and_models_are_deleted_inside_a_notebook(state: State) -> None:
    code, output = vellum("delete", "--file", "job.yaml", "--yes", **notebook(state.root))
    assert (code, "VEL736" in output) == (1, False)


def test_status_inside_a_notebook_means_the_installation_around_it(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = notebook(state.root)
    code, output = vellum("status", **inside)
    assert (code, f"where: {state.root}" in output, "vellum up" in output) == (1, True, False)
    assert "this is inside notebook-team" in output
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in inside.items():
        monkeypatch.setenv(name, value)
    assert state_root() == state.root


def test_a_clusters_pod_is_told_what_works_there(tmp_path: Path) -> None:
    pod = {"HOME": str(tmp_path), "VELLUM_BINDING_DIR": "/vellum/binding", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    code, output = vellum("status", **pod)
    assert (code, "not on this machine" in output, "vellum.connect() in Python" in output) == (1, True, True)
    assert "vellum up" not in output
    assert vellum("up", **pod)[1].startswith("error VEL736")


def test_a_binding_in_ones_own_shell_is_no_notebook(state: State, tmp_path: Path) -> None:
    """As after `vellum connect --export`."""
    own = {"HOME": str(tmp_path), "VELLUM_BINDING_DIR": str(state.root / "secrets" / "a" / "b"), "VELLUM_BUCKET": "b"}
    assert vellum("up", **own)[1].startswith("error VEL702")
