"""Which images Vellum builds, and how each one starts."""

from __future__ import annotations

from dataclasses import dataclass, field

from vellum._version import __version__
from vellum.package.compositions import FUNCTION

CONFIGURATION = "configuration-vellum"
TAG = f"v{__version__}"
ARCHITECTURES = ("amd64", "arm64")
CHARTS = "charts"
"""The folder of a registry that holds Vellum's charts."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image; ``packages`` names a list in ``lock/images``."""

    name: str
    packages: str
    summary: str
    entrypoint: tuple[str, ...]
    user: int
    env: dict[str, str] = field(default_factory=dict)
    home: str = "/tmp"  # noqa: S108  # in the image
    files: dict[str, str] = field(default_factory=dict)
    """Other files by path."""
    xpkg: bool = False


_JUPYTER = """\
import os

c.ServerApp.base_url = os.environ.get("NB_PREFIX", "/")
c.ServerApp.ip = "0.0.0.0"
c.ServerApp.port = 8888
c.ServerApp.root_dir = "/home/jovyan"
c.LabApp.news_url = ""
"""
"""The notebook controller names the address in NB_PREFIX. Jupyter reads the token from JUPYTER_TOKEN itself."""

RECIPES = (
    Recipe(FUNCTION, "function", "Vellum's function for Crossplane", ("vellum", "function"), 2000, xpkg=True),
    Recipe(
        "workloads", "workloads", "Ingest, search, training, models, the front of the object store", ("python",), 1000
    ),
    Recipe(
        "notebook",
        "notebook",
        "JupyterLab for a team's notebook",
        ("python", "-P", "-m", "vellum.workloads.notebook", "--no-browser"),
        1000,
        env={"VELLUM_ENVIRONMENT": "/home/jovyan/.vellum/environment"},
        home="/home/jovyan",
        files={"venv/etc/jupyter/jupyter_server_config.py": _JUPYTER},
    ),
    Recipe(
        "qdrant-stand-in",
        "qdrant",
        "The stand-in for Qdrant's server",
        ("python", "-m", "vellum.workloads.qdrant"),
        1000,
        env={
            "VELLUM_QDRANT_ADDRESS": "0.0.0.0",  # noqa: S104  # in a pod
            "VELLUM_QDRANT_DIR": "/qdrant/storage",
            "VELLUM_QDRANT_PORT": "6333",
        },
    ),
)
