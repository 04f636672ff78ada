"""Prepare the notebook's environment, then become JupyterLab."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path

from vellum.errors import LaptopError
from vellum.workloads.notebook import environment

PIP_FILES = (".config/pip/pip.conf", ".pip/pip.conf")
"""The user's own pip settings, such as a company's package index."""


def main() -> None:
    """Run JupyterLab with the arguments of this process, and with kernels of the team's own environment."""
    folder, home = Path(os.environ.pop("VELLUM_ENVIRONMENT")), Path(os.environ["HOME"])
    try:
        environment.prepare(folder, home)
    except LaptopError as error:
        sys.exit(f"{error}; next: {error.fix}")
    data = folder.with_name("jupyter") / "share"
    environment.kernel(folder, data)
    os.environ |= {**environment.variables(folder), **_pip_settings(home), "JUPYTER_PATH": str(data)}
    shell = [sys.executable, "-P", "-m", "vellum.workloads.notebook.shell"]
    sys.argv += [
        "--AsyncMappingKernelManager.kernel_manager_class=vellum.workloads.notebook.kernels.Kernel",
        f"--ServerApp.terminado_settings={{'shell_command': {shell!r}}}",
    ]
    lab()()


def lab() -> Callable[[], None]:
    """Return JupyterLab's entry point."""
    # jsonschema imports this package for the format `iri`, which no Jupyter schema uses. Building its grammar took 1.3
    # of the 2.5 seconds of CPU that the import takes (measured with rfc3987-syntax 1.1.0, JupyterLab 4.6).
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # None means: not installed
    from jupyterlab import commands

    # On a machine with Node.js JupyterLab runs `yarn config` when it is imported, for builds that never happen here.
    # That took 0.4 s of CPU (JupyterLab 4.6).
    vars(commands)["_yarn_config"] = lambda _: {"yarn config": {}}
    from jupyterlab.labapp import LabApp

    program: Callable[[], None] = LabApp.launch_instance
    return program


def _pip_settings(home: Path) -> dict[str, str]:
    """Return variables that make pip read the user's own settings; settings in the notebook's home take precedence."""
    if any((home / name).is_file() for name in PIP_FILES):
        return {}
    person = Path(pwd.getpwuid(os.getuid()).pw_dir)
    file = next((person / name for name in PIP_FILES if (person / name).is_file()), None)
    return {"PIP_CONFIG_FILE": str(file)} if file else {}


if __name__ == "__main__":
    main()
