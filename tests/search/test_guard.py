"""On its own port a model server serves only its protocols and own pages, and limits bodies."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.search.conftest import Predictor

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(120)]
QUESTION = json.dumps({"instances": [{"question": "lighthouse"}]}).encode()
PREDICT = "/v1/models/search:predict"
MEBIBYTE = 2**20


def ask(predictor: Predictor, method: str, path: str, body: object = None, **headers: str) -> int:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", predictor.port, timeout=15)) as connection:
        connection.request(method, path, body, headers)  # type: ignore[arg-type]  # bytes or an iterator
        answer = connection.getresponse()
        answer.read()
        return answer.status


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://localhost:1", "HTTP://127.0.0.1"])
def test_a_simple_request_of_a_foreign_page_is_refused(manual: Predictor, origin: str) -> None:
    sent = {"Origin": origin, "Content-Type": "text/plain"}
    assert ask(manual, "POST", PREDICT, QUESTION, **sent) == 403
    assert ask(manual, "GET", "/v2/models/search", **sent) == 403


def test_a_page_of_the_models_own_origin_may_ask(manual: Predictor) -> None:
    for name in ("127.0.0.1", "localhost", "LOCALHOST"):
        origin = f"http://{name}:{manual.port}"
        assert ask(manual, "POST", PREDICT, QUESTION, Origin=origin) == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v2/repository/index",
        "/v2/repository/models/search/unload",
        "/v2/repository/models/search/load",
        "/v2/%72epository/models/search/unload",
        "/v2//repository/models/search/unload",
        "/v2/models/../repository/models/search/unload",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/redoc",
        "/openai/v1/models",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_nothing_but_the_protocols_is_served(manual: Predictor, method: str, path: str) -> None:
    assert ask(manual, method, path, b"") in (404, 405)
    assert ask(manual, "GET", "/v2/models/search/ready") == 200


def test_no_other_route_of_kserve_is_reachable(manual: Predictor) -> None:
    """The test reads KServe's own list of routes, so routes of a later version are not served either."""
    import kserve.model_server
    from kserve.model_repository import ModelRepository
    from kserve.protocol.dataplane import DataPlane
    from kserve.protocol.model_repository_extension import ModelRepositoryExtension
    from kserve.protocol.rest.server import RESTServer

    repository = ModelRepository()
    server = RESTServer("", DataPlane(repository), ModelRepositoryExtension(repository), 1)
    server._register_endpoints(kserve.model_server.app)
    paths = set(kserve.model_server.app.openapi()["paths"])
    closed = {path for path in paths if ask(manual, "GET", path.replace("{model_name}", "search")) == 404}
    assert {path for path in paths if "repository" in path} <= closed
    assert {path for path in paths - closed if not path.startswith(("/v1/models", "/v2"))} == {"/"}
    assert len(closed) >= 4


def chunks(count: int) -> Iterator[bytes]:
    yield from (b"x" * MEBIBYTE for _ in range(count))


def memory(predictor: Predictor) -> int:
    """Return the most memory that the process ever had, in MiB."""
    lines = Path(f"/proc/{predictor.process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) // 1024


def test_a_large_body_is_refused_and_not_kept(manual: Predictor) -> None:
    before = memory(manual)
    assert ask(manual, "POST", PREDICT, b"x" * (2 * MEBIBYTE)) == 413
    # Without a length the bytes are counted as they come.
    with contextlib.suppress(ConnectionError):  # refused while the rest was being sent
        assert ask(manual, "POST", PREDICT, chunks(300), **{"Transfer-Encoding": "chunked"}) == 413
    assert memory(manual) - before < 64
    assert ask(manual, "POST", PREDICT, QUESTION) == 200


def test_a_body_that_ends_early_is_not_answered(manual: Predictor) -> None:
    with socket.create_connection(("127.0.0.1", manual.port), 15) as connection:
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(QUESTION) + 9}\r\n\r\n"
        connection.sendall(head.encode() + QUESTION)
        connection.shutdown(socket.SHUT_WR)
        assert b"200 OK" not in connection.recv(4096)
    assert ask(manual, "POST", PREDICT, QUESTION) == 200
