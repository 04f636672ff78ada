"""Requests of web pages, other users and mistaken clients that the gateway refuses, and requests that still work."""

from __future__ import annotations

import http.client
import importlib
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.platform.harness import Installation
from tests.platform.test_notebook import address, origin
from tests.platform.test_services import s3

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(240)]
MEBIBYTE = 2**20
EVIL = b"<script>document.title = 'ran'</script>"


@dataclass(frozen=True)
class Answer:
    """One answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: tuple[str, ...]

    def json(self) -> Any:
        return json.loads(self.body)


def ask(url: str, method: str = "GET", body: object = None, **headers: str) -> Answer:
    """Request a URL of any host name from 127.0.0.1, as a browser does for names below localhost."""
    parts = urlsplit(url)
    sent = {"Host": parts.netloc, **{name.replace("_", "-"): value for name, value in headers.items()}}
    with closing(http.client.HTTPConnection("127.0.0.1", parts.port, timeout=30)) as connection:
        target = url.removeprefix(f"{parts.scheme}://{parts.netloc}") or "/"
        connection.request(method, target, body, sent)  # type: ignore[arg-type]  # bytes or an iterator
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        cookies = tuple(answer.headers.get_all("Set-Cookie") or ())
        return Answer(answer.status, named, answer.read(), cookies)


@pytest.fixture(scope="module")
def routes(platform: Installation) -> dict[str, str]:
    """Return an address of every kind of the gateway's routes."""
    binding = platform.binding("team-a")
    return {
        "s3": f"{binding['AWS_ENDPOINT_URL']}/{binding['VELLUM_BUCKET']}",
        "qdrant": f"{binding['QDRANT_URL']}/collections",
        "serving": f"{binding['VELLUM_SEARCH_URL']}/v2/models/search",
        "notebook": f"{address(platform)[0]}api/kernels",
        "pipelines": f"{binding['AWS_ENDPOINT_URL']}/pipelines/team-a",
        "apis": f"{binding['AWS_ENDPOINT_URL']}/apis/v2beta1/healthz",
    }


ROUTES = ["s3", "qdrant", "serving", "notebook", "pipelines", "apis"]


@pytest.mark.parametrize("route", ROUTES)
def test_a_foreign_page_is_refused_at_every_route(routes: dict[str, str], route: str) -> None:
    port = urlsplit(routes[route]).port
    strangers = [
        "http://evil.example",
        "null",
        "",
        f"http://127.0.0.1:{port}.evil.example",
        "http://127.0.0.1:1",
        f"https://127.0.0.1:{port}",
        f"http://evil.localhost:{port}",
        "http://localhost",
    ]
    for stranger in strangers:
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
            assert ask(routes[route], method, b"{}", Origin=stranger).status == 403, (stranger, method)
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec_WebSocket_Version": "13",
            "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }
        assert ask(routes[route], Origin=stranger, **upgrade).status == 403, stranger


def test_a_page_that_says_its_origin_twice_is_refused(routes: dict[str, str]) -> None:
    parts = urlsplit(routes["serving"])
    own = f"Origin: http://{parts.netloc}\r\n"
    for twice in (f"{own}Origin: http://evil.example\r\n", f"Origin: http://evil.example\r\n{own}"):
        head = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{twice}\r\n"
        with socket.create_connection(("127.0.0.1", parts.port or 0), 10) as connection:
            connection.sendall(head.encode())
            assert connection.recv(64).split()[1] == b"403"


@pytest.mark.parametrize("route", ["qdrant", "serving", "notebook"])
def test_what_a_foreign_page_includes_is_refused(routes: dict[str, str], route: str) -> None:
    for site in ("cross-site", "same-site"):
        for mode in ("no-cors", "cors", "websocket"):
            assert ask(routes[route], Sec_Fetch_Site=site, Sec_Fetch_Mode=mode).status == 403
    framed = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}
    assert route != "notebook" or ask(routes[route], **framed).status == 403


