"""Preflight looks for images in their registry by real HTTP, with the logins of pull secrets."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from vellum.api.platform import Platform, platform_spec
from vellum.cluster import pulls

LOGIN = base64.b64encode(b"ada:open sesame").decode()


class Registry(BaseHTTPRequestHandler):
    """Has every image below /open, and those below /closed for one login."""

    def do_HEAD(self) -> None:
        kind = self.path.removeprefix("/v2/").partition("/")[0]
        welcome = kind != "closed" or self.headers.get("Authorization") == f"Basic {LOGIN}"
        there = kind in ("open", "closed") and self.path.endswith("/manifests/v1")
        self.send_response(401 if not welcome else 200 if there else 404)
        if not welcome:
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def found(image: str, *packages: str, **login: object) -> list[tuple[str, str]]:
    spec = platform_spec().model_validate({"profile": "light", "images": {"workloads": image}})
    return [
        (finding.state, finding.says) for finding in pulls.findings(Platform(spec), packages, [login] if login else [])
    ]


def test_existing_images_and_packages_are_counted(host: str) -> None:
    assert found(f"{host}/open/a:v1", f"{host}/open/b:v1") == [("ok", "all images are in their registries: 2")]


def test_each_missing_image_is_named(host: str) -> None:
    expected = [("failed", f"{host} does not have {host}/open/{name}:v2") for name in ("a", "b")]
    assert found(f"{host}/open/a:v2", f"{host}/open/b:v2") == expected


def test_a_pull_secret_opens_a_registry_and_without_one_it_is_a_warning(host: str) -> None:
    image = f"{host}/closed/a:v1"
    assert found(image) == [("warning", f"{host} requires a login for {image}")]
    assert found(image, auths={host: {"auth": LOGIN}}) == [("ok", "all images are in their registries: 1")]


def test_a_registry_that_does_not_answer_is_one_warning() -> None:
    ((state, says),) = found("127.0.0.1:1/a:v1", "127.0.0.1:1/b:v1")
    assert state == "warning"
    assert says.startswith("127.0.0.1:1 does not answer here, so Vellum cannot check for its images")
