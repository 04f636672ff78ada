"""The CNCF's registry as it is built for the bench, with or without a login."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER, PASSWORD = "ada", "open sesame"
_BCRYPT = "$2b$04$.n4hgwCCVmeHa2NSJNwbfuWCSr4vFGNYFZvjnq4x/zsRjGlkx4UxK"
"""The hash of the password."""


@contextmanager
def running(program: Path, folder: Path, *, login: bool = False) -> Iterator[str]:
    """Run a registry that keeps its blobs in the folder; yield its host and port."""
    folder.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": host},
    }
    if login:
        (folder / "htpasswd").write_text(f"{USER}:{_BCRYPT}\n")
        settings["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    (folder / "config.json").write_text(json.dumps(settings))
    quiet = {f"OTEL_{what}_EXPORTER": "none" for what in ("TRACES", "METRICS", "LOGS")}
    process = subprocess.Popen([program, "serve", folder / "config.json"], env={**os.environ, **quiet})
    try:
        _until_it_answers(host)
        yield host
    finally:
        process.terminate()
        process.wait(20)


def _until_it_answers(host: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"http://{host}/v2/", timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            assert time.monotonic() < deadline, "the registry does not start"
            time.sleep(0.05)
        else:
            return