def test_the_gateways_own_pages_and_programs_are_answered(routes: dict[str, str]) -> None:
    port = urlsplit(routes["s3"]).port
    for name in ("127.0.0.1", "localhost", "[::1]"):
        own = {"Origin": f"http://{name}:{port}"}
        assert ask(routes["serving"], **own).status == 200
        assert ask(routes["qdrant"], **own).status == 401
        assert (ask(routes["s3"], **own).status, ask(routes["s3"]).status) == (403, 403)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "localhost",
        "127.0.0.1:1",
        "localhost.evil.example:{port}",
        "evil.localhost:{port}",
        "notebook.localhost:{port}",
        "127.0.0.2:{port}",
        "0.0.0.0:{port}",
        "127.0.0.1:{port}:1",
    ],
)
def test_other_names_are_answered_by_no_route(routes: dict[str, str], host: str) -> None:
    for url in routes.values():
        parts = urlsplit(url)
        answer = ask(f"http://127.0.0.1:{parts.port}{parts.path}", Host=host.format(port=parts.port))
        assert (answer.status, b"Code>" in answer.body) in ((404, False), (400, False))


@pytest.mark.parametrize(
    "path",
    [
        "/serving",
        "/serving/",
        "/serving/absent/search/v2",
        "{serving}/metrics",
        "{serving}/openapi.json",
        "{serving}/docs",
        "{serving}/v2/repository/index",
        "{serving}/v2/repository/models/search/unload",
        "{serving}/v2/%72epository/index",
        "{serving}//v2/models",
        "{serving}/../search/v2/models",
        "{serving}/v2/%2e%2e/v2/models",
        "/serving/../x",
        "/qdrant",
        "/qdrant/absent/collections",
        "/notebook",
        "/notebook/absent/notebook/lab",
        "/pipelines",
        "/pipelines/team-a/apis",
        "/apis",
        "/apis/v2beta1/healthz",
        "/apis/v1beta1/runs?page_size=1",
    ],
)
def test_an_unknown_path_is_a_404_that_says_what_is_there(platform: Installation, path: str) -> None:
    binding = platform.binding("team-a")
    gateway, model = binding["AWS_ENDPOINT_URL"], binding["VELLUM_SEARCH_URL"]
    for method in ("GET", "POST", "PUT", "DELETE"):
        answer = ask(gateway + path.format(serving=model.removeprefix(gateway)), method, b"")
        text = answer.json()
        assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
        assert text["error"]
        assert text["fix"]


def test_kfps_client_hears_that_there_is_no_pipelines_api(platform: Installation) -> None:
    kfp_server_api: Any = importlib.import_module("kfp_server_api")  # publishes no types

    configuration = kfp_server_api.Configuration(host=platform.binding("team-a")["AWS_ENDPOINT_URL"])
    begun = time.monotonic()
    with pytest.raises(kfp_server_api.ApiException) as error:
        kfp_server_api.HealthzServiceApi(kfp_server_api.ApiClient(configuration)).healthz_service_get_healthz()
    assert error.value.status == 404
    assert "the Pipelines API is not served on a laptop" in str(error.value)
    assert time.monotonic() - begun < 10, "it does not retry for minutes"


def chunks(count: int) -> Iterator[bytes]:
    yield from (b"x" * MEBIBYTE for _ in range(count))


def status_of(url: str, body: bytes | Iterable[bytes], **headers: str) -> int:
    """Return 413 also where the refusal comes while the rest is still being sent, and closes the connection."""
    with suppress(ConnectionError):
        return ask(url, "POST", body, **headers).status
    return 413


@contextmanager
def watched(platform: Installation, *names: str) -> Iterator[dict[str, int]]:
    """Yield how much more memory than at the start each process had at its most, in MiB; complete at the end.

    The kernel's own peak is of the whole life: what another test asked for would hide this one's.
    """
    pids = {name: platform.process(name)["pid"] for name in names}
    most: dict[str, int] = {}
    done = threading.Event()

    def resident(pid: int) -> int:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) // 1024

    before = {name: resident(pid) for name, pid in pids.items()}

    def watch() -> None:
        while not done.wait(0.005):
            for name, pid in pids.items():
                most[name] = max(most.get(name, 0), resident(pid) - before[name])

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield most
    finally:
        done.set()
        watching.join()


