"""Registries that break off, lie, or redirect: by real HTTP on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vellum.errors import UsageError
from vellum.oci.credentials import Login
from vellum.oci.layout import MANIFEST, Json, Layout, sha256
from vellum.oci.registry import Registry

CONFIG, LAYER = b"{}", b"a layer"


class Server(ThreadingHTTPServer):
    """A server on loopback that keeps the logins that it receives, and may redirect to another."""

    def __init__(self, other: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Images)
        self.host, self.other = f"127.0.0.1:{self.server_port}", other
        self.logins: list[str] = []
        self.puts: list[bytes] = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


class Images(BaseHTTPRequestHandler):
    """Serves images: one of each kind of trouble."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.logins.extend(filter(None, [self.headers.get("Authorization")]))
        image = self.path.removeprefix("/v2/").partition("/")[0]
        if self.path == "/v2/moved/manifests/v1":
            self._send(307, b"", Location="/v2/good/manifests/v1")
        elif self.path == "/v2/away/manifests/v1":
            self._send(307, b"", Location=f"http://{server.other}/v2/asks/manifests/v1")
        elif image == "asks":
            self._send(401, b"", WWW_Authenticate=f'Bearer realm="http://{server.other or server.host}/give"')
        elif self.path.startswith("/give"):
            self._send(200, b"{}")
        elif image == "page":
            self._send(200, b"<html>")
        elif "/manifests/" in self.path:
            self._send(200, json.dumps(manifest(image)).encode())
        elif self.path.endswith(sha256(CONFIG)):
            self._send(200, CONFIG)
        else:
            self._send(200, LAYER[:2], **{"Content-Length": str(len(LAYER))})

    def do_PUT(self) -> None:
        """Refuse the first request as a busy registry does."""
        server = self.server
        assert isinstance(server, Server)
        server.puts.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._send(201 if server.puts[1:] else 503, b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def manifest(image: str) -> Json:
    layer = "sha256:../../../secret" if image == "outside" else sha256(LAYER)
    blobs = [{"digest": sha256(CONFIG), "size": len(CONFIG)}, {"digest": layer, "size": len(LAYER)}]
    return {"schemaVersion": 2, "mediaType": MANIFEST, "config": blobs[0], "layers": blobs[1:]}


@pytest.fixture
def other() -> Iterator[Server]:
    """Yield the server to which the registry redirects."""
    yield from served(Server())


@pytest.fixture
def registry(other: Server) -> Iterator[Server]:
    yield from served(Server(other.host))


def served(server: Server) -> Iterator[Server]:
    yield server
    server.shutdown()
    server.server_close()


def pulled(host: str, image: str, folder: Path) -> str:
    """Pull an image that is refused; return the refusal."""
    layout = Layout.create(folder)
    with pytest.raises(UsageError) as refused:
        Registry(host, plain=True, tries=0).pull(image, "v1", layout, ("amd64",))
    assert not [path for path in (folder / "blobs/sha256").iterdir() if path.name.startswith(".")]
    return str(refused.value)


def test_an_image_that_is_cut_off_is_refused_and_leaves_no_file(registry: Server, tmp_path: Path) -> None:
    refusal = pulled(registry.host, "cut", tmp_path / "layout")
    assert refusal.startswith("VEL757: the registry does not answer: ")


def test_a_digest_that_is_a_path_is_refused(registry: Server, tmp_path: Path) -> None:
    """Otherwise a base image could name any file of this machine as its layer."""
    refusal = pulled(registry.host, "outside", tmp_path / "layout")
    assert refusal.startswith("VEL754: 'sha256:../../../secret' is not a SHA-256 digest")


def test_an_answer_that_is_a_web_page_is_refused(registry: Server, tmp_path: Path) -> None:
    refusal = pulled(registry.host, "page", tmp_path / "layout")
    assert refusal.startswith("VEL757: the registry answers with something that is not a JSON object")


def test_a_redirect_is_followed_without_a_repetition(registry: Server) -> None:
    assert Registry(registry.host, plain=True, tries=0).status("moved", "v1") == 200


def test_a_login_goes_where_the_registry_says_and_not_where_a_redirect_leads(registry: Server, other: Server) -> None:
    login = Login("ada", "open sesame")
    client = Registry(registry.host, login, plain=True, tries=0)
    assert client.status("away", "v1") == 401
    assert (registry.logins, other.logins) == ([], [])
    assert client.status("asks", "v1") == 401
    assert (registry.logins, other.logins) == ([], [login.basic])
    assert login.password not in repr(client)


def test_a_manifest_is_sent_again_to_a_busy_registry(registry: Server) -> None:
    Registry(registry.host, plain=True).push_manifest("image", "v1", MANIFEST, b"{}")
    assert registry.puts == [b"{}", b"{}"]
