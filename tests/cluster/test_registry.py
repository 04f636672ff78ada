"""Preflight looks for Vellum's own charts in their registry by real HTTP, as Helm does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from vellum.api.platform import Platform, platform_spec
from vellum.cluster import registry
from vellum.package.charts import OWN, version

CHARTS = [(name, version(name)) for name in OWN]


class Registry(BaseHTTPRequestHandler):
    """Serves /open, /empty, /login and /token as an OCI registry does, and /index as a folder of charts."""

    def do_GET(self) -> None:
        kind, _, rest = self.path.removeprefix("/v2/").partition("/")
        if self.path.startswith("/v2/token/") and self.headers.get("Authorization") != "Bearer everybody's":
            realm = f"http://127.0.0.1:{self.server.server_port}/give"  # type: ignore[attr-defined]
            self._say(401, b"", f'Bearer realm="{realm}",service="s"')
        elif self.path.startswith("/v2/login/"):
            self._say(401, b"", 'Basic realm="x"')
        elif self.path.startswith("/give?"):
            right = "scope=repository%3Atoken%2F" in self.path and "service=s" in self.path
            self._say(200 if right else 400, json.dumps({"token": "everybody's"}).encode())
        elif kind in ("open", "token"):
            there = any(rest == f"{name}/manifests/{version}" for name, version in CHARTS)
            self._say(200 if there else 404, b"{}")
        elif self.path == "/index/index.yaml":
            entries = {name: [{"version": version}] for name, version in CHARTS[:1]}
            self._say(200, json.dumps({"entries": entries}).encode())
        else:
            self._say(404, b"")

    def _say(self, status: int, body: bytes, challenge: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def looked(**charts: object) -> list[tuple[str, str]]:
    wanted = Platform(platform_spec().model_validate({"profile": "light", "charts": charts}))
    return [(finding.state, finding.says) for finding in registry.findings(wanted)]


@pytest.mark.parametrize("path", ["open", "token"])
def test_charts_that_are_there_are_found_with_everybodys_token_too(host: str, path: str) -> None:
    where = f"oci://{host}/{path}"
    assert looked(own=where, plainHTTP=True) == [("ok", f"2 of Vellum's own in {where}")]


def test_each_chart_that_is_missing_is_named_with_its_version(host: str) -> None:
    where = f"oci://{host}/empty"
    expected = [("failed", f"{where} has no chart {name} {version}") for name, version in CHARTS]
    assert looked(repository=where, plainHTTP=True) == sorted(expected, key=lambda item: item[1])


def test_a_registry_that_wants_a_login_is_refused(host: str) -> None:
    assert {state for state, _ in looked(own=f"oci://{host}/login", plainHTTP=True)} == {"failed"}
    assert "requires a login" in looked(own=f"oci://{host}/login", plainHTTP=True)[0][1]


def test_a_folder_of_charts_is_read_by_its_index(host: str) -> None:
    where = f"http://{host}/index"
    assert looked(own=where) == [("failed", f"{where} has no chart {CHARTS[1][0]} {CHARTS[1][1]}")]


def test_what_does_not_answer_and_what_is_not_named_are_warnings() -> None:
    (result,) = looked(own="oci://127.0.0.1:1/charts", plainHTTP=True)
    assert result[0] == "warning"
    assert result[1].startswith("oci://127.0.0.1:1/charts does not answer here")
    ((state, says),) = looked()
    assert (state, says.partition(",")[0]) == ("warning", "spec.charts.own names no registry")
