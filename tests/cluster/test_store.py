"""The store on an API server with broken watches, late answers and concurrent clients; no server is needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from urllib3.exceptions import ProtocolError

from vellum.cluster.api import GoneError, NotFoundError
from vellum.cluster.store import KubeStore
from vellum.errors import StoreError
from vellum.kube.objects import Key, Kind, Obj, make

KIND = Kind("v1", "ConfigMap")
KEY = Key("v1", "ConfigMap", "a", "x")


def config(version: int, **data: str) -> Obj:
    made = make("v1", "ConfigMap", "x", "a", data=data)
    return {**made, "metadata": {**made["metadata"], "resourceVersion": str(version), "uid": "1"}}


class Server:
    """Answers lists with what there is, and each watch with the next thing of a script."""

    def __init__(self, *script: Any) -> None:
        self.objects: list[Obj] = [config(1, step="listed")]
        self.version, self.lists, self.script = 1, 0, list(script)
        self.done = threading.Event()
        self.refusals, self.refused_after = 0, 1000

    def list(self, kind: Kind, **_: Any) -> tuple[list[Obj], str]:
        self.lists += 1
        if self.lists <= self.refusals or self.lists > self.refused_after:
            raise NotFoundError("VEL307", "the kind does not exist", where="here", fix="wait")
        return [dict(obj) for obj in self.objects], str(self.version)

    def watch(self, kind: Kind, version: str, seconds: int) -> Iterator[tuple[str, Obj]]:
        if not self.script:
            self.done.set()
            time.sleep(0.05)
            return
        step = self.script.pop(0)
        if isinstance(step, BaseException):
            raise step
        yield step


def store(server: Server) -> KubeStore:
    made = KubeStore(server, [KIND], lambda: datetime(2026, 1, 1, tzinfo=UTC))  # type: ignore[arg-type]
    assert server.done.wait(10)
    made.close()
    return made


@pytest.mark.parametrize(
    "broken",
    [
        ProtocolError("reset"),
        GoneError("too old"),
        StoreError("VEL307", "refused", where="here", fix="wait"),
        RuntimeError("a bug"),
    ],
    ids=["a reset connection", "too old", "a refusal", "anything else"],
)
def test_a_watch_that_breaks_is_begun_anew_with_a_list(broken: Exception) -> None:
    server = Server(broken, ("MODIFIED", config(5, step="after")))
    assert (store(server).get(KEY) or {})["data"] == {"step": "after"}
    assert server.lists == 2


def test_a_server_that_ends_every_watch_is_asked_with_pauses() -> None:
    server = Server()
    made = KubeStore(server, [KIND], lambda: datetime(2026, 1, 1, tzinfo=UTC))  # type: ignore[arg-type]
    time.sleep(0.6)
    made.close()
    assert server.lists < 8


def test_a_late_answer_does_not_restore_a_deleted_object() -> None:
    """An answer that arrives after the event of the deletion does not restore the object."""
    made = store(Server(("DELETED", config(7))))
    made._learn(config(6, step="late"))
    assert made.get(KEY) is None
    made._learn(config(9, step="made again"))
    assert (made.get(KEY) or {})["data"] == {"step": "made again"}


def test_a_list_does_not_undo_what_was_written_while_it_was_under_way() -> None:
    server = Server()
    made = store(server)
    made._learn(config(4, step="written"))
    made._relist(KIND)
    assert (made.get(KEY) or {})["data"] == {"step": "written"}
    server.objects, server.version = [], 9
    made._relist(KIND)
    assert made.get(KEY) is None


def test_a_kind_that_nobody_serves_has_no_objects_until_somebody_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vellum.cluster.store.UNSERVED_PAUSE", 0.01)
    server = Server()
    server.refusals = 3
    made = KubeStore(server, [KIND], lambda: datetime(2026, 1, 1, tzinfo=UTC))  # type: ignore[arg-type]
    assert (made.get(KEY), made.everything()) == (None, [])

    assert server.done.wait(10)

    made.close()
    assert (made.get(KEY) or {})["data"] == {"step": "listed"}


def test_a_kind_that_is_not_served_any_more_has_no_objects() -> None:
    server = Server(GoneError("too old"))
    server.refused_after = 1
    made = KubeStore(server, [KIND], lambda: datetime(2026, 1, 1, tzinfo=UTC))  # type: ignore[arg-type]
    deadline = time.monotonic() + 10
    while made.get(KEY) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    made.close()
    assert made.everything() == []
