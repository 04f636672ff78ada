"""Requests to an API server over real HTTP, with the oldest and the newest client that a user can have.

`make check` runs this in `.venv`, where kfp allows only version 30 of the client, and in `.venv-cluster`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from vellum import __version__
from vellum.cluster.api import Api, ConflictError, GoneError, NotFoundError, UnavailableError
from vellum.errors import StoreError
from vellum.kube.objects import Key, Kind, Obj

KIND = Kind("v1", "ConfigMap")
KEY = Key("v1", "ConfigMap", "a", "x")
PATH = "/api/v1/namespaces/a/configmaps/x"
OBJ: Obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "a"}, "data": {"ü": "ä"}}
EVENTS: list[Obj] = [{"type": "ADDED", "object": OBJ}, {"type": "ERROR", "object": {"code": 410, "message": "old"}}]
PLAIN = "application/json"


class Handler(BaseHTTPRequestHandler):
    """Answers with the server's next answer, and records the request."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        named = {name: self.headers.get(name) for name in ("Accept", "Authorization", "Content-Type", "User-Agent")}
        assert isinstance(self.server, Server)
        self.server.seen.append((self.command, self.path, named, json.loads(body) if body else None))
        status, content = self.server.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815  # names of http.server

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Server(ThreadingHTTPServer):
    """An API server that answers what the test tells it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[Any] = []
        self.answers: list[tuple[int, bytes]] = []

    def next(self, status: int, body: Any) -> None:
        self.answers.append((status, body if isinstance(body, bytes) else json.dumps(body).encode()))


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def kubeconfig(folder: Path, port: int) -> Path:
    file = folder / "kubeconfig"
    parts = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    }
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "x", **parts}))
    return file


@pytest.fixture
def api(server: Server, tmp_path: Path) -> Api:
    return Api(kubeconfig(tmp_path, server.server_port), agent="test", fix="look")


def headers(content: str | None) -> dict[str, str | None]:
    agent = f"test/{__version__}"
    return {"Accept": PLAIN, "Authorization": "Bearer secret", "Content-Type": content, "User-Agent": agent}


def test_each_call_is_one_request_with_its_body_and_key(server: Server, api: Api) -> None:
    for _ in range(6):
        server.next(200, OBJ)
    server.next(200, {"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "x"}}]})
    results = [
        api.get(KEY),
        api.create(OBJ),
        api.apply(OBJ, dry=True),
        api.merge(KEY, {"data": {}}, subresource="/status"),
        api.change(KEY, {"op": "test", "path": "/data", "value": {}}),
        api.delete(KEY, uid="1"),
        api.list(KIND, labels={"a": "b", "c": "d e"}),
    ]
    listed = ([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}], "7")
    assert results == [OBJ, OBJ, OBJ, OBJ, OBJ, True, listed]
    gone = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "preconditions": {"uid": "1"},
    }
    assert server.seen == [
        ("GET", PATH, headers(None), None),
        ("POST", "/api/v1/namespaces/a/configmaps", headers(PLAIN), OBJ),
        ("PATCH", f"{PATH}?fieldManager=vellum&force=true&dryRun=All", headers("application/apply-patch+yaml"), OBJ),
        ("PATCH", f"{PATH}/status", headers("application/merge-patch+json"), {"data": {}}),
        ("PATCH", PATH, headers("application/json-patch+json"), [{"op": "test", "path": "/data", "value": {}}]),
        ("DELETE", PATH, headers(PLAIN), gone),
        ("GET", "/api/v1/configmaps?labelSelector=a%3Db%2Cc%3Dd+e", headers(None), None),
    ]


def test_a_watch_yields_events_until_it_is_too_old(server: Server, api: Api) -> None:
    server.next(200, b"".join(json.dumps(event).encode() + b"\n" for event in EVENTS))
    watch = api.watch(KIND, "7", 9)
    assert next(watch) == ("ADDED", OBJ)
    with pytest.raises(GoneError, match=r"^old$"):
        next(watch)
    query = "watch=1&resourceVersion=7&timeoutSeconds=9&allowWatchBookmarks=true"
    assert server.seen == [("GET", f"/api/v1/configmaps?{query}", headers(None), None)]


REFUSALS: dict[int, tuple[type[Exception], str]] = {
    403: (StoreError, f"VEL307: the API server refuses (403): no ({PATH})"),
    404: (NotFoundError, f"VEL307: the API server refuses (404): no ({PATH})"),
    409: (ConflictError, "no"),
    410: (GoneError, "no"),
    503: (UnavailableError, f"VEL307: the API server refuses (503): no ({PATH})"),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_is_an_error_of_its_kind(server: Server, api: Api, status: int) -> None:
    server.next(status, {"kind": "Status", "message": "no"})
    with pytest.raises(Exception) as refused:  # noqa: PT011  # the type is compared below
        api.merge(KEY, {})
    assert (type(refused.value), str(refused.value)) == REFUSALS[status]


def test_a_refusal_without_a_message_has_the_name_of_its_status(server: Server, api: Api) -> None:
    server.next(502, b"<html>")
    with pytest.raises(StoreError, match=r"^VEL307: the API server refuses \(502\): Bad Gateway "):
        api.raw("/readyz")


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"^VEL307: the API server does not answer: .*refused \(/readyz\)$"):
        Api(kubeconfig(tmp_path, 1)).raw("/readyz")
