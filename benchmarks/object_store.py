"""Measure the cost of the object store's front: the same client uses the gateway, then the store itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from benchmarks.figures import Figure, installed
from botocore.config import Config

GIGABYTE = 10**9
FEW, MANY = 2000, 10_000


def measure() -> Iterator[Figure]:
    """Yield the figures."""
    with installed() as installation:
        binding = installation.binding()
        ports = json.loads((Path(installation.state) / "ports.json").read_text())
        store = f"http://127.0.0.1:{ports['seaweed/vellum-storage/store/s3']}"
        yield from between(
            binding, {"the gateway and the front": binding["AWS_ENDPOINT_URL"], "the store alone": store}
        )


def between(binding: dict[str, str], places: dict[str, str]) -> Iterator[Figure]:
    """Yield the figures of each address of one bucket."""
    bucket = binding["VELLUM_BUCKET"]
    clients = {name: _client(binding, url) for name, url in places.items()}
    first = next(iter(clients.values()))
    with ThreadPoolExecutor(8) as threads:
        names = [*(f"flat/{n:05}" for n in range(MANY)), *(f"folders/{n:05}/key" for n in range(FEW))]
        list(threads.map(lambda name: first.put_object(Bucket=bucket, Key=name, Body=b""), names))
    content = bytes(1 << 20) * (GIGABYTE >> 20)
    for name, client in clients.items():
        took = _timed(partial(client.put_object, Bucket=bucket, Key="large", Body=content))
        yield Figure(f"Put 1 GB, through {name}", len(content) / took / 1e6, "MB/s")
        took = _timed(partial(_read, client, bucket))
        yield Figure(f"Get 1 GB, through {name}", len(content) / took / 1e6, "MB/s")
        for what, prefix, more in (
            (f"{MANY} keys in one folder", "flat/", {}),
            (f"{FEW} folders of one key", "folders/", {}),
            (f"the names of {FEW} folders", "folders/", {"Delimiter": "/"}),
        ):
            took = _timed(partial(_listed, client, bucket, prefix, more))
            yield Figure(f"List {what}, through {name}", took, "s")


def _client(binding: dict[str, str], url: str) -> Any:  # noqa: ANN401  # boto3 publishes no types
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=binding["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=binding["AWS_SECRET_ACCESS_KEY"],
        config=Config(signature_version="s3v4", s3={"addressing_style": "path", "payload_signing_enabled": False}),
    )


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _read(client: Any, bucket: str) -> None:  # noqa: ANN401  # a client of boto3
    for _ in client.get_object(Bucket=bucket, Key="large")["Body"].iter_chunks(1 << 20):
        pass


def _listed(client: Any, bucket: str, prefix: str, more: dict[str, str]) -> int:  # noqa: ANN401  # a client of boto3
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **more)
    return sum(page["KeyCount"] for page in pages)
