"""A team with documents and the predictor, started as the platform starts it."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.ingest.papers import write
from tests.ingest.services import Team, answers, free_port, team_in

ON_A_LAPTOP = {"VELLUM_BIND": "127.0.0.1"}
MANUAL = [
    "A lighthouse warns ships at night. Its lantern turns once in twelve seconds and is seen for twenty miles.",
    "The keeper winds the clockwork every four hours and writes the weather into the journal.",
    "Fog needs another signal: a horn is sounded twice in every minute while the coast cannot be seen.",
    "In winter the supply boat comes once a month with oil, bread and letters, when the harbour is free of ice.",
]


class Predictor:
    """The process, and requests to it."""

    def __init__(self, team: Team, **own: str) -> None:
        self.team, self.port = team, free_port()
        argv = [sys.executable, "-m", "vellum.workloads.search", f"--http_port={self.port}"]
        environment = {**team.environment, **own}
        self.process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        answers(f"http://127.0.0.1:{self.port}/v2/models/search/ready", self.process)

    def post(self, path: str, body: object, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", path, content, headers or {"content-type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    def ask(self, question: str, **more: object) -> dict[str, Any]:
        """Ask one question by the v1 protocol and return its prediction."""
        status, answer = self.post("/v1/models/search:predict", {"instances": [{"question": question, **more}]})
        assert status == 200, answer
        (prediction,) = answer["predictions"]
        assert isinstance(prediction, dict)
        return prediction

    def stop(self) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)
        self.process.kill()


@pytest.fixture(scope="session")
def manual() -> Iterator[Predictor]:
    """Return a predictor over one small manual, for tests that change nothing."""
    for predictor in _predictor(**ON_A_LAPTOP):
        write(predictor.team.root / "papers" / "lighthouse.pdf", MANUAL)
        predictor.team.ingest(predictor.team.root / "papers")
        yield predictor


@pytest.fixture
def fresh() -> Iterator[Predictor]:
    """Return a predictor of the test's own, before anything was indexed."""
    yield from _predictor(**ON_A_LAPTOP)


@pytest.fixture
def in_a_pod() -> Iterator[Predictor]:
    """Return a predictor as a cluster starts it, without an address to listen on."""
    yield from _predictor()


def _predictor(**own: str) -> Iterator[Predictor]:
    for team in team_in(Path(tempfile.mkdtemp(prefix="vellum-search-"))):
        predictor = Predictor(team, **own)
        try:
            yield predictor
        finally:
            predictor.stop()
