"""Run the ingest pipeline with kfp's local runner, and work around two behaviours that kfp 2.17 cannot turn off."""

from __future__ import annotations

import contextlib
import importlib
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from vellum.workloads.ingest.leftovers import STEPS


def run_pipeline(folder: Path, compiled: Path, source: Path, *, prune: bool) -> str | None:
    """Compile and run the pipeline; return why it failed, or None. Everything that kfp prints goes to a file."""
    with (folder / "pipeline.log").open("w") as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        _import_kfp_without_its_client()
        from kfp import compiler, local

        from vellum.workloads.ingest.pipeline import LOCAL_IMAGE, define

        local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(folder / STEPS))
        pipeline = define(LOCAL_IMAGE)
        compiler.Compiler().compile(pipeline, str(compiled))
        try:
            with _plain_python(folder / "bin"):
                pipeline(source=_address(source), prune=prune)
        except RuntimeError as error:
            return str(error)
    return None


def _address(folder: Path) -> str:
    """Return a folder as a ``file:`` address."""
    return "file://" + quote(os.fsencode(folder.resolve()))


def _import_kfp_without_its_client() -> None:
    """Import the package as kfp's own steps do: the client it would load takes 1.4 of 1.7 seconds, and is not used.

    Only ``kfp/__init__.py`` runs under the switch; everything imported later is complete.
    """
    os.environ["_KFP_RUNTIME"] = "true"
    importlib.import_module("kfp")
    del os.environ["_KFP_RUNTIME"]


@contextlib.contextmanager
def _plain_python(folder: Path) -> Iterator[None]:
    """Make ``python3`` this interpreter for child processes.

    kfp.local (``replace_python_executable``) writes ``sys.executable`` unquoted into a shell line. It also replaces
    "python3" with that path in every argument. So a path with a space, or a folder with "python3" in its name, would
    break the step. A subclass cannot quote the path, because kfp chooses its task handler by the runner's exact class.
    So ``sys.executable`` is "python3" here, and kfp replaces the word with itself.
    """
    folder.mkdir(mode=0o700)
    wrapper = folder / "python3"
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    wrapper.chmod(0o700)
    path, executable = os.environ.get("PATH", os.defpath), sys.executable
    os.environ["PATH"], sys.executable = f"{folder}{os.pathsep}{path}", "python3"
    try:
        yield
    finally:
        os.environ["PATH"], sys.executable = path, executable
