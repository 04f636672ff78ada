"""Without scikit-learn and skops a model is refused in milliseconds, and the refusal names the fix."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from vellum.host.log_tail import own_reason

HIDDEN = ("sklearn", "scikit_learn", "skops")
SAVE = "from vellum.connect import Binding; from vellum.workloads.models.store import save; save(1, 'a', Binding())"
PROGRAMS = {
    "serve": ("-m", "vellum.workloads.models", "--http_port=1", "--model_name=a", "--model=a.skops"),
    "train": ("-m", "vellum.workloads.classify", "--model=a.skops"),
    "save": ("-c", SAVE),
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with links to this environment's packages, except scikit-learn and skops."""
    folder = tmp_path_factory.mktemp("packages")
    origin = Path(next(distribution for distribution in distributions(name="skops")).locate_file(""))  # type: ignore[arg-type]
    for entry in origin.iterdir():
        if not entry.name.startswith(HIDDEN):
            (folder / entry.name).symlink_to(entry)
    return folder


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_model_without_its_packages_is_refused(packages: Path, tmp_path: Path, program: str) -> None:
    """-S makes Python ignore its environment. The supervisor shows the refusal of a server in its status."""
    source = Path(__file__).parents[2] / "src"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), str(packages)])}
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(
        [sys.executable, "-S", *PROGRAMS[program]], env=environment, capture_output=True, text=True, check=False
    )
    seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    where = f"({sys.base_prefix})"
    what = f"VEL554: a model needs scikit-learn and skops, not installed in this Python {where}"
    refusal = f"{what}; run `pip install 'vellum-mlops[sklearn]'` there"
    assert (done.returncode, done.stdout) == (1, "")
    if program == "save":
        assert done.stderr.splitlines()[-1].endswith(f"WorkloadError: {what}")
        return
    assert done.stderr == f"{refusal}\n"
    assert seconds < 1
    (log := tmp_path / "log").write_text(done.stderr)
    assert own_reason(log) == refusal
