"""Start the supervisor in the background and wait until it answers; stop it and wait until it is gone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TypeAlias

from vellum import __version__
from vellum.connect.installation import MARK, is_held
from vellum.errors import LaptopError
from vellum.host import limits, reaper
from vellum.host.client import Client, known
from vellum.host.log_tail import last_message
from vellum.host.room import FULL, advice, lacking
from vellum.host.state import State

START_SECONDS = 10.0
ASK_SECONDS = 2.0
"""A working supervisor accepts a command within milliseconds; after this time it also gets a signal."""
STOP_SECONDS = 20.0
"""The services end within 3 s; a supervisor that takes this long hangs."""
KILL_SECONDS = 5.0
Talk: TypeAlias = Callable[[str], None]


def silent(_: str) -> None:
    """Drop the note."""


def start(state: State, module: str, *arguments: str, stop: str = "vellum down", talk: Talk = silent) -> bool:
    """Make sure that a supervisor of this version runs; return True if it was started now.

    Args:
        state: its state directory.
        module: the module that runs as the supervisor.
        arguments: its arguments.
        stop: the command that ends it, for the error.
        talk: gets notes for the user, such as a damaged record.

    Raises:
        VellumError: it could not start; or one of another version runs (VEL407).
    """
    client = Client(state)
    if client.alive():
        running = client.ask("ping")["version"]
        if running != __version__:
            raise LaptopError(
                "VEL407",
                f"the running supervisor is version {running}, this is {__version__}",
                where=str(state.root),
                fix=f"run `{stop}`, then start it again",
            )
        return False
    limits.check()
    try:
        _spawn(state, (module, *arguments), talk)
    except OSError as cause:
        if cause.errno in FULL and (lacks := lacking(state.root)):
            raise lacks from cause
        raise LaptopError(
            "VEL408",
            f"the supervisor cannot start: {cause.strerror}",
            where=str(cause.filename or state.root),
            fix=advice(cause, "see whether this user may write there"),
        ) from cause
    return True


def _spawn(state: State, daemon: tuple[str, ...], talk: Talk) -> None:
    log = state.log("vellum")
    log.parent.mkdir(mode=0o700, exist_ok=True)
    begins = log.stat().st_size if log.exists() else 0
    reading, writing = os.pipe()
    environment = {**os.environ, "VELLUM_STATE": str(state.root), "VELLUM_READY_FD": str(writing)}
    with os.fdopen(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), "ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", *daemon],
            cwd=state.root,
            env=environment,
            pass_fds=(writing,),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as report:
        answer = json.loads(report.readline() or "null")
    if answer is None:
        child.wait()
        raise LaptopError(
            "VEL408",
            f"the supervisor ended with {child.returncode} before it was ready",
            where=str(log),
            fix=f"read that log; its last message: {last_message(log, begins) or 'none'}",
        )
    for note in answer.get("notes", ()):
        talk(note)
    if "code" in answer:
        child.wait()
    if answer.get("code") == "VEL301" and _answers_soon(state):
        return
    if "code" in answer:
        raise known(answer)
    # The supervisor outlives this process; without this Python would warn about a child that still runs.
    child.returncode = 0


def _answers_soon(state: State) -> bool:
    """Wait for a supervisor that started faster: of two commands at the same time, both find the platform."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if Client(state).alive():
            return True
        time.sleep(0.05)
    return False


def stop(state: State, talk: Talk = silent) -> bool:
    """Stop the supervisor and everything it runs; return False if none was running.

    The lock decides whether one runs. A silent socket proves nothing: its folder may be gone with a login, or the
    supervisor hangs. A live supervisor would restart children that are ended. A supervisor that a signal stopped is
    resumed, so that it can end its services in order. One that hangs is killed, and its reaper ends its children.

    Raises:
        LaptopError: it does not end (VEL409).
    """
    if not is_held(state.root):
        # After a SIGKILL the children may still be ending.
        reaper.end(str(state.processes))
        return False
    asked = _agrees(state, talk)
    if _ends_within(state, STOP_SECONDS, asked=asked, talk=talk):
        return True
    if holder := state.holder():
        talk(f"The supervisor (process {holder.pid}) hangs; Vellum kills it, and its processes end with it.")
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder.pid, signal.SIGKILL)
        if _ends_within(state, KILL_SECONDS, asked=True, talk=talk):
            reaper.end(str(state.processes))
            return True
    raise _does_not_end(state)


def _ends_within(state: State, seconds: float, *, asked: bool, talk: Talk) -> bool:
    """Wait until no process holds the installation; signal a holder that the socket did not reach."""
    deadline = time.monotonic() + seconds
    while is_held(state.root):
        if not asked and (holder := state.holder()):
            asked = True
            talk(f"The supervisor (process {holder.pid}) does not answer; Vellum sends it SIGTERM.")
            with contextlib.suppress(ProcessLookupError):
                os.kill(holder.pid, signal.SIGTERM)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _agrees(state: State, talk: Talk) -> bool:
    """Ask the supervisor to stop; return False if none answers."""
    holder = state.holder()
    if holder and reaper.is_stopped(holder.pid):
        talk(f"The supervisor (process {holder.pid}) was stopped by a signal; Vellum resumes it to end its services.")
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder.pid, signal.SIGCONT)
    try:
        Client(state).ask("stop", seconds=ASK_SECONDS)
    except LaptopError:
        return False
    return True


def _does_not_end(state: State) -> LaptopError:
    holder, mark = state.holder(), state.root / MARK
    if holder is None:
        return LaptopError(
            "VEL409",
            "a supervisor that has not said who it is does not end",
            where=str(mark),
            fix=f"find it with `fuser '{mark}'` and run `kill -9` on it",
        )
    return LaptopError(
        "VEL409",
        f"the supervisor (process {holder.pid}) does not end",
        where=str(state.log("vellum")),
        fix=f"run `kill -9 {holder.pid}`; its children end by themselves within 12 s",
    )
