"""Ask the running supervisor. Standard library only: ``vellum status`` must not wait for imports."""

from __future__ import annotations

import json
import random
import socket
import time
from typing import Any

from vellum import errors
from vellum.errors import LaptopError, VellumError
from vellum.host import reaper
from vellum.host.inside import HERE, inside
from vellum.host.state import State
from vellum.kube.objects import Json

PING_SECONDS = 5.0
"""A supervisor that works answers within milliseconds; one that is stopped or hangs never does."""
LOOK_SECONDS = 0.5
"""The interval at which a waiting command checks whether the supervisor can answer at all."""
RETRY_SECONDS = 0.05
BUSY = "VEL420"
_BY_HUNDRED = {
    "1": errors.ClaimError,
    "2": errors.ComposeError,
    "3": errors.StoreError,
    "4": errors.LaptopError,
    "5": errors.WorkloadError,
    "6": errors.BindingError,
    "7": errors.UsageError,
    "8": errors.FunctionError,
    "9": errors.BenchError,
}


def known(answer: dict[str, Any]) -> VellumError:
    """Return the error that another process sent as data."""
    kind = _BY_HUNDRED.get(answer["code"][3:4], VellumError)
    return kind(answer["code"], answer["what"], where=answer["where"], fix=answer["fix"])


class Client:
    """The client of one installation's supervisor, over its socket."""

    def __init__(
        self,
        state: State,
        runs: str = "the platform",
        start: str = "vellum up claim.yaml",
        then: str = "what it holds is kept",
    ) -> None:
        """Prepare a client; its errors name what the supervisor runs, what starts it, and what happens then."""
        self._state, self._runs, self._start, self._then = state, runs, start, then

    def alive(self) -> bool:
        """Return whether a supervisor answers."""
        try:
            self.ask("ping", seconds=PING_SECONDS)
        except LaptopError:
            return False
        return True

    def ask(self, op: str, *, seconds: float = 60, **arguments: Json) -> Json:
        """Return the answer to one operation.

        Raises:
            LaptopError: no supervisor answers (VEL406), it is busy (VEL420) or stopped (VEL421), or the folder of the
                socket belongs to another user (VEL401).
            VellumError: the error with which the supervisor answers.
        """
        deadline = time.monotonic() + seconds
        request = json.dumps({"op": op, **arguments}).encode() + b"\n"
        while True:
            try:
                self._state.check_runtime()
                answer = json.loads(self._exchange(request, deadline))
            except BlockingIOError as cause:
                # The kernel's queue of waiting connections is full, which shows that the supervisor is alive.
                if time.monotonic() > deadline - RETRY_SECONDS:
                    raise self._busy() from cause
            except (OSError, ValueError) as cause:
                raise self._silence() from cause
            else:
                if (answer.get("error") or {}).get("code") != BUSY or time.monotonic() > deadline - RETRY_SECONDS:
                    break
            time.sleep(RETRY_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311  # spreads retries, guards nothing
        if "error" in answer:
            raise known(answer["error"])
        return answer["ok"]

    def _exchange(self, request: bytes, deadline: float) -> bytes:
        """Send the request and return the answer's line; do not wait for a supervisor that cannot answer.

        Raises:
            LaptopError: the supervisor is stopped by a signal (VEL421).
            OSError: no process listens, or no answer came in time.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(LOOK_SECONDS)
            connection.connect(str(self._state.socket))
            connection.settimeout(max(LOOK_SECONDS, deadline - time.monotonic()))
            connection.sendall(request)
            connection.settimeout(LOOK_SECONDS)
            line = bytearray()
            while not line.endswith(b"\n"):
                try:
                    piece = connection.recv(65536)
                except TimeoutError:
                    self._not_stopped()
                    if time.monotonic() > deadline:
                        raise
                    continue
                if not piece:
                    break
                line += piece
            return bytes(line)

    def _not_stopped(self) -> None:
        holder = self._state.holder()
        if holder and reaper.is_stopped(holder.pid):
            raise LaptopError(
                "VEL421",
                f"the supervisor (process {holder.pid}) is stopped by a signal (SIGSTOP)",
                where=str(self._state.root),
                fix=f"run `kill -CONT {holder.pid}` to resume it, or `vellum down`",
            )

    def _busy(self) -> LaptopError:
        return LaptopError(
            BUSY,
            "the supervisor is busy: too many commands wait for it",
            where=str(self._state.socket),
            fix="try again in a moment",
        )

    def _silence(self) -> LaptopError:
        holder = self._state.holder()
        if holder is None and (around := inside()):
            return LaptopError(
                "VEL406",
                f"{around}, and it does not run or cannot be reached",
                where=str(self._state.root),
                fix=f"run the command in a terminal of your machine; {HERE}",
            )
        if holder is None:
            return LaptopError(
                "VEL406",
                f"{self._runs} is not running",
                where=str(self._state.root),
                fix=f"start it with `{self._start}`; {self._then}",
            )
        return LaptopError(
            "VEL406",
            f"the supervisor (process {holder.pid}) does not answer",
            where=str(self._state.socket),
            fix=f"stop {self._runs}, then start it with `{self._start}`; {self._then}",
        )
