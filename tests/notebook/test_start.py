"""JupyterLab starts without a package and a program that it does not need, which take half of the start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_grammar_of_a_format_that_no_schema_has_is_not_built() -> None:
    code = "import sys; from vellum.workloads.notebook.__main__ import lab; lab(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert "jsonschema" in modules
    assert [name for name in modules if name.startswith(("lark", "rfc3987_syntax."))] == []


def test_jupyterlab_asks_no_yarn_for_its_registry(tmp_path: Path) -> None:
    """A Node.js on the machine is not started."""
    (tmp_path / "node").write_text(f"#!/bin/sh\necho > {tmp_path}/started\n")
    (tmp_path / "node").chmod(0o755)
    code = (
        "from vellum.workloads.notebook.__main__ import lab\nlab()\n"
        "from jupyterlab.commands import AppOptions\nprint(bool(AppOptions().registry))\n"
    )
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, (tmp_path / "started").exists()) == ("True\n", False)
