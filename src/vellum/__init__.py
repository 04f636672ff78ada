"""Vellum: one claim, a whole ML platform; on a laptop today, on Crossplane and Kubernetes with the same files."""

from __future__ import annotations

from vellum._version import __version__
from vellum.connect import Binding, connect
from vellum.errors import VellumError

__all__ = ["Binding", "VellumError", "__version__", "connect"]
