"""Find a team's binding: one call returns its bucket, vectors and endpoints, wherever the code runs.

    import vellum
    binding = vellum.connect()

The same line works in a notebook, step, predictor, test or shell, on a laptop and on a cluster.
"""

from __future__ import annotations

import sys
from types import ModuleType

from vellum.connect.binding import Binding
from vellum.connect.sources import connect

__all__ = ["Binding", "connect"]


class _Callable(ModuleType):
    """The class of ``vellum.connect``, which makes the module callable: importing it replaces the function's name."""

    def __call__(self, team: str | None = None) -> Binding:
        return connect(team)


sys.modules[__name__].__class__ = _Callable
