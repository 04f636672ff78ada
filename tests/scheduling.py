"""Which tests run in one process, and which may run beside them."""

from __future__ import annotations

from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling

TOGETHER = {"laptop": "laptop", "platform": "laptop", "examples": "laptop", "bench": "bench"}
"""Folders whose tests share an installation or a bench, or take ports that another test of theirs expects to be free."""
BESIDE = {
    "test_charts", "test_checkov", "test_install", "test_kubeflow_pipelines_chart", "test_notebook_controller_chart",
    "test_oracle",
}  # fmt: skip
"""Files of ``bench`` whose tests need no bench, or one of their own."""


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist publishes no types
    """One process runs what shares an installation or a bench and mostly waits, another the rest, file by file.

    xdist has groups for this, but its 3.8 cannot name them to pytest 9.2, which does not read ``_nodeid`` any more.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = PurePosixPath(nodeid.partition("::")[0])
        folder = path.parent.name
        return path.name if path.stem in BESIDE else TOGETHER.get(folder, str(path))
