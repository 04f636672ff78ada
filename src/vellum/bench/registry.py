"""Push charts to the bench's registry, and render one, with the real Helm, as their users do."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from vellum.errors import BenchError
from vellum.host.files import write
from vellum.kube.objects import Obj


def push(helm: Path, charts: Mapping[str, bytes], folder: Path, to: str) -> None:
    """Write the archives to the folder and push each; Helm's own files go there too, not to the user's home.

    Raises:
        BenchError: Helm refuses one (VEL907).
    """
    for name, archive in charts.items():
        write(folder / name, archive)
        run(helm, folder, "push", name, to, "--plain-http")


def template(helm: Path, chart: Path, name: str, namespace: str, values: Obj) -> str:
    """Return the chart as Helm renders it.

    Raises:
        BenchError: Helm refuses it (VEL907).
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "values.json"
        settings.write_text(json.dumps(values))
        return run(helm, Path(folder), "template", name, str(chart), f"--namespace={namespace}", "-f", str(settings))


def run(helm: Path, folder: Path, *arguments: str) -> str:
    """Run a command of Helm in the folder; return what it prints.

    Raises:
        BenchError: it fails (VEL907).
    """
    own = {f"HELM_{what}_HOME": str(folder / what.lower()) for what in ("CACHE", "CONFIG", "DATA")}
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), **own}
    argv = [str(helm), *arguments]
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise BenchError(
            "VEL907",
            f"helm {arguments[0]} ended with {done.returncode}: {last}",
            where=str(folder),
            fix=f"run it by hand: cd {folder} && {' '.join(argv)}",
        )
    return done.stdout