@pytest.mark.parametrize(
    ("route", "process"), [("serving", "search-default-team-a"), ("qdrant", "qdrant-default-team-a")]
)
def test_a_body_is_bounded_with_and_without_a_length(
    platform: Installation, routes: dict[str, str], route: str, process: str
) -> None:
    binding = platform.binding("team-a")
    ports = json.loads((platform.state / "ports.json").read_text())
    parts = urlsplit(routes[route])
    direct = next(port for name, port in ports.items() if process.partition("-")[0] in name and "team-a" in name)
    path = "/v1/models/search:predict" if route == "serving" else "/collections/c/points/query"
    url = f"http://{parts.netloc}{'/'.join(parts.path.split('/')[: 4 if route == 'serving' else 3])}{path}"
    with watched(platform, "envoy", process) as most:
        for where in (url, f"http://127.0.0.1:{direct}{path}"):
            key = {"api_key": binding["QDRANT_API_KEY"], "Content_Type": "application/json"}
            assert status_of(where, b"x" * (33 * MEBIBYTE), **key) == 413
            assert status_of(where, chunks(200), Transfer_Encoding="chunked", **key) == 413
    assert most.keys() == {"envoy", process}
    assert max(most.values()) < 150, most


def test_an_upload_to_a_bucket_is_not_bounded(platform: Installation) -> None:
    binding = platform.binding("team-a")
    store = s3(binding)
    url = store.generate_presigned_url("put_object", {"Bucket": binding["VELLUM_BUCKET"], "Key": "large.bin"})
    with watched(platform, "envoy", "s3") as most:
        assert ask(url, "PUT", b"x" * (80 * MEBIBYTE)).status == 200
    assert store.head_object(Bucket=binding["VELLUM_BUCKET"], Key="large.bin")["ContentLength"] == 80 * MEBIBYTE
    store.delete_object(Bucket=binding["VELLUM_BUCKET"], Key="large.bin")
    assert most.keys() == {"envoy", "s3"}
    assert max(most.values()) < 40, most


def test_a_buckets_page_gets_an_origin_that_is_nobodys(platform: Installation) -> None:
    """Every answer of S3 is sandboxed and has nosniff: presigned, refused, found or missing."""
    binding = platform.binding("team-a")
    bucket, store = binding["VELLUM_BUCKET"], s3(binding)
    store.put_object(Bucket=bucket, Key="evil.html", Body=EVIL, ContentType="text/html", CacheControl="no-store")
    wanted = [
        store.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key, **more})
        for key, more in (("evil.html", {}), ("evil.html", {"ResponseContentType": "text/html"}), ("missing.html", {}))
    ]
    base = binding["AWS_ENDPOINT_URL"]
    results = [
        ask(url) for url in [*wanted, f"{base}/{bucket}/evil.html", f"{base}/", f"{base}/%2e%2e/x", f"{base}//x"]
    ]
    assert [answer.status for answer in results[:4]] == [200, 200, 404, 403]
    assert results[0].body == EVIL
    for answer in results:
        assert answer.headers["content-security-policy"] == "sandbox"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers
    store.delete_object(Bucket=bucket, Key="evil.html")


def test_a_notebooks_page_may_read_a_presigned_object(platform: Installation) -> None:
    """A notebook's JavaScript may read: the signature grants it, and the team sets the bucket's CORS rules."""
    binding, own = platform.binding("team-a"), origin(address(platform)[0])
    store = s3(binding)
    store.put_object(Bucket=binding["VELLUM_BUCKET"], Key="plot.json", Body=b"{}")
    url = store.generate_presigned_url("get_object", {"Bucket": binding["VELLUM_BUCKET"], "Key": "plot.json"})
    assert (ask(url, Origin=own).status, ask(url, Origin=own.replace("notebook", "evil")).status) == (200, 403)
    store.delete_object(Bucket=binding["VELLUM_BUCKET"], Key="plot.json")


