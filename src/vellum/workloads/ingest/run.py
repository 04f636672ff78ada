"""The worker: run the ingest pipeline on this machine and report it on standard output, in JSON lines.

    python -m vellum.workloads.ingest.run --source DIR --work DIR [--prune] [--attached]

Events: ``page_progress {pages, of, pages_per_s}``, ``file {document, verdict, pages, page_errors, passages,
unchanged}``, ``done {files, pages, passages, ...}`` or ``error {code, what, where, fix}`` with exit code 1. The output
of kfp is in ``pipeline.log`` in the run's folder.

A file that is gone from the folder stays searchable until ``--prune`` is given: a folder that is not mounted must not
empty the index.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import os
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NoReturn

import orjson

from vellum.connect import Binding, connect
from vellum.errors import VellumError, WorkloadError
from vellum.workloads.ingest.events import ALIVE, EVENTS, WORKER
from vellum.workloads.ingest.find import find, text_of
from vellum.workloads.ingest.kfp_local import run_pipeline
from vellum.workloads.ingest.leftovers import SMALL, tidy
from vellum.workloads.ingest.store import RunStore

KEPT_RUNS = 5
"""How many folders of earlier runs stay in the work directory, for their logs."""
_FOLLOW_SECONDS = 0.02


def main() -> None:
    """Run once; report every failure as one ``error`` event."""
    parser = argparse.ArgumentParser(description="Ingest a folder of PDFs")
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--prune", action="store_true")
    parser.add_argument("--attached", action="store_true", help="end when standard input does")
    arguments = parser.parse_args()
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    # kfp and its steps print: only this module's lines may reach standard output.
    os.dup2(2, 1)
    _end_tidily()
    if arguments.attached:
        threading.Thread(target=_end_with_whoever_started_it, daemon=True).start()
    try:
        _reported(out, lambda: ingest(arguments.source, arguments.work, out, prune=arguments.prune))
    except KeyboardInterrupt as interrupt:
        (number,) = interrupt.args
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def _reported(out: IO[bytes], work: Callable[[], None]) -> None:
    """Do the work; report a failure as an event, without a traceback."""
    try:
        work()
    except VellumError as error:
        _line(out, {"event": "error", **error.as_dict()})
        sys.exit(1)
    except OSError as error:
        # The installation was deleted meanwhile, or the disk is full.
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        way_out = "free some disk space" if full else "see `vellum status`"
        failed = WorkloadError(
            "VEL503",
            f"the run's files cannot be used: {error}",
            where=str(error.filename or "the pipeline"),
            fix=f"{way_out}; what was indexed before is kept with the team",
        )
        _line(out, {"event": "error", **failed.as_dict()})
        sys.exit(1)


def _end_with_whoever_started_it() -> None:
    """Wait until standard input ends, which happens even if the parent is killed, and then ask for an end."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _end_tidily() -> None:
    """Let the signals that ask for an end unwind the run once; a signal that was ignored, as by nohup, stays so.

    It must be a KeyboardInterrupt: on any other exception subprocess waits for the step, which waits for this process.
    """
    asking = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]

    def interrupt(number: int, frame: object) -> NoReturn:
        """Raise once; ignore later signals."""
        del frame
        for each in asking:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    for number in asking:
        signal.signal(number, interrupt)


def ingest(source: Path, work: Path, out: IO[bytes], *, prune: bool) -> None:
    """Ingest ``source``, one run at a time; the run's files are in ``work``.

    Raises:
        WorkloadError: the folder cannot be read (VEL501), another ingest runs (VEL502), a step failed (VEL503, or
            the step's own error), or the bucket refuses (VEL521).
        BindingError: no binding can be used.
    """
    began = time.monotonic()
    if not source.is_dir():
        find(source)
    binding = connect().require("QDRANT_URL")
    work = work.absolute()
    work.mkdir(parents=True, mode=0o700, exist_ok=True)
    with _only_one(work):
        run = _Run(source, work, binding, out, began)
        run.go(prune=prune)


