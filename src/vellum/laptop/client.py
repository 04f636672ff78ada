"""Ask the running supervisor. Standard library only: ``vellum status`` must not wait for imports."""

from __future__ import annotations

import json
import socket
from typing import Any

from vellum import errors
from vellum.errors import LaptopError, VellumError
from vellum.laptop.state import State

PING_SECONDS = 5.0
"""A supervisor that works answers within milliseconds; one that is stopped or hangs never does."""
_BY_HUNDRED = {
    "1": errors.ClaimError, "2": errors.ComposeError, "3": errors.StoreError, "4": errors.LaptopError,
    "5": errors.WorkloadError, "6": errors.BindingError, "7": errors.UsageError, "8": errors.FunctionError,
    "9": errors.BenchError,
}  # fmt: skip


def known(answer: dict[str, Any]) -> VellumError:
    """Return the error that another process sent as data."""
    kind = _BY_HUNDRED.get(answer["code"][3:4], VellumError)
    return kind(answer["code"], answer["what"], where=answer["where"], fix=answer["fix"])


class Client:
    """One installation's supervisor, asked over its socket."""

    def __init__(
        self, state: State, runs: str = "the platform", start: str = "vellum up claim.yaml",
        then: str = "what it holds is kept",
    ) -> None:  # fmt: skip
        """Ask the supervisor of ``state``; errors name what it runs, what starts it, and what comes then."""
        self._state, self._runs, self._start, self._then = state, runs, start, then

    def alive(self) -> bool:
        """Tell whether a supervisor answers."""
        try:
            self.ask("ping", seconds=PING_SECONDS)
        except LaptopError:
            return False
        return True

    def ask(self, op: str, *, seconds: float = 60, **arguments: Any) -> Any:  # noqa: ANN401  # JSON in and out
        """Return the answer to one operation.

        Raises:
            LaptopError: nobody answers (VEL406), or the folder of the socket is not ours (VEL401).
            VellumError: what the supervisor answers with.
        """
        try:
            self._state.check_runtime()
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(seconds)
                connection.connect(str(self._state.socket))
                connection.sendall(json.dumps({"op": op, **arguments}).encode() + b"\n")
                line = connection.makefile("rb").readline()
            answer = json.loads(line)
        except (OSError, ValueError) as cause:
            raise self._silence() from cause
        if "error" in answer:
            raise known(answer["error"])
        return answer["ok"]

    def _silence(self) -> LaptopError:
        holder = self._state.holder()
        if holder is None:
            return LaptopError(
                "VEL406", f"{self._runs} is not running", where=str(self._state.root),
                fix=f"start it with `{self._start}`; {self._then}",
            )  # fmt: skip
        return LaptopError(
            "VEL406", f"the supervisor (process {holder.pid}) does not answer", where=str(self._state.socket),
            fix=f"stop {self._runs}, then start it with `{self._start}`; {self._then}",
        )  # fmt: skip
