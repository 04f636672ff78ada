"""JupyterLab starts without a package that it does not need and that takes half of the start."""

from __future__ import annotations

import subprocess
import sys


def test_the_grammar_of_a_format_that_no_schema_has_is_not_built() -> None:
    code = "import sys; from vellum.workloads.notebook.__main__ import lab; lab(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert "jsonschema" in modules
    assert [name for name in modules if name.startswith(("lark", "rfc3987_syntax."))] == []
