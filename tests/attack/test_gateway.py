"""Hostile requests to the gateway, by class; every table is a product, so that no case is left out by hand."""

from __future__ import annotations

import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.attack.conftest import Attacked
from tests.platform.harness import Installation
from tests.platform.test_notebook import address

pytestmark = [pytest.mark.laptop, pytest.mark.attack, pytest.mark.timeout(300)]
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
PREFIXES = ("serving", "qdrant", "notebook", "pipelines", "apis")


class Target:
    """One gateway with a notebook, and an address of every kind of route."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        binding, (notebook, self.token) = installation.binding("team-a"), address(installation)
        self.port = urlsplit(binding["AWS_ENDPOINT_URL"]).port or 0
        self.own, self.notebook = f"127.0.0.1:{self.port}", urlsplit(notebook).netloc
        self.model = urlsplit(binding["VELLUM_SEARCH_URL"]).path
        paths = {
            "s3": f"/{binding['VELLUM_BUCKET']}/key",
            "qdrant": f"{urlsplit(binding['QDRANT_URL']).path}/collections",
            "serving": f"{self.model}/v2/models/search",
            "pipelines": "/pipelines/x",
            "apis": "/apis/v2beta1/healthz",
            "old notebook": f"{urlsplit(notebook).path}api/contents",
        }
        self.routes = {name: (self.own, path) for name, path in paths.items()}
        self.routes["notebook"] = (self.notebook, paths["old notebook"])

    def send(self, raw: bytes, *, seconds: float = 3.0) -> bytes:
        """Return all bytes of one connection until it ends or is idle for a while."""
        text = b""
        with socket.create_connection(("127.0.0.1", self.port), seconds) as connection:
            try:
                connection.sendall(raw)
                while not whole(text, raw) and (part := connection.recv(65536)):
                    text += part
            except (TimeoutError, ConnectionError):
                pass
        return text

    def ask(self, method: str, host: str, path: str, *more: str) -> tuple[int, bytes]:
        """Return status and answer of one request."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", "Content-Length: 0", *more]
        text = self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return status(text), text

    def memory(self) -> int:
        """Return the most memory that Envoy ever had, in MiB."""
        lines = Path(f"/proc/{self.installation.process('envoy')['pid']}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) // 1024


def whole(text: bytes, raw: bytes) -> bool:
    """Return whether the first answer is complete: Envoy closes a connection a second after it."""
    head, result, body = text.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *([0-9]+)", head)
    if not result or raw.startswith(b"HEAD"):
        return bool(result)
    return len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n") or b"chunked" not in head.lower()


def closed(connection: socket.socket) -> bool:
    """Return whether the other side closed the connection."""
    connection.settimeout(0.002)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def status(text: bytes) -> int:
    """Return the status of the first answer, 0 where the connection was closed without one."""
    words = text.split(None, 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


@pytest.fixture(scope="module")
def target(platform: Installation) -> Target:
    return Target(platform)


@pytest.fixture(autouse=True)
def still_well(target: Target) -> Iterator[None]:
    """After each class the model is still loaded, nothing was restarted, and the gateway answers."""
    before = {name: item["restarts"] for name, item in target.installation.processes().items()}
    yield
    assert target.ask("GET", target.own, f"{target.model}/v2/models/search/ready")[0] == 200
    assert {name: item["restarts"] for name, item in target.installation.processes().items()} == before


def test_foreign_origins_at_every_route_and_method(target: Target, attacked: Attacked) -> None:
    port = target.port
    origins = [
        "http://evil.example",
        "null",
        "",
        "file://",
        f"http://127.0.0.1:{port + 1}",
        "http://127.0.0.1",
        "http://localhost",
        f"https://127.0.0.1:{port}",
        f"http://127.0.0.1:{port}/",
        f"http://127.0.0.1:{port}@evil",
        f" http://x:{port}",
        f"http://notebook-x.localhost:{port}",
        f"http://localhost.:{port}",
        f"http://[::ffff:127.0.0.1]:{port}",
        f"http://127.0.0.1:{port}, http://evil.example",
    ]
    answers: Counter[int] = Counter()
    for (host, path), method, origin in product(target.routes.values(), METHODS, origins):
        result, text = target.ask(method, host, path, f"Origin: {origin}")
        answers[result] += 1
        assert result == 403, (host, path, method, origin, text[:300])
    attacked("A foreign `Origin` at every route and method", answers.elements())


def test_foreign_hosts_at_every_route(target: Target, attacked: Attacked) -> None:
    port = target.port
    hosts = [
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1",
        "localhost",
        f"127.0.0.1:{port + 1}",
        f"127.1:{port}",
        f"2130706433:{port}",
        f"0x7f.1:{port}",
        f"localhost.:{port}",
        f"127.0.0.1.:{port}",
        f"x@127.0.0.1:{port}",
        f"127.0.0.1:{port}@evil",
        f"evil.localhost:{port}",
        f"{target.notebook}.evil.example",
        "",
        "[::1]",
        f"[::]:{port}",
        f"127.0.0.1:{port}:{port}",
        f"127.0.0.1:0{port}",
        f"127.0.0.1:{port}/x",
    ]
    answers: Counter[int] = Counter()
    for (_, path), method, host in product(target.routes.values(), ("GET", "POST", "PUT"), hosts):
        result, text = target.ask(method, host, path)
        answers[result] += 1
        assert result in (400, 404), (path, method, host, text[:300])
        assert b"<Error>" not in text, (path, method, host)
    attacked("A foreign `Host` at every route", answers.elements())


def test_path_tricks_reach_nothing_that_is_closed(target: Target, attacked: Attacked) -> None:
    hops = (
        "..",
        "%2e%2e",
        ".%2e",
        "%2E.",
        ".",
        "%2e",
        "",
        "..;",
        "%2f..",
        "..%2f",
        "%5c..",
        "\\..",
        "%00",
        "%252e%252e",
        ";x=1",
    )
    closed = ("v2/repository/index", "v2/repository/models/search/unload", "metrics", "openapi.json", "docs")
    answers: Counter[int] = Counter()
    for hop, end, method in product(hops, closed, ("GET", "POST")):
        for path in (
            f"{target.model}/{hop}/{end}",
            f"{target.model}/v2/{hop}/{end}",
            f"{target.model}{hop}/{end}",
            f"/qdrant/{hop}{target.model}/{end}",
            f"/{hop}{target.model}/{end}",
        ):
            result, text = target.ask(method, target.own, path)
            answers[result] += 1
            assert not 200 <= result < 300, (method, path, text[:300])
            assert b"python_gc_objects" not in text
    for prefix, hop in product(PREFIXES, hops):
        for path in (f"/{prefix}/{hop}", f"/{prefix}/{hop}/x", f"/{prefix}/{hop}/../{hop}"):
            result, text = target.ask("GET", target.own, path)
            answers[result] += 1
            assert result in (400, 404), (path, text[:300])
            assert b"<Error>" not in text, path
    attacked("Tricks in paths: dots, slashes, encodings", answers.elements())


def test_forms_of_the_request_line(target: Target, attacked: Attacked) -> None:
    path = f"{target.model}/v2/models/search"
    lines = [
        f"GET http://evil.example{path} HTTP/1.1",
        f"GET https://evil.example:{target.port}{path} HTTP/1.1",
        f"GET http://127.0.0.1:1{path} HTTP/1.1",
        "CONNECT 127.0.0.1:22 HTTP/1.1",
        f"CONNECT {target.own} HTTP/1.1",
        f"GET {path} HTTP/1.0",
        f"GET {path} HTTP/0.9",
        f"GET {path}",
        f"GET {path} HTTP/2.0",
        f"GET {path} HTTP/9.9",
        "PRI * HTTP/2.0",
        f" GET {path} HTTP/1.1",
        f"G\tET {path} HTTP/1.1",
        f"GET  {path} HTTP/1.1 x",
        "\x00" * 64,
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        f"TRACE {path} HTTP/1.1",
        f"PROPFIND {path} HTTP/1.1",
        f"{'A' * 9000} {path} HTTP/1.1",
        f"GET /{'a' * 200000} HTTP/1.1",
    ]
    answers: Counter[int] = Counter()
    for line in lines:
        for end in (f"\r\nHost: {target.own}\r\nConnection: close\r\n\r\n", f"\nHost: {target.own}\n\n", "\r\n\r\n"):
            text = target.send((line + end).encode("latin-1"))
            answers[status(text)] += 1
            assert not 200 <= status(text) < 300, (line[:80], text[:300])
    result, _ = target.ask("GET", "evil.example", f"http://{target.own}{path}")
    assert result == 200  # the absolute form of the gateway's own name counts, not Host
    attacked("Forms of the request line", (answer or "closed" for answer in answers.elements()))


def test_no_second_request_is_smuggled(target: Target, attacked: Attacked) -> None:
    """A request with two body lengths is refused or read in one way; its rest is never read as a request."""
    inner = f"GET /.vellum/ready HTTP/1.1\r\nHost: {target.own}\r\nX-Smuggled: yes\r\n\r\n"
    ends = [
        f"Content-Length: {len(inner) + 5}",
        "Content-Length: 5",
        "Content-Length: +5",
        "Content-Length: 5, 6",
        "Content-Length: 0x5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: -1",
        "Content-Length: 99999999999999999999",
        "Content-Length: 5 5",
        "content-length\t: 5",
    ]
    codings = [
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "X: x\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        'Transfer-Encoding: "chunked"',
        "transfer-encoding: CHUNKED\x00",
    ]
    answers: Counter[int] = Counter()
    for (host, path), end, coding in product(target.routes.values(), ends, codings):
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{end}\r\n{coding}\r\n\r\n"
        text = target.send((head + "0\r\n\r\n" + inner).encode("latin-1"))
        answers[status(text)] += 1
        assert not 200 <= status(text) < 300, (path, end, coding, text[:300])
        # Further bytes may only answer the caller's own request. No other connection sees them.
        assert target.ask("GET", target.own, "/.vellum/ready")[0] == 200
    attacked("Two lengths of one body (request smuggling)", answers.elements())


def test_strange_headers(target: Target, attacked: Attacked) -> None:
    host, path = target.routes["serving"]
    extra = [
        f"X: {'a' * 70000}",
        *("\r\n".join(f"X-{n}: a" for n in range(many)) for many in (120, 3000)),
        "X: \x00",
        "X\x00: a",
        "X Y: a",
        ": a",
        "X",
        "\x7f: \x01",
        "Host: evil.example",
        f"Host: {target.notebook}",
        f"X-Forwarded-Host: {target.notebook}\r\nX: {'b' * 62000}",
    ]
    answers: Counter[int] = Counter()
    for item in extra:
        result, text = target.ask("GET", host, path, item)
        answers[result] += 1
        assert result in (0, 400, 404, 431), (item[:60], text[:300])
    for name in (
        "X-Forwarded-Host",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Envoy-Original-Path",
        "X-Forwarded-Prefix",
        "X-Envoy-Internal",
        "X-HTTP-Method-Override",
        "Kubeflow-Userid",
    ):
        for value in (target.notebook, "/v2/repository/index", f"{target.model}/metrics", "DELETE"):
            result, text = target.ask("GET", target.own, "/serving/absent/x", f"{name}: {value}")
            answers[result] += 1
            assert result == 404, (name, value, text[:300])
    attacked("Strange headers", answers.elements())


def test_a_thousand_slow_connections_end_by_themselves(target: Target, attacked: Attacked) -> None:
    """Requests that begin and never end are limited in count, memory and time."""
    before, begun = target.memory(), time.monotonic()
    connections: list[socket.socket] = []
    with ExitStack() as held:
        for number in range(1000):
            connection = held.enter_context(closing(socket.create_connection(("127.0.0.1", target.port), 10)))
            connection.sendall(f"GET /{number} HTTP/1.1\r\nHost: {target.own}\r\nX-Slow: ".encode())
            connections.append(connection)
        refused = sum(1 for item in connections if closed(item))
        while True:
            waited = time.monotonic() - begun
            if target.ask("GET", target.own, "/.vellum/ready")[0] == 200:
                break
            assert waited < 40
            time.sleep(0.5)
    more = target.memory() - before
    assert refused >= 150
    assert more < 150
    attacked("Slow connections at once", 1000 * ["refused or held, others are answered"])
