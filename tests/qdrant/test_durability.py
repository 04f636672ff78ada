"""Acknowledged writes survive a kill at any moment."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from vellum.errors import WorkloadError
from vellum.workloads.qdrant.settings import Settings

VECTORS = {"vectors": {"size": 4, "distance": "Cosine"}}
POINTS = "/collections/one/points"


def point(number: int) -> dict[str, Any]:
    return {"id": number, "vector": [1.0, float(number), 0.5, -1.0], "payload": {"number": number}}


def numbers(server: Any) -> set[int]:
    """Return the ids that are stored, each checked against its payload."""
    answer = server.send("POST", f"{POINTS}/scroll", {"limit": 1_000_000})
    assert all(item["payload"] == {"number": item["id"]} for item in answer[1]["result"]["points"])
    return {item["id"] for item in answer[1]["result"]["points"]}


@pytest.mark.laptop
def test_what_a_collection_was_made_with_is_shown_after_a_start(own_server: Any) -> None:
    hnsw, optimizers = {"m": 8, "ef_construct": 50, "on_disk": True}, {"indexing_threshold": 5000}
    given = {"vectors": {"": VECTORS["vectors"]}, "hnsw_config": hnsw, "optimizers_config": optimizers}
    assert own_server.send("PUT", "/collections/one", given)[0] == 200
    before = own_server.send("GET", "/collections/one")[1]["result"]["config"]
    own_server.kill()
    own_server.start()
    config = own_server.send("GET", "/collections/one")[1]["result"]["config"]
    assert config == before
    assert config["params"]["vectors"] == given["vectors"]
    assert hnsw.items() <= config["hnsw_config"].items()
    assert optimizers.items() <= config["optimizer_config"].items()


@pytest.mark.laptop
def test_a_kill_right_after_the_answer_loses_nothing(own_server: Any) -> None:
    own_server.send("PUT", "/collections/one", VECTORS)
    own_server.send("PUT", "/collections/one/index", {"field_name": "number", "field_schema": "integer"})
    assert own_server.send("PUT", f"{POINTS}?wait=true", {"points": [point(at) for at in range(100)]})[0] == 200
    own_server.kill()
    own_server.start()
    assert numbers(own_server) == set(range(100))
    own_server.send("POST", f"{POINTS}/delete", {"points": [1, 2]})
    own_server.kill()
    own_server.start()
    assert numbers(own_server) == set(range(100)) - {1, 2}
    info = own_server.send("GET", "/collections/one")[1]["result"]
    assert (info["points_count"], info["payload_schema"]["number"]["data_type"]) == (98, "integer")


@pytest.mark.laptop
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_twenty_kills_in_a_stream_of_writes_lose_nothing_acknowledged(own_server: Any) -> None:
    own_server.send("PUT", "/collections/one", VECTORS)
    acknowledged: set[int] = set()
    sent = 0
    chance = random.Random(7)
    for _ in range(20):
        killer = threading.Timer(chance.uniform(0.01, 0.4), own_server.process.kill)
        killer.start()
        with contextlib.suppress(OSError, HTTPException):
            while True:
                batch = range(sent, sent + 10)
                sent += 10
                if own_server.send("PUT", POINTS, {"points": [point(at) for at in batch]})[0] == 200:
                    acknowledged |= set(batch)
        killer.join()
        own_server.kill()
        own_server.start()
        stored = numbers(own_server)
        assert acknowledged <= stored <= set(range(sent))
        assert all(len(stored & set(range(at, at + 10))) in (0, 10) for at in range(0, sent, 10)), "half a batch"
    assert len(acknowledged) > 100


@pytest.mark.laptop
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_kill_while_collections_come_and_go_leaves_whole_ones(own_server: Any) -> None:
    chance = random.Random(11)
    for _ in range(20):
        made: set[str] = set()
        killer = threading.Timer(chance.uniform(0.005, 0.15), own_server.process.kill)
        killer.start()
        with contextlib.suppress(OSError, HTTPException):
            for at in range(10_000):
                own_server.send("PUT", f"/collections/c{at}", VECTORS)
                made.add(f"c{at}")
                if at % 3 == 2:
                    own_server.send("DELETE", f"/collections/c{at - 1}")
                    made.discard(f"c{at - 1}")
        killer.join()
        own_server.kill()
        own_server.start()
        listed = {
            collection["name"] for collection in own_server.send("GET", "/collections")[1]["result"]["collections"]
        }
        assert len(listed ^ made) <= 1, "only the call under way may be in doubt"
        for name in listed:
            assert own_server.send("POST", f"/collections/{name}/points/count", {})[1]["result"] == {"count": 0}
            own_server.send("DELETE", f"/collections/{name}")
        assert [path.name for path in own_server.directory.iterdir()] == ["lock"]


@pytest.mark.laptop
def test_leftovers_of_a_kill_are_removed_at_the_start(own_server: Any) -> None:
    own_server.send("PUT", "/collections/one", VECTORS)
    own_server.kill()
    half = own_server.directory / "0123"
    (half / "shard-0" / "wal").mkdir(parents=True)
    own_server.start()
    assert not half.exists()
    assert own_server.send("GET", "/collections")[1]["result"] == {"collections": [{"name": "one"}]}


@pytest.mark.laptop
def test_the_end_is_quick_and_keeps_everything(own_server: Any) -> None:
    own_server.send("PUT", "/collections/one", VECTORS)
    own_server.send("PUT", POINTS, {"points": [point(at) for at in range(1000)]})
    assert own_server.stop() == 0
    own_server.start()
    assert numbers(own_server) == set(range(1000))


@pytest.mark.laptop
def test_nobody_else_can_read_the_folder(own_server: Any) -> None:
    own_server.send("PUT", "/collections/one", VECTORS)
    own_server.send("PUT", POINTS, {"points": [point(1)]})
    loose = [path for path in (own_server.directory, *own_server.directory.rglob("*")) if path.stat().st_mode & 0o077]
    assert loose == []


@pytest.mark.laptop
def test_deleting_while_others_read_answers_every_one(own_server: Any) -> None:
    answers: list[int] = []

    def read() -> None:
        answers.extend(own_server.send("POST", f"{POINTS}/query", {"query": [1, 1, 1, 1]})[0] for _ in range(60))

    readers = [threading.Thread(target=read) for _ in range(3)]
    own_server.send("PUT", "/collections/one", VECTORS)
    for reader in readers:
        reader.start()
    for _ in range(20):
        own_server.send("PUT", POINTS, {"points": [point(at) for at in range(50)]})
        own_server.send("DELETE", "/collections/one")
        own_server.send("PUT", "/collections/one", VECTORS)
    for reader in readers:
        reader.join()
    assert set(answers) <= {200, 404}
    assert own_server.process.poll() is None


def run(environment: dict[str, str]) -> tuple[int, str]:
    """Run the process until it ends by itself; return its exit code and its output."""
    done = subprocess.run(
        [sys.executable, "-m", "vellum.workloads.qdrant"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.laptop
def test_a_second_process_on_the_same_folder_does_not_start(own_server: Any) -> None:
    environment = {**own_server.environment(), "VELLUM_QDRANT_PORT": "29997"}
    assert run(environment) == (1, f"VEL514: another process holds the collections ({own_server.directory})\n")
    same_port = {**own_server.environment(), "VELLUM_QDRANT_DIR": str(own_server.directory.parent / "other")}
    assert run(same_port) == (1, f"VEL513: the port cannot be taken (127.0.0.1:{own_server.port})\n")


@pytest.mark.laptop
def test_a_record_that_cannot_be_read_stops_the_start_and_is_kept(own_server: Any) -> None:
    own_server.send("PUT", "/collections/one", VECTORS)
    own_server.stop()
    (record,) = own_server.directory.glob("*/collection.json")
    record.write_bytes(b"{")
    assert run(own_server.environment()) == (1, f"VEL515: a collection's record cannot be read ({record})\n")
    assert record.read_bytes() == b"{"


@pytest.mark.laptop
def test_without_a_key_it_does_not_start(tmp_path: Path) -> None:
    environment = {
        "VELLUM_QDRANT_DIR": str(tmp_path / "x"),
        "VELLUM_QDRANT_PORT": "29998",
        "QDRANT__SERVICE__API_KEY": "",
    }
    code, output = run(environment)
    assert (code, output) == (1, "VEL512: no key: it would serve everybody (QDRANT__SERVICE__API_KEY)\n")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ({"VELLUM_QDRANT_DIR": ""}, "VEL510"),
        ({"VELLUM_QDRANT_PORT": "http"}, "VEL511"),
        ({"VELLUM_QDRANT_PORT": "65536"}, "VEL511"),
        ({"QDRANT__SERVICE__API_KEY": ""}, "VEL512"),
    ],
)
def test_each_missing_setting_has_its_code(missing: dict[str, str], code: str) -> None:
    whole = {"VELLUM_QDRANT_DIR": "/x", "VELLUM_QDRANT_PORT": "1", "QDRANT__SERVICE__API_KEY": "k"}
    with pytest.raises(WorkloadError) as caught:
        Settings.of({**whole, **missing})
    assert caught.value.code == code


def test_settings_do_not_show_the_keys() -> None:
    whole = {"VELLUM_QDRANT_DIR": "/x", "VELLUM_QDRANT_PORT": "1", "QDRANT__SERVICE__API_KEY": "hush"}
    assert "hush" not in repr(Settings.of(whole))
