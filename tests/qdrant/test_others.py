"""Other projects' code, unmodified: LangChain's Qdrant store, and qdrant-client's own congruence suite."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.qdrant.conftest import KEY

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(3600)]

SUITE = "VELLUM_QDRANT_CLIENT"
SITE = '''
import os
from qdrant_client import QdrantClient

plain = QdrantClient.__init__

def started(self, *args, **kwargs):
    """Take the stand-in where the suite asks for a server on its fixed port; all else stays as it is."""
    if kwargs.get("port") == 6333:
        kwargs |= {"host": "127.0.0.1", "port": int(os.environ["STAND_IN_PORT"]), "api_key": os.environ["STAND_IN_KEY"]}
        kwargs |= {"https": False, "prefer_grpc": False, "check_compatibility": False}
    plain(self, *args, **kwargs)

QdrantClient.__init__ = started
'''
"""Read by Python before the suite, which knows neither keys nor another port and has no gRPC to meet here."""


def vector(at: int) -> dict[str, list[float]]:
    return {"": [1.0, float(at)]}


def test_langchains_requests_are_served(server: Any) -> None:
    """The bodies that langchain-qdrant 1.1 sends for its default flow, in its order."""
    name, texts = "/collections/langchain", ["a red fox", "a blue whale"]
    params = {"vectors": {"": {"size": 2, "distance": "Cosine"}}, "sparse_vectors": {}}
    points = [
        {"id": f"{at:032x}", "vector": vector(at), "payload": {"page_content": text, "metadata": {"n": at}}}
        for at, text in enumerate(texts)
    ]
    query = {"using": "", "limit": 4, "offset": 0, "with_payload": True, "with_vector": False}
    only = {"must": [{"key": "metadata.n", "match": {"value": 1}}]}
    assert server.send("GET", f"{name}/exists")[1]["result"] == {"exists": False}
    assert server.send("PUT", name, params)[0] == 200
    assert server.send("GET", name)[1]["result"]["config"]["params"]["vectors"] == params["vectors"]
    assert server.send("PUT", f"{name}/points?wait=true", {"points": points})[0] == 200
    for body, expected in (
        ({"query": {"nearest": [1.0, 0.0]}, **query}, texts),
        ({"query": {"nearest": [1.0, 0.0]}, "score_threshold": 0.9, **query}, texts[:1]),
        ({"query": {"nearest": [1.0, 0.0]}, "filter": only, **query}, texts[1:]),
    ):
        hits = server.send("POST", f"{name}/points/query", body)[1]["result"]["points"]
        assert [hit["payload"]["page_content"] for hit in hits] == expected
    ids = [points[0]["id"]]
    assert len(server.send("POST", f"{name}/points", {"ids": ids, "with_payload": True})[1]["result"]) == 1
    assert server.send("POST", f"{name}/points/delete?wait=true", {"points": ids})[0] == 200
    assert server.send("POST", f"{name}/points/count", {})[1]["result"]["count"] == 1


@pytest.mark.nightly
def test_langchain_runs_unmodified(server: Any, tmp_path: Path) -> None:
    python = tmp_path / "langchain" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "langchain-qdrant"], check=True)
    script = str(Path(__file__).with_name("langchain_flow.py"))
    argv = [str(python), "-W", "ignore", script, server.url, KEY]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["dense runs", "sparse runs", "hybrid runs"]


def outcomes(report: Path) -> Iterator[tuple[str, str, str]]:
    """Return of each test its name, what became of it, and the first line of why.

    A test that ends with the stand-in's own 4xx or 501 was refused. One that ends before a server was asked, because
    this client is newer than the suite, is the client's.
    """
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        failed = next((item for item in case if item.tag in ("failure", "error")), None)
        if failed is None:
            yield name, "skipped" if case.find("skipped") is not None else "passed", ""
            continue
        why = failed.get("message") or ""
        text = f"{why} {failed.text or ''}"
        is_refused = "Unexpected Response: 4" in text or "Unexpected Response: 501" in text
        is_clients = why.startswith(("ValueError", "AttributeError", "TypeError", "ImportError"))
        kind = "refused" if is_refused else "client's" if is_clients else "wrong"
        yield name, kind, why.partition("\n")[0]


@pytest.mark.nightly
def test_the_clients_congruence_suite_finds_nothing_wrong(
    server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout = os.environ.get(SUITE)
    if not checkout:
        pytest.skip(f"set {SUITE} to a checkout of github.com/qdrant/qdrant-client to run its congruence suite")
    (tmp_path / "sitecustomize.py").write_text(SITE)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}:{checkout}",
        "STAND_IN_PORT": str(server.port),
        "STAND_IN_KEY": KEY,
    }
    report = tmp_path / "report.xml"
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--junitxml",
        str(report),
        "tests/congruence_tests",
    ]
    subprocess.run(argv, cwd=checkout, env=environment, capture_output=True, check=False)
    results = list(outcomes(report))
    with capsys.disabled():
        kinds = ("passed", "refused", "wrong", "client's", "skipped")
        print("\n", {kind: sum(item == kind for _, item, _ in results) for kind in kinds})  # noqa: T201  # the figures
    assert [item for item in results if item[1] == "wrong"] == []
    assert sum(item == "passed" for _, item, _ in results) > 100
