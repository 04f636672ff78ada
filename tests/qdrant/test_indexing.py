"""A large collection gets its graph automatically, and no request waits for it."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import numpy as np
import orjson
import pytest

pytestmark = [pytest.mark.laptop, pytest.mark.slow, pytest.mark.timeout(400)]
POINTS = "/collections/large/points"
COUNT, SIZE = 21_000, 128


def upload(server: Any) -> None:
    server.send("PUT", "/collections/large", {"vectors": {"size": SIZE, "distance": "Cosine"}})
    for body in bodies():
        assert server.send("PUT", POINTS, body)[0] == 200


@cache
def bodies() -> list[bytes]:
    """Return the requests of an upload, a thousand points each; creating them takes seconds."""
    vectors = np.random.default_rng(3).normal(size=(COUNT, SIZE)).round(3).tolist()
    points = [{"id": at, "vector": vector} for at, vector in enumerate(vectors)]
    return [orjson.dumps({"points": points[begin : begin + 1000]}) for begin in range(0, COUNT, 1000)]


def info(server: Any) -> dict[str, Any]:
    return dict(server.send("GET", "/collections/large")[1]["result"])


def wait_for_graph(server: Any, count: int) -> int:
    """Ask until every point is in the graph, with pauses: the build is polite and gets what others leave."""
    asked, until = 0, time.monotonic() + 1200
    while info(server)["indexed_vectors_count"] < count:
        assert server.send("POST", f"{POINTS}/query", {"query": [1.0] * SIZE})[0] == 200
        asked += 1
        time.sleep(0.1)
        assert time.monotonic() < until
    return asked


def test_the_graph_is_built_while_queries_go_on_and_a_kill_keeps_it(own_server: Any) -> None:
    upload(own_server)
    exact = {"query": [1.0] * SIZE, "params": {"exact": True}}
    before = own_server.send("POST", f"{POINTS}/query", exact)[1]["result"]["points"]
    assert wait_for_graph(own_server, COUNT) > 10
    own_server.kill()
    own_server.start()
    assert (info(own_server)["indexed_vectors_count"], info(own_server)["points_count"]) == (COUNT, COUNT)
    after = own_server.send("POST", f"{POINTS}/query", exact)[1]["result"]["points"]
    assert [(item["id"], item["score"]) for item in after] == [
        (item["id"], pytest.approx(item["score"])) for item in before
    ]
    assert len(list(own_server.directory.glob("*/shard-*"))) == 1


def test_a_write_during_the_build_wins(own_server: Any) -> None:
    upload(own_server)
    until = time.monotonic() + 120
    while len(list(own_server.directory.glob("*/shard-*"))) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert own_server.send("PUT", POINTS, {"points": [{"id": COUNT, "vector": [1.0] * SIZE}]})[0] == 200
    wait_for_graph(own_server, COUNT)
    assert own_server.send("GET", f"{POINTS}/{COUNT}")[0] == 200
    assert info(own_server)["points_count"] == COUNT + 1


def test_deleting_a_collection_ends_its_build(own_server: Any) -> None:
    upload(own_server)
    until = time.monotonic() + 120
    while len(list(own_server.directory.glob("*/shard-*"))) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert own_server.send("DELETE", "/collections/large")[0] == 200
    while [path.name for path in own_server.directory.iterdir()] != ["lock"]:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert own_server.stop() == 0
