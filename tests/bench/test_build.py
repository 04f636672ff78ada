"""The bench's programs are built through a network that fails: a real Go, and a module proxy on loopback."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vellum.bench import programs
from vellum.errors import BenchError

MODULE, VERSION = "example.test/hello", "v1.0.0"
MAIN = b'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("hello") }\n'
GO_MOD = f"module {MODULE}\n\ngo 1.24\n".encode()


@dataclass
class Proxy:
    """A Go module proxy that cuts the connection of its first requests."""

    address: str = ""
    failures: int = 0
    requests: list[str] = field(default_factory=list)

    def answer(self, path: str) -> bytes | None:
        """Return the file, None where there is none."""
        self.requests.append(path)
        if len(self.requests) <= self.failures:
            raise ConnectionResetError(path)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr(f"{MODULE}@{VERSION}/go.mod", GO_MOD)
            packed.writestr(f"{MODULE}@{VERSION}/main.go", MAIN)
        text = f'{{"Version": "{VERSION}"}}'.encode()
        return {
            "list": VERSION.encode(),
            f"{VERSION}.info": text,
            f"{VERSION}.mod": GO_MOD,
            f"{VERSION}.zip": archive.getvalue(),
        }.get(path.rpartition("/")[2])


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    result = Proxy()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                content = result.answer(self.path)
            except ConnectionResetError:
                self.close_connection = True
                return
            self.send_response(200 if content else 404)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        result.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield result
        server.shutdown()


@pytest.fixture
def tools(tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder of tools that pins the module; Go's caches are empty."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("this machine has no Go of its own")
    settings = {
        "GOPROXY": proxy.address,
        "GOSUMDB": "off",
        "GOFLAGS": "-mod=mod",
        "GOTOOLCHAIN": "local",
        "GOMODCACHE": str(tmp_path / "first"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "tools" / "hello"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text(
        f"module example.test/tools\n\ngo 1.24\n\ntool {MODULE}\n\nrequire {MODULE} {VERSION}\n"
    )
    subprocess.run([go, "list", "-deps", MODULE], cwd=folder, check=True, capture_output=True)
    proxy.requests.clear()
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "second"))
    monkeypatch.setattr(programs, "TOOLS", tmp_path / "tools")
    monkeypatch.setattr(programs, "PROGRAMS", (programs.Program("hello", "hello", MODULE),))
    monkeypatch.setattr(programs, "FILES", (programs.Files("source", "hello", MODULE, "", "*.go"),))
    monkeypatch.setattr(programs, "PAUSES", (0.05, 0.1, 0.2, 0.4))
    monkeypatch.setattr(programs, "NEEDED_BYTES", 0)
    yield folder
    for cache in ("first", "second"):
        subprocess.run([go, "clean", "-modcache"], check=True, env={**os.environ, "GOMODCACHE": str(tmp_path / cache)})


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("failures", [3])
def test_a_build_goes_on_when_the_network_comes_back(proxy: Proxy, failures: int) -> None:
    """The proxy cuts the first requests; the build reports each further try."""
    proxy.failures = failures
    messages: list[str] = []
    built = programs.ensure(messages.append)
    assert subprocess.run([built["hello"]], capture_output=True, check=True).stdout == b"hello\n"
    assert (built["source"] / "main.go").read_bytes() == MAIN
    tries = [line for line in messages if "try" in line]
    assert 1 <= len(tries) <= failures
    assert "; try 2 of 5 in 0.05 s" in tries[0]


@pytest.mark.usefixtures("tools")
def test_a_network_that_stays_away_ends_the_build_after_five_tries(proxy: Proxy) -> None:
    proxy.failures = 1000
    messages: list[str] = []
    with pytest.raises(BenchError, match="VEL903"):
        programs.ensure(messages.append)
    assert len([line for line in messages if "try" in line]) == 4


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda text: text.replace(VERSION, "v1.9.9"), id="a version that there is not"),
        pytest.param(lambda text: text, id="another checksum"),
    ],
)
def test_what_no_try_can_change_is_said_at_once(tools: Path, proxy: Proxy, spoil: Callable[[str], str]) -> None:
    """The build does not retry a missing version or a module with a wrong checksum."""
    for name in ("go.mod", "go.sum"):
        (tools / name).write_text(spoil((tools / name).read_text()))
    sums = (tools / "go.sum").read_text().replace("h1:", "h1:A")[:-1] + "\n"
    (tools / "go.sum").write_text("\n".join(line[:-2] + "=" for line in sums.splitlines()) + "\n")
    messages: list[str] = []
    with pytest.raises(BenchError, match="VEL903"):
        programs.ensure(messages.append)
    assert [line for line in messages if "try" in line] == []
    assert len(proxy.requests) <= 4