class _Run:
    """One run: its folder, its events, its record."""

    def __init__(self, source: Path, work: Path, binding: Binding, out: IO[bytes], began: float) -> None:
        self._id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
        self._source, self._out, self._began, self._work = source.resolve(), out, began, work
        self._folder = work / "runs" / self._id
        self._folder.mkdir(parents=True, mode=0o700)
        self._store = RunStore(binding, self._id)
        self._extracted, self._seconds = 0, 0.0
        self._error: dict[str, str] | None = None

    def go(self, *, prune: bool) -> None:
        """Run the pipeline, then report and record the result."""
        _forget(self._work / "runs")
        pipeline = self._folder / "pipeline.yaml"
        try:
            with self._held(), self._followed(), contextlib.chdir(self._folder):
                failure = run_pipeline(self._folder, pipeline, self._source, prune=prune)
        finally:
            tidy(self._folder)
        if failure is not None:
            self._store.close()
            _fail(self._error, failure, self._folder / "pipeline.log")
        self._store.artifact("pipeline.yaml", pipeline)
        verdicts = self._collect()
        done = self._summary(verdicts)
        self._store.record(
            {**done, "source": text_of(self._source), "files": verdicts["files"]}, self._folder / "run.json"
        )
        self._store.finish()
        done["seconds"] = round(time.monotonic() - self._began, 3)
        done["pages_per_s"] = round(self._extracted / done["seconds"])
        _line(self._out, {"event": "done", **done})

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the lock whose release tells the steps that this worker is gone; set their environment."""
        alive = self._folder / "alive"
        with alive.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            temporary = self._folder / "tmp"
            temporary.mkdir()
            # kfp's launcher leaves a temporary folder for every step.
            own = {
                EVENTS: str(self._folder / "events.jsonl"),
                ALIVE: str(alive),
                WORKER: str(os.getpid()),
                "TMPDIR": str(temporary),
            }
            os.environ.update(own)
            try:
                yield
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    @contextlib.contextmanager
    def _followed(self) -> Iterator[None]:
        path, ended = self._folder / "events.jsonl", threading.Event()
        path.touch(mode=0o600)
        follower = threading.Thread(target=self._follow, args=(path, ended))
        follower.start()
        patience: float | None = None
        try:
            yield
        except KeyboardInterrupt:
            # The parent that asks for an end may no longer read, and a full pipe would block the follower forever.
            patience = 0.0
            raise
        finally:
            ended.set()
            follower.join(patience)

    def _follow(self, path: Path, ended: threading.Event) -> None:
        """Pass on the lines that the steps append, until the pipeline has ended and no more lines come."""
        with path.open("rb") as file:
            rest = b""
            while True:
                last = ended.is_set()
                *lines, rest = (rest + file.read()).split(b"\n")
                for line in lines:
                    self._event(orjson.loads(line))
                if last:
                    return
                ended.wait(_FOLLOW_SECONDS)

    def _event(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "listing":
            self._store.documents([(key, Path(os.fsdecode(bytes.fromhex(path)))) for key, path in event["files"]])
        elif kind == "error":
            self._error = {name: event[name] for name in ("code", "what", "where", "fix")}
        else:
            if kind == "page_progress":
                self._extracted = event["pages"]
            _line(self._out, event)

    def _collect(self) -> dict[str, Any]:
        """Store the small files that the steps wrote, and return the verdicts."""
        for name in SMALL:
            self._store.artifact(f"{name}.json", self._folder / f"{name}.json")
        verdicts: dict[str, Any] = orjson.loads((self._folder / "verdicts.json").read_bytes())
        return verdicts

    def _summary(self, verdicts: dict[str, Any]) -> dict[str, Any]:
        """Return the counts: files by name, but the pages and passages of equal files once."""
        files = verdicts["files"]
        return {
            "run": self._id,
            "files": len(_names(files)),
            "skipped": verdicts["skipped"],
            "documents": len({file["document_id"] for file in files if file["passages"]}),
            "unchanged": sum(len(file["names"]) for file in files if file.get("known")),
            "removed": len(verdicts["removed"]),
            "pages": sum(file.get("pages", 0) for file in files),
            "passages": sum(file["passages"] for file in files),
        }


def _names(files: list[dict[str, Any]]) -> list[str]:
    """Return the names of files; those of folders that could not be read end with a slash."""
    return [name for file in files for name in file["names"] if not name.endswith("/")]


@contextlib.contextmanager
def _only_one(work: Path) -> Iterator[None]:
    with (work / "lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WorkloadError(
                "VEL502",
                "another ingest of this team is running",
                where=str(work),
                fix="wait until it has ended; a document is indexed once, however often it is given",
            ) from None
        yield


def _forget(runs: Path) -> None:
    """Remove the folders of old runs, and the text of a run whose worker and step were killed together."""
    folders = sorted(runs.iterdir())
    for folder in folders[:-KEPT_RUNS]:
        shutil.rmtree(folder, ignore_errors=True)
    for folder in folders[-KEPT_RUNS:-1]:
        tidy(folder)
        shutil.rmtree(folder / "tmp", ignore_errors=True)


def _fail(error: dict[str, str] | None, failure: str, log: Path) -> NoReturn:
    """Raise the step's own error, or an error that it failed."""
    if error is not None:
        raise WorkloadError(error["code"], error["what"], where=error["where"], fix=error["fix"])
    raise WorkloadError(
        "VEL503",
        f"a pipeline step failed: {failure}",
        where=str(log),
        fix="read the end of that log, then ingest again: indexed documents are not read twice",
    )


def _line(out: IO[bytes], event: dict[str, Any]) -> None:
    # The parent may be gone already.
    with contextlib.suppress(BrokenPipeError):
        out.write(orjson.dumps(event) + b"\n")


if __name__ == "__main__":
    main()
