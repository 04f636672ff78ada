"""The frame of every supervisor process: one per state directory, a socket for commands, an orderly end.

Commands come over a Unix socket in the private runtime folder: one line of JSON in, one line of JSON out.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from vellum import __version__
from vellum.connect.installation import MARK, state_root
from vellum.errors import LaptopError, StoreError, VellumError
from vellum.host import records
from vellum.host.child import rotate
from vellum.host.control import serve
from vellum.host.files import read_json, write_json
from vellum.host.room import FULL, advice, lacking
from vellum.host.state import PLAIN, Layout, State
from vellum.host.supervisor import Supervisor
from vellum.kube.objects import Obj

LOG = logging.getLogger(__name__)
LOOK_SECONDS = 0.2
"""Seconds of retries: a command that checks for a supervisor also holds the lock for an instant."""
LOG_SECONDS = 5.0
Answer: TypeAlias = Mapping[str, Any]


class Runs(Protocol):
    """The work of one supervisor."""

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set, then end all processes."""


class Answers(Protocol):
    """Answers requests from the socket."""

    def answer(self, request: Mapping[str, Any]) -> Answer:
        """Return the answer to one request; errors become data."""


Begin: TypeAlias = Callable[[State, threading.Event], tuple[Runs, Answers]]


def ping() -> Answer:
    """Return the version and pid of this supervisor."""
    return {"pid": os.getpid(), "version": __version__}


def processes(supervisor: Supervisor, state: State) -> list[Obj]:
    """Return the running processes, without secret arguments and environments."""
    return [
        {
            "name": name,
            "pid": pid,
            "ready": running.ready,
            "message": running.message,
            "restarts": running.restarts,
            "log": str(state.log(name)),
        }
        for name, (_, running, pid) in supervisor.running().items()
    ]


def run(begin: Begin, layout: Layout = PLAIN) -> int:
    """Run until stopped; report on the descriptor VELLUM_READY_FD whether the start succeeded."""
    os.umask(0o077)  # all files of this process and its children are private
    ready, stop = int(os.environ.pop("VELLUM_READY_FD", "-1")), threading.Event()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        state = State.open(state_root(), layout)
        _only_one(state)
        notes = _write_anew(state, {**records.PARSERS, **layout.records})
        state.hold()
        work, commands = begin(state, stop)
    except VellumError as error:
        _tell(ready, error.as_dict())
        LOG.error("%s", error)  # noqa: TRY400  # a user's error needs no traceback
        return 1
    except Exception as error:
        LOG.exception("the supervisor cannot start")
        _tell(ready, _cannot_start(error).as_dict())
        return 1
    for note in notes:
        LOG.warning("%s", note)
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stop.set())
    threading.Thread(target=_keep_log, args=(state, stop), name="log", daemon=True).start()
    server = serve(state.socket, commands.answer)
    _tell(ready, {"notes": notes})
    LOG.info("vellum %s runs in %s", __version__, state.root)
    work.run(stop)
    server.close()
    state.clear_runtime()
    return 0


def _write_anew(state: State, parsers: records.Parsers) -> list[str]:
    """Write damaged records anew from their valid entries; return notes for the user."""
    damaged = records.damaged(state.root, parsers)
    for name in damaged:
        write_json(state.root / name, parsers[name](read_json(state.root / name, {})))
    return [f"{name} was damaged and is written anew" for name in damaged]


def _cannot_start(error: Exception) -> LaptopError:
    """Return the error for an unforeseen exception; the log has the trace."""
    place = getattr(error, "filename", None) or state_root()
    if getattr(error, "errno", None) in FULL and (lacks := lacking(state_root())):
        return lacks
    reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
    return LaptopError(
        "VEL408",
        f"the supervisor cannot start: {reason}",
        where=str(place),
        fix=advice(error, "see `vellum logs vellum`; if it is not clear what to do, report it with that log"),
    )


def _only_one(state: State) -> None:
    """Lock the installation until this process ends; before the seed is drawn, or two first starts would draw two."""
    lock, deadline = os.open(state.root / MARK, os.O_RDONLY), time.monotonic() + LOOK_SECONDS
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as cause:
            if time.monotonic() > deadline:
                raise StoreError(
                    "VEL301",
                    "another supervisor runs this installation",
                    where=str(state.root),
                    fix="use that one (`vellum status`), or stop it with `vellum down`",
                ) from cause
        time.sleep(0.01)


def _keep_log(state: State, stop: threading.Event) -> None:
    """Keep this process's own log as short as the logs of its children."""
    while True:
        with contextlib.suppress(OSError):
            rotate(state.log("vellum"))
        if stop.wait(LOG_SECONDS):
            return


def _tell(descriptor: int, answer: Answer) -> None:
    if descriptor >= 0:
        with contextlib.suppress(OSError):
            os.write(descriptor, json.dumps(answer).encode() + b"\n")
            os.close(descriptor)
