"""Drive an installed Chromium through its DevTools socket."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    """One tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self.call("Page.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            text = json.loads(self._socket.recv(timeout=60))
            if text.get("id") == number:
                return text.get("result", text)

    def open(self, url: str) -> None:
        """Open an address and wait until the page and its resources are loaded."""
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + 60
        while self.run("document.readyState") != "complete" and time.monotonic() < deadline:
            time.sleep(0.1)

    def run(self, code: str) -> Any:
        """Return the value of a JavaScript expression in the page; await a promise."""
        result = self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        return result["result"].get("value", result.get("exceptionDetails"))


@contextmanager
def browser() -> Iterator[Page]:
    """Start Chromium with an empty profile and yield its tab."""
    profile = Path(tempfile.mkdtemp(prefix="vellum-chromium-"))
    argv = [
        str(CHROMIUM),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-popup-blocking",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        "about:blank",
    ]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        text = profile / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not text.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        port = text.read_text().splitlines()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=30) as answer:
            tabs = [item for item in json.load(answer) if item["type"] == "page"]
        with connect(tabs[0]["webSocketDebuggerUrl"], max_size=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(profile, ignore_errors=True)
