"""The process that builds a graph on a copy: ``python -m vellum.workloads.qdrant.build ORIGINAL COPY``."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys

import qdrant_edge as edge

_PR_SET_PDEATHSIG = 1


def main(original: str, copy: str) -> int:
    """Copy the shard, build, flush; the kernel ends this process when the server is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.umask(0o077)
    os.nice(10)
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(original, copy)
    shard = edge.EdgeShard.load(copy)
    shard.optimize()
    shard.flush()
    shard.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