def test_a_notebooks_token_is_not_readable_at_the_gateways_origin(platform: Installation) -> None:
    """The notebook's cookie does not work at 127.0.0.1, so a page of that origin has no accepted credential."""
    base, token = address(platform)
    parts = urlsplit(base)
    old = f"http://127.0.0.1:{parts.port}{parts.path}"
    signed = ask(f"{base}lab?token={token}")
    (login,) = (item for item in signed.cookies if item.startswith("username-"))
    cookie = "; ".join(item.partition(";")[0] for item in signed.cookies)
    assert {"httponly", "samesite=lax"} <= set(login.lower().split("; "))
    assert token.encode() in ask(f"{base}lab", Cookie=cookie).body
    for path in ("lab", "api/contents", "api/kernels"):
        for named in ({"Cookie": cookie}, {}):
            answer = ask(f"{old}{path}", **named)
            assert (answer.status, answer.headers["location"]) == (302, f"{base}{path}")
            assert token.encode() not in answer.body
        assert ask(f"{old}{path}", "POST", b"{}", Cookie=cookie).status == 421
        assert ask(f"{old}{path}", Cookie=cookie, Authorization="token wrong").status in (403, 302)
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    assert ask(f"{old}api/events/subscribe", Cookie=cookie, **upgrade).status == 403
    # A link of an earlier version redirects with its token. A program continues with its token in a header.
    assert ask(f"{old}lab?token={token}").headers["location"] == f"{base}lab?token={token}"
    assert ask(f"{old}api/kernels", Authorization=f"token {token}").status == 200
    request = urllib.request.Request(f"{old}api/status", headers={"Authorization": f"token {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["kernels"] >= 0


def test_two_teams_notebooks_are_origins_apart(platform: Installation) -> None:
    base, token = address(platform)
    parts = urlsplit(base)
    other = parts.netloc.replace("team-a", "team-b")
    assert ask(f"http://{other}{parts.path}lab?token={token}").status == 404
    assert ask(f"{base}api/kernels", Authorization=f"token {token}", Origin=f"http://{other}").status == 403
    for path in ("/", f"/{platform.binding('team-a')['VELLUM_BUCKET']}/x", "/serving/x", "/qdrant/x"):
        answer = ask(f"http://{parts.netloc}{path}")
        assert answer.status == (302 if path == "/" else 404)
    page = ask(f"{base}lab?token={token}")
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert page.headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'self'" in page.headers["content-security-policy"]


def test_what_envoy_says_itself_is_said_in_words(routes: dict[str, str]) -> None:
    parts = urlsplit(routes["s3"])
    asked = {
        "GET / HTTP/1.0\r\n\r\n": (b"426", b"HTTP/1.1"),
        f"GET / HTTP/1.1\r\nHost: {parts.netloc}\r\nX: {'x' * 70000}\r\n\r\n": (b"431", b"60 KiB"),
    }
    for sent, (status, words) in asked.items():
        with socket.create_connection(("127.0.0.1", parts.port or 0), 10) as connection:
            connection.sendall(sent.encode())
            output = connection.makefile("rb").read(4096) if status == b"426" else connection.recv(4096)
        assert (output.split()[1], words in output) == (status, True)


def test_nothing_but_ours_has_the_gateways_port_on_any_loopback(platform: Installation, routes: dict[str, str]) -> None:
    """A browser tries [::1] first for a name below localhost. Another listener there would get the token."""
    from vellum.host.ports import loopback

    port = urlsplit(routes["s3"]).port or 0
    for host in loopback():
        with closing(http.client.HTTPConnection(host, port, timeout=10)) as connection:
            connection.request("GET", "/.vellum/ready")
            assert connection.getresponse().status == 200
