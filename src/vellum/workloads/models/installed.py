"""Refuse to work without scikit-learn and skops, which a platform without models does not need (150 MB)."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from vellum.errors import WorkloadError

_PACKAGES = {"sklearn": "scikit-learn", "skops": "skops"}


def check() -> None:
    """Check that this Python can train, store and read models; import none of the packages.

    Raises:
        WorkloadError: a package of the extra ``sklearn`` is missing (VEL554).
    """
    missing = [package for module, package in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise WorkloadError(
            "VEL554",
            f"a model needs {' and '.join(missing)}, not installed in this Python",
            where=sys.prefix,
            fix="run `pip install 'vellum-mlops[sklearn]'` there",
        )
