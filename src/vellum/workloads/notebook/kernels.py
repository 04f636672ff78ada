"""Start kernels and terminals with the team's current binding as variables."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_server.services.kernels.kernelmanager import ServerKernelManager

from vellum.connect.binding import KEYS
from vellum.connect.sources import read_folder
from vellum.errors import BindingError

LOG = logging.getLogger(__name__)


def with_binding(given: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with the current variables of the binding: keys may have been replaced."""
    kept = {name: value for name, value in given.items() if name not in KEYS}
    try:
        return {**kept, **read_folder(Path(given["VELLUM_BINDING_DIR"])).as_env()}
    except (BindingError, KeyError) as error:
        LOG.warning("a kernel or terminal starts without the binding: %s", error)
        return kept


class Kernel(ServerKernelManager):
    """Starts a kernel with the binding; its `!pip` and `!python` are those of the kernel's own environment."""

    async def _async_pre_start_kernel(self, **more: Any) -> tuple[list[str], dict[str, Any]]:  # noqa: ANN401  # Jupyter's
        """Complete the environment, also for a kernel that restarts with its first environment."""
        env = with_binding(more.get("env") or os.environ)
        python = Path((self.kernel_spec.argv if self.kernel_spec else [""])[0])
        if python.is_absolute() and (python.parent.parent / "pyvenv.cfg").is_file():
            # Also for users' kernels of other environments: Jupyter does not set PATH for them.
            env["PATH"] = os.pathsep.join([str(python.parent), env.get("PATH", os.defpath)])
            env["VIRTUAL_ENV"] = str(python.parent.parent)
        started: tuple[list[str], dict[str, Any]] = await super()._async_pre_start_kernel(**{**more, "env": env})
        return started
