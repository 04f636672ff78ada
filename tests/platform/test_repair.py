"""``vellum verify repair`` on a running installation: each part is broken once and comes back, and no data is lost."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from qdrant_client.models import Distance, PointStruct, VectorParams
from tests.platform.harness import FULL, Installation, wait_for
from tests.platform.test_faults import vectors
from tests.platform.test_services import s3

pytestmark = [
    pytest.mark.laptop,
    pytest.mark.timeout(300),
    # Loopback traffic cannot be intercepted.
    pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection"),
]
KILLED = "killed by signal 9"
BROKEN = [
    ("process envoy", "killed", KILLED),
    ("process notebook-TEAM", "killed", KILLED),
    ("process qdrant-TEAM", "killed", KILLED),
    ("process s3", "killed", KILLED),
    ("process search-TEAM", "killed", KILLED),
    ("process seaweed", "killed", KILLED),
    ("Secret kubeflow/mlpipeline-minio-artifact", "deleted", "missing"),
    ("NetworkPolicy vellum-storage/s3", "deleted", "missing"),
    ("NetworkPolicy vellum-storage/s3", "edited", "edited at .spec.policyTypes"),
    ("ConfigMap TEAM/artifact-repositories", "deleted", "missing"),
    ("Secret TEAM/mlpipeline-minio-artifact", "deleted", "missing"),
    ("NetworkPolicy TEAM/default-deny", "deleted", "missing"),
    ("Notebook TEAM/notebook", "deleted", "missing"),
    ("InferenceService TEAM/search", "deleted", "missing"),
    ("ResourceQuota TEAM/team", "edited", "edited at .spec.hard.pods"),
    ("NetworkPolicy TEAM/default-deny", "edited", "edited at .spec.policyTypes"),
    ("Role TEAM/default-editor", "edited", "edited at .rules"),
]


def team(installation: Installation) -> str:
    claim = next(obj for obj in installation.status()["objects"] if obj["kind"] == "MLOpsPlatform")
    return str(claim["status"]["team"])


def keep_something(installation: Installation) -> None:
    """Leave data wherever a team has any: in its bucket, its vectors and its notebook's home."""
    binding = installation.binding("team-a")
    s3(binding).put_object(Bucket=binding["VELLUM_BUCKET"], Key="kept.txt", Body=b"kept")
    with vectors(binding) as client:
        client.create_collection("kept", VectorParams(size=2, distance=Distance.DOT))
        client.upsert("kept", [PointStruct(id=1, vector=[1.0, 2.0], payload={"kept": True})], wait=True)
    (home(installation) / "kept.txt").write_text("kept")


def what_is_kept(installation: Installation) -> dict[str, Any]:
    binding = installation.binding("team-a")
    kept = s3(binding).get_object(Bucket=binding["VELLUM_BUCKET"], Key="kept.txt")
    with vectors(binding) as client:
        points = client.retrieve("kept", [1], with_payload=True)
    return {
        "bucket": kept["Body"].read(),
        "vectors": [point.payload for point in points],
        "home": (home(installation) / "kept.txt").read_text(),
    }


def home(installation: Installation) -> Path:
    (result,) = (installation.state / "data").glob("default-team-a-*/notebook-workspace")
    return result


KEPT = {"bucket": b"kept", "vectors": [{"kept": True}], "home": "kept"}


def test_every_broken_part_comes_back_with_a_receipt_and_its_data(installation: Installation) -> None:
    """Proves: `vellum verify repair` breaks each part; each is back with a receipt and all data."""
    installation.up(team_a=FULL)
    keep_something(installation)

    done = installation.run("verify", "repair", "--yes", "--output", "json")

    rows = json.loads(done.stdout)["repairs"]
    name = team(installation)
    assert [(row["object"].replace(name, "TEAM"), row["done"], row["receipt"]["wrong"]) for row in rows] == BROKEN
    assert [line.partition(" ... ")[0] for line in done.stderr.splitlines()] == [
        f"{row['object']} is {row['done']}" for row in rows
    ]
    receipts = installation.receipts()
    assert sorted(receipts, key=str) == sorted((row["receipt"] for row in rows), key=str)
    assert installation.status()["ready"]
    assert what_is_kept(installation) == KEPT

    # Receipts survive a crash, and a start does not count as a repair.
    os.kill(installation.supervisor(), signal.SIGKILL)
    installation.run("up")
    assert installation.receipts() == receipts


def test_what_is_not_back_in_time_is_said_and_nothing_more_is_broken(installation: Installation) -> None:
    installation.up(team_a=FULL)
    before = pids(installation)

    done = installation.run("verify", "repair", "--yes", "--timeout", "0", check=False)

    assert done.returncode == 3
    assert [line.split()[:2] for line in done.stdout.splitlines() if "not back" in line] == [["process", "envoy"]]
    wait_for(lambda: installation.status()["ready"], 60)
    after = pids(installation)
    assert [name for name, pid in before.items() if after[name] != pid] == ["envoy"]


def test_all_processes_killed_at_once_are_back_and_nothing_is_lost(installation: Installation) -> None:
    """Proves: all processes come back after one SIGKILL of all, and no data is lost."""
    installation.up(team_a=FULL)
    keep_something(installation)
    before = pids(installation)

    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    wait_for(lambda: installation.status()["ready"] and not set(before.values()) & set(pids(installation).values()), 60)
    assert what_is_kept(installation) == KEPT


def pids(installation: Installation) -> dict[str, int]:
    return {name: process["pid"] for name, process in installation.processes().items()}


def test_a_running_platform_is_explained_as_a_table(platform: Installation) -> None:
    lines = platform.run("explain", "platform").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["PART", "STATE"],
        ["storage", "ready"],
        ["gateway", "ready"],
        ["training-runtimes", "ready"],
        ["vector-storage", "ready"],
        ["storefront", "ready"],
        ["artifacts", "ready"],
    ]
