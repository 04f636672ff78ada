"""Ingest of Debian's manuals, and the speed of questions about them through the gateway."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import corpus
from benchmarks.figures import Figure, Installation, installed, resident

QUESTIONS = 400


def ingest(installation: Installation, folder: Path) -> tuple[dict[str, float], float, float]:
    """Ingest a folder; return its last word, the seconds of the whole command, and the largest process in MB."""
    environment = {**os.environ, "VELLUM_STATE": str(installation.state)}
    argv = [sys.executable, "-m", "vellum.cli", "ingest", str(folder), "--output", "json"]
    began = time.perf_counter()
    command = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE)
    largest = [0.0]
    watcher = threading.Thread(target=_watch, args=(command, largest))
    watcher.start()
    text, _ = command.communicate()
    seconds = time.perf_counter() - began
    watcher.join()
    return json.loads(text), seconds, largest[0]


def _watch(command: subprocess.Popen[bytes], largest: list[float]) -> None:
    while command.poll() is None:
        for pid in _family(command.pid):
            try:
                largest[0] = max(largest[0], resident(pid))
            except OSError:
                continue
        time.sleep(0.05)


def _family(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [pid, *(other for child in children for other in _family(child))]


def latencies(url: str, questions: list[str]) -> list[float]:
    """Return the milliseconds of each question, one connection, one after the other."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
    taken = []
    for question in questions:
        body = json.dumps({"instances": [{"question": question, "limit": 5}]})
        began = time.perf_counter()
        connection.request("POST", f"{parts.path}/v1/models/search:predict", body, {"Content-Type": "application/json"})
        connection.getresponse().read()
        taken.append(1000 * (time.perf_counter() - began))
    return taken


def measure() -> Iterator[Figure]:
    """Yield the figures."""
    files = corpus.fetch()
    octave = next(path for path in files if path.name == "octave.pdf")
    with installed() as installation, tempfile.TemporaryDirectory() as folder:
        shutil.copy(octave, folder)
        ingest(installation, Path(folder))  # the first run also compiles the pipeline
    with installed() as installation, tempfile.TemporaryDirectory() as folder:
        shutil.copy(octave, folder)
        text, seconds, largest = ingest(installation, Path(folder))
        yield Figure(
            "`vellum ingest` of octave.pdf, 1,158 pages", seconds, "s", 4, how="the whole command, files in the cache"
        )
        yield Figure("The same: memory of the largest process", largest, "MB", 300)
    with installed() as installation, tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(files):
            shutil.copy(path, Path(folder) / f"{number:02}-{path.name}")
        text, seconds, largest = ingest(installation, Path(folder))
        what, speed = (f"`vellum ingest` of {len(files)} manuals, {text['pages']:,.0f} pages", text["pages"] / seconds)
        yield Figure(what, speed, "pages/s", 600, at_most=False, how="the whole command")
        yield Figure(f"The same, {len(files)} manuals: memory of the largest process", largest, "MB", 300)
        yield from _questions(installation, int(text["passages"]))


def _questions(installation: Installation, passages: int) -> Iterator[Figure]:
    from benchmarks import retrieval

    url = installation.binding()["VELLUM_SEARCH_URL"]
    titles = [question for question, *_ in retrieval.questions()][:QUESTIONS]
    latencies(url, titles[:20])
    taken = latencies(url, titles)
    yield Figure(
        f"A question to {passages:,} passages: p50", statistics.median(taken), "ms", how=f"{len(taken)} questions"
    )
    yield Figure(f"A question to {passages:,} passages: p95", statistics.quantiles(taken, n=20)[18], "ms", 15)
