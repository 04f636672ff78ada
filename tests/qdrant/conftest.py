"""A Qdrant stand-in as the supervisor starts it: its own process, its own folder, found by its port."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

KEY, READ_ONLY = "the-writing-key", "the-reading-key"


@dataclass
class Server:
    """The process, and what a user does with it."""

    directory: Path
    port: int
    keys: tuple[str, str] = (KEY, READ_ONLY)
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "VELLUM_QDRANT_DIR": str(self.directory),
            "VELLUM_QDRANT_PORT": str(self.port),
            "QDRANT__SERVICE__API_KEY": self.keys[0],
            "QDRANT__SERVICE__READ_ONLY_API_KEY": self.keys[1],
        }

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "vellum.workloads.qdrant"], env=self.environment())
        while True:
            assert self.process.poll() is None, "the server ended instead of becoming ready"
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/readyz", timeout=5):
                return
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it as ``vellum down`` does; return the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(10)

    def client(self, key: str = KEY) -> Any:
        """Return an unmodified client; it is closed by the caller or with the process."""
        from qdrant_client import QdrantClient

        with warnings.catch_warnings():
            # The client warns that http is insecure; this is loopback.
            warnings.simplefilter("ignore", UserWarning)
            return QdrantClient(url=self.url, api_key=key, check_compatibility=False, timeout=10)

    def send(
        self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Send plain HTTP; return the status and the answer, read as JSON where it is."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {"api-key": KEY} if headers is None else headers
        request = urllib.request.Request(self.url + path, raw, given, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, _read(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _read(error.read())


def _read(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(directory: Path, keys: tuple[str, str] = (KEY, READ_ONLY)) -> Iterator[Server]:
    server = Server(directory, free_port(), keys)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("qdrant")) as item:
        yield item


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server that a test may kill."""
    with running(tmp_path / "storage") as item:
        yield item


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    item = server.client()
    for collection in item.get_collections().collections:
        item.delete_collection(collection.name)
    yield item
    item.close()
