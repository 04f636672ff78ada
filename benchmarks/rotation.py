"""How soon a new key works, how long what takes it is away, and how soon the old key is refused."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
from benchmarks.figures import Figure, Installation, installed, until
from botocore.config import Config
from botocore.exceptions import ClientError

from vellum.api.claim import API_VERSION, KIND
from vellum.cluster.api import Api
from vellum.connect.sources import read_folder
from vellum.kube.objects import Key, Kind, secret_values
from vellum.model.team import STORAGE_NAMESPACE, Team


def measure() -> Iterator[Figure]:
    """Yield the figures."""
    with installed() as installation:
        old = installation.binding()
        began = time.time()
        installation.vellum("rotate", "team-a", "--overlap", "30s")
        until(lambda: _mounted(installation).get("AWS_ACCESS_KEY_ID", "") not in ("", old["AWS_ACCESS_KEY_ID"]))
        until(lambda: _opens(_mounted(installation)))
        yield Figure("A new S3 key is in use and opens the bucket", time.time() - began, "s", 5)
        until(lambda: _answers(_mounted(installation)))
        yield Figure("Qdrant accepts its new key", time.time() - began, "s", how="one restart")
        (previous,) = _keys(installation)["previous"]
        until(lambda: _processes_ready(installation))
        yield Figure("Search and notebook run with the new keys", time.time() - began, "s", how="one restart each")
        until(lambda: not _opens(old))
        late = time.time() - datetime.fromisoformat(previous["until"]).timestamp()
        yield Figure("The old S3 key is refused after the overlap", late, "s", 2)


def on_the_bench(api: Api, s3: str, claim: str) -> Iterator[Figure]:
    """Yield the figures of a claim that is Ready on the real Crossplane; S3 answers at ``s3``."""
    team, key = Team("default", claim, ""), Key(API_VERSION, KIND, "default", claim)

    def opens(keys: dict[str, str]) -> bool:
        """Return whether the keys open the team's bucket."""
        return _opens(
            {
                "AWS_ENDPOINT_URL": s3,
                "AWS_REGION": "us-east-1",
                "VELLUM_BUCKET": team.bucket,
                "AWS_ACCESS_KEY_ID": keys["accesskey"],
                "AWS_SECRET_ACCESS_KEY": keys["secretkey"],
            }
        )

    def in_use() -> dict[str, str]:
        """Return the keys in the team's Secret."""
        return secret_values(api.get(Key("v1", "Secret", team.namespace, "mlpipeline-minio-artifact")) or {})

    old, before = in_use(), set(_made(api))
    assert opens(old)
    began = time.time()
    api.merge(key, {"spec": {"keys": {"generation": 2, "overlap": "30s"}}})
    until(lambda: any(map(opens, (keys for name, keys in _made(api).items() if name not in before))))
    yield Figure("A new S3 key opens the bucket", time.time() - began, "s", 5)
    until(lambda: in_use() != old)
    how = "after one restart of Qdrant"
    yield Figure("All readers of the keys have the new ones", time.time() - began, "s", how=how)
    until(lambda: "previous" in _said(api, key))
    (previous,) = _said(api, key)["previous"]
    until(lambda: not opens(old))
    late = time.time() - datetime.fromisoformat(previous["until"]).timestamp()
    yield Figure("The old S3 key is refused after the overlap", late, "s", 2)


def _made(api: Api) -> dict[str, dict[str, str]]:
    """Return every pair of keys that the object store's own Secrets hold, by name."""
    result, _ = api.list(Kind("v1", "Secret"), namespace=STORAGE_NAMESPACE)
    pairs = ((obj["metadata"]["name"], secret_values(obj)) for obj in result)
    return {name: keys for name, keys in pairs if {"accesskey", "secretkey"} <= keys.keys()}


def _said(api: Api, key: Key) -> Any:  # noqa: ANN401  # any JSON
    return (api.get(key) or {})["status"].get("keys", {})


def _mounted(installation: Installation) -> dict[str, str]:
    (folder,) = Path(installation.state / "secrets").glob("default-team-a-*/vellum-binding")
    return read_folder(folder).as_env()


def _keys(installation: Installation) -> Any:  # noqa: ANN401  # any JSON
    objects = installation.json("status")["objects"]
    return next(obj["status"]["keys"] for obj in objects if obj["metadata"]["name"] == "team-a")


def _processes_ready(installation: Installation) -> bool:
    return all(process["ready"] for process in installation.processes().values())


def _opens(binding: dict[str, str]) -> bool:
    if "AWS_SECRET_ACCESS_KEY" not in binding:
        return False
    store = boto3.client(
        "s3",
        endpoint_url=binding["AWS_ENDPOINT_URL"],
        region_name=binding["AWS_REGION"],
        aws_access_key_id=binding["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=binding["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"max_attempts": 1}),
    )
    try:
        store.list_objects_v2(Bucket=binding["VELLUM_BUCKET"])
    except ClientError:
        return False
    return True


def _answers(binding: dict[str, str]) -> bool:
    if "QDRANT_API_KEY" not in binding:
        return False
    request = urllib.request.Request(
        f"{binding['QDRANT_URL']}/collections", headers={"api-key": binding["QDRANT_API_KEY"]}
    )
    try:
        with urllib.request.urlopen(request, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False
