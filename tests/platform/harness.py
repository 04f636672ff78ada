"""A real installation, used as users do: through the command line and the printed endpoints."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vellum.components import team_components

ROOT = Path(__file__).parents[2]
CLAIM = """\
apiVersion: platform.vellum.dev/v1alpha1
kind: MLOpsPlatform
metadata:
  name: {name}
spec: {spec}
"""
FULL = f"{{{', '.join(f'{part.switch}: enabled' for part in team_components().values() if part.switch)}}}"
"""The spec of a claim that wants every part."""


@dataclass(frozen=True)
class Installation:
    """One state directory and the command line that works on it."""

    root: Path

    @property
    def state(self) -> Path:
        return self.root / "state with a space"

    def run(self, *arguments: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("VELLUM_", "AWS_"))}
        environment |= {"VELLUM_STATE": str(self.state), **more}
        argv = [sys.executable, "-m", "vellum.cli", *arguments]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=240, check=False)
        if check and done.returncode != 0:
            pytest.fail(f"vellum {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *arguments: str, check: bool = True) -> Any:
        return json.loads(self.run(*arguments, "--output", "json", check=check).stdout)

    def up(self, **claims: str) -> Any:
        files = []
        for name, spec in claims.items():
            path = self.root / f"{name}.yaml"
            path.write_text(CLAIM.format(name=name.replace("_", "-"), spec=spec))
            files.append(str(path))
        return self.json("up", *files)

    def binding(self, team: str) -> dict[str, str]:
        result: dict[str, str] = self.json("connect", team)
        return result

    def processes(self) -> dict[str, dict[str, Any]]:
        result = self.json("status", check=False)
        return {process["name"]: process for process in result["processes"]}

    def process(self, prefix: str) -> dict[str, Any]:
        return next(entry for name, entry in self.processes().items() if name.startswith(prefix))

    def status(self) -> Any:
        return self.json("status", check=False)

    def receipts(self) -> list[dict[str, Any]]:
        """Return the receipts, for each composite the newest first."""
        return [receipt for obj in self.status()["objects"] for receipt in obj["status"].get("receipts", ())]

    def supervisor(self) -> int:
        return int((self.state / "store.lock").read_text())


def wait_for(done: Callable[[], Any], seconds: float = 30) -> Any:
    """Return the first true answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = done()
        if answer:
            return answer
        if time.monotonic() > deadline:
            pytest.fail(f"did not happen within {seconds} s")
        time.sleep(0.05)


def new_installation() -> Iterator[Installation]:
    """Yield an empty installation; delete all of it afterwards, even if a test failed."""
    root = Path(tempfile.mkdtemp(prefix="vellum-test-"))
    installation = Installation(root)
    try:
        yield installation
    finally:
        installation.run("down", "--delete-data", "--yes", check=False)
        shutil.rmtree(root, ignore_errors=True)
