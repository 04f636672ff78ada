"""Validators of other projects, in an environment of their own: Checkov, and the languages of Argo CD's and Flux's checks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.bench.real import ROOT

from vellum.kube.objects import Obj

_PROGRAMS = ROOT / ".venv-validators/bin"


def _run(*argv: str, home: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    if not (_PROGRAMS / "python").exists():
        pytest.fail("the validators' environment is missing: run `make .venv-validators/.ready`")
    environment = {"HOME": str(home), "PATH": f"{_PROGRAMS}:/usr/bin:/bin"}
    return subprocess.run(
        argv, input=given, env=environment, cwd=home, capture_output=True, text=True, timeout=600, check=False
    )


def checkov(folder: Path, home: Path) -> Obj:
    """Return Checkov's report on the manifests in a folder; it uses no network."""
    argv = ("-d", str(folder), "--framework", "kubernetes", "--skip-download", "--quiet", "--compact", "-o", "json")
    done = _run(str(_PROGRAMS / "checkov"), *argv, home=home)
    assert done.stdout, done.stderr
    report: Obj = json.loads(done.stdout)
    return report


def health(cases: list[tuple[str, str, Obj]], home: Path) -> list[Any]:
    """Return what each check says: the language, ``lua`` or ``cel``, the text, and the object that it looks at."""
    script = str(Path(__file__).with_name("run_health_checks.py"))
    done = _run(str(_PROGRAMS / "python"), script, home=home, given=json.dumps(cases))
    assert done.returncode == 0, done.stderr
    result: list[Any] = json.loads(done.stdout)
    return result
