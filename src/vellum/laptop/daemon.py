"""The supervisor's process: ``python -m vellum.laptop.daemon``, started by ``vellum up`` and left running.

Answers commands on a Unix socket in the private runtime folder: one JSON object per line in, one out.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import signal
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from vellum import __version__
from vellum.api import claim, platform
from vellum.controlplane.store import SqliteStore
from vellum.errors import StoreError, UsageError, VellumError
from vellum.kube.objects import Key, Obj
from vellum.laptop.child import rotate
from vellum.laptop.installation import CLAIM, PLATFORM, Installation
from vellum.laptop.state import MARK, State, default_root
from vellum.model.state import Event

LOG = logging.getLogger(__name__)
LOOK_SECONDS = 0.2
"""Whoever looks whether a supervisor runs holds the lock for an instant, which is no other supervisor."""
LOG_SECONDS = 5.0
LONGEST_REQUEST = 4 * 2**20
Answer = Mapping[str, Any]


class Commands:
    """What may be asked through the socket; one method an operation, JSON in and out."""

    def __init__(self, installation: Installation, stop: threading.Event) -> None:
        self._installation, self._stop = installation, stop
        self._store: SqliteStore = installation.store

    def answer(self, request: Mapping[str, Any]) -> Answer:
        """Answer one request; errors become data."""
        operations: dict[str, Callable[..., Any]] = {
            "ping": self.ping, "apply": self.apply, "delete": self.delete, "list": self.objects,
            "events": self._store.events, "receipts": self._store.receipts, "processes": self.processes,
            "record": self.record, "stop": self.stop,
        }  # fmt: skip
        arguments = {name: value for name, value in request.items() if name != "op"}
        operation = operations.get(str(request.get("op")))
        if operation is None:
            return _refused(f"there is no operation {request.get('op')!r}")
        try:
            return {"ok": operation(**arguments)}
        except VellumError as error:
            return {"error": error.as_dict()}
        except (TypeError, KeyError, ValidationError) as error:
            return _refused(str(error))

    def ping(self) -> Answer:
        """Say who answers."""
        return {"pid": os.getpid(), "version": __version__}

    def apply(self, manifests: list[Obj]) -> list[Obj]:
        """Store claims and platforms; all are checked before the first is stored."""
        for manifest in manifests:
            (claim.from_live if manifest["kind"] == CLAIM.kind else platform.from_live)(manifest)
        return [self._installation.apply(manifest) for manifest in manifests]

    def delete(self, namespace: str, name: str) -> bool:
        """Delete a claim; what it composed goes first."""
        return self._store.delete(Key(CLAIM.api_version, CLAIM.kind, namespace, name))

    def objects(self, kinds: list[list[str]] | None = None) -> list[Obj]:
        """Return the objects of some kinds, by default claims and the platform."""
        wanted = kinds or [[kind.api_version, kind.kind] for kind in (PLATFORM, CLAIM)]
        return [obj for api_version, kind in wanted for obj in self._store.list(api_version, kind)]

    def processes(self) -> list[Obj]:
        """Return what runs: never arguments' secrets or environments."""
        return [
            {
                "name": name, "pid": pid, "ready": running.ready, "message": running.message,
                "restarts": running.restarts, "log": str(self._installation.state.log(name)),
            }
            for name, (_, running, pid) in self._installation.supervisor.running().items()
        ]  # fmt: skip

    def record(self, namespace: str, name: str, reason: str, message: str) -> bool:
        """Write an event about a claim, as an ingest does when it ends."""
        self._store.record(
            Key(CLAIM.api_version, CLAIM.kind, namespace, name), Event("Normal", reason, message)
        )
        return True

    def stop(self) -> Answer:
        """End this process and all its children soon."""
        self._stop.set()
        self._installation.manager.watch.poke(Key("v1", "Namespace", "", "default"))
        return self.ping()


def _refused(what: str) -> Answer:
    error = UsageError("VEL701", what, where="the control socket", fix="use the `vellum` of the same version")
    return {"error": error.as_dict()}


class _Handler(socketserver.StreamRequestHandler):
    """One connection: requests until the other side closes."""

    def handle(self) -> None:
        """Answer line by line."""
        commands: Commands = self.server.commands  # type: ignore[attr-defined]  # set by serve
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while line := self.rfile.readline(LONGEST_REQUEST):
                try:
                    answer = commands.answer(json.loads(line))
                except ValueError as error:
                    answer = _refused(str(error))
                self.wfile.write(json.dumps(answer).encode() + b"\n")


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def serve(state: State, commands: Commands) -> _Server:
    """Open the socket (in a 0700 folder) and answer in the background."""
    state.socket.unlink(missing_ok=True)
    server = _Server(str(state.socket), _Handler)
    server.commands = commands  # type: ignore[attr-defined]  # read by the handler
    threading.Thread(target=server.serve_forever, name="commands", daemon=True).start()
    return server


def main() -> int:
    """Run until stopped; say on the descriptor VELLUM_READY_FD whether the start went well."""
    os.umask(0o077)  # whatever we and our children write is private
    ready = int(os.environ.pop("VELLUM_READY_FD", "-1"))
    try:
        state = State.open(default_root())
        _only_one(state)
        state.hold()
        logging.basicConfig(
            stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        installation = Installation(state)
    except VellumError as error:
        _tell(ready, error.as_dict())
        LOG.error("%s", error)  # noqa: TRY400  # a user's error needs no traceback
        return 1
    stop = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stop.set())
    threading.Thread(target=_keep_log, args=(state, stop), name="log", daemon=True).start()
    # The first pass replaces what the last run knew of its processes: nobody may read "ready" from before.
    installation.manager.work()
    server = serve(state, Commands(installation, stop))
    _tell(ready, {})
    LOG.info("vellum %s runs in %s", __version__, state.root)
    installation.run(stop)
    server.shutdown()
    state.socket.unlink(missing_ok=True)
    return 0


def _only_one(state: State) -> None:
    """Lock the installation, until this process ends, before its seed is drawn: two first starts would draw two."""
    lock, deadline = os.open(state.root / MARK, os.O_RDONLY), time.monotonic() + LOOK_SECONDS
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as cause:
            if time.monotonic() > deadline:
                raise StoreError(
                    "VEL301", "another supervisor runs this installation", where=str(state.root),
                    fix="use that one (`vellum status`), or stop it with `vellum down`",
                ) from cause  # fmt: skip
        time.sleep(0.01)


def _keep_log(state: State, stop: threading.Event) -> None:
    """Keep what this process itself says as short as the logs of what it runs."""
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


if __name__ == "__main__":
    sys.exit(main())
