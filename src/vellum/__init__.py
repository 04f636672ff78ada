"""The ML platform you can run, break and prove on your laptop before you own a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vellum._version import __version__
from vellum.errors import VellumError

if TYPE_CHECKING:
    from vellum.connect import Binding, connect

__all__ = ["Binding", "VellumError", "__version__", "connect"]


def __getattr__(name: str) -> Any:  # noqa: ANN401  # whatever the module exports
    """Import ``connect`` when it is first asked for: the command line must not pay for it."""
    if name in ("Binding", "connect"):
        import importlib

        return getattr(importlib.import_module("vellum.connect"), name)
    raise AttributeError(f"module 'vellum' has no attribute {name!r}")
