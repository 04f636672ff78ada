"""SIGKILL of every part of a running platform: each comes back, and the claim says so."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from functools import partial

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse
from qdrant_client.models import Distance, PointStruct, VectorParams
from tests.platform.harness import FULL, Installation, wait_for
from tests.platform.test_services import s3

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(600)]
OBJECTS = 3
"""Put in every round."""
PARTS = ("seaweed", "envoy", "qdrant-default-team-a", "search-default-team-a", "notebook-default-team-a")


def kill(installation: Installation, part: str) -> str:
    process = wait_for(lambda: ready(installation, part))
    os.kill(process["pid"], signal.SIGKILL)
    return str(process["name"])


def ready(installation: Installation, part: str) -> dict[str, int] | None:
    result = next((entry for name, entry in installation.processes().items() if name.startswith(part)), None)
    return result if result and result["ready"] and result["pid"] else None


@pytest.mark.parametrize("part", PARTS)
def test_a_killed_process_comes_back_and_the_claim_says_so(platform: Installation, part: str) -> None:
    """Proves: a killed process is restarted, and the claim reports it."""
    before = ready(platform, part)
    assert before
    name = kill(platform, part)

    after = wait_for(
        lambda: (ready(platform, part) or {}).get("restarts", 0) > before["restarts"] and ready(platform, part)
    )
    wait_for(lambda: platform.status()["ready"])

    assert after["pid"] != before["pid"]
    mine = [receipt for receipt in platform.receipts() if receipt["object"] == f"process {name}"]
    assert mine[0]["wrong"] == "killed by signal 9"
    events = platform.json("status", "--events")["events"]
    assert any(event["reason"] == "Restarted" and name in event["message"] for event in events)


def test_a_process_that_dies_again_and_again_keeps_its_port(platform: Installation) -> None:
    part, remembered = "qdrant-default-team-a", (platform.state / "ports.json").read_text()
    for _ in range(3):
        restarts = wait_for(lambda: ready(platform, part))["restarts"]
        kill(platform, part)
        wait_for(partial(lambda before: (ready(platform, part) or {}).get("restarts", 0) > before, restarts))
    assert (platform.state / "ports.json").read_text() == remembered


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:Api key is used with an insecure connection"
)  # loopback traffic cannot be intercepted
def test_kills_at_random_moments_lose_nothing_acknowledged(installation: Installation) -> None:
    """Proves: kills at random moments lose no acknowledged write.

    Eight kills for every change; ``VELLUM_FAULTS=all``, as ``make nightly`` sets it, asks for fifty.
    """
    rounds = 50 if os.environ.get("VELLUM_FAULTS") == "all" else 8
    objects, points = dict[str, bytes](), dict[int, int]()
    installation.up(team_a=FULL)
    binding = installation.binding("team-a")
    with vectors(binding) as client:
        client.create_collection("rounds", VectorParams(size=2, distance=Distance.DOT))
    choose = random.Random(20261124)
    for number in range(rounds):
        part = choose.choice((*PARTS, "supervisor"))
        # On a busy machine all rounds would otherwise be over before the store is back.
        some = partial(put_some, binding, number)
        objects |= wait_for(some, 60) if number % 2 else some()
        points |= put_point(binding, number)
        time.sleep(choose.random() * 0.5)
        if part == "supervisor":
            os.kill(installation.supervisor(), signal.SIGKILL)
            installation.run("up")
        else:
            result = next(entry for name, entry in installation.processes().items() if name.startswith(part))
            if result["pid"]:
                os.kill(result["pid"], signal.SIGKILL)
    wait_for(lambda: installation.status()["ready"], 60)

    assert len(objects) >= rounds / 2
    assert points
    binding = installation.binding("team-a")
    store, bucket = s3(binding), binding["VELLUM_BUCKET"]
    assert {key: store.get_object(Bucket=bucket, Key=key)["Body"].read() for key in objects} == objects
    with vectors(binding) as client:
        there = client.retrieve("rounds", list(points), with_payload=True)
    assert {point.id: (point.payload or {})["number"] for point in there} == points


def put_some(binding: dict[str, str], number: int) -> dict[str, bytes]:
    """Put objects; return those that were acknowledged."""
    store, done = s3(binding), {}
    for part in range(OBJECTS):
        key, body = f"{number}-{part}.bin", os.urandom(2000)
        # The store or the gateway is down just now: not acknowledged. Anything else is a fault of the test.
        with contextlib.suppress(BotoCoreError, ClientError):
            store.put_object(Bucket=binding["VELLUM_BUCKET"], Key=key, Body=body)
            done[key] = body
    return done


def put_point(binding: dict[str, str], number: int) -> dict[int, int]:
    """Write a point; return it if that was acknowledged."""
    point = PointStruct(id=number, vector=[1.0, float(number)], payload={"number": number})
    with vectors(binding) as client, contextlib.suppress(ResponseHandlingException, UnexpectedResponse):
        client.upsert("rounds", [point], wait=True)
        return {number: number}
    return {}


@contextlib.contextmanager
def vectors(binding: dict[str, str]) -> Iterator[QdrantClient]:
    url, key = binding["QDRANT_URL"], binding["QDRANT_API_KEY"]
    client = QdrantClient(url=url, api_key=key, port=None, check_compatibility=False)
    try:
        yield client
    finally:
        client.close()
