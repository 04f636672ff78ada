"""What S3's tools rely on, through the gateway with a team's key: the conformance table, listings, `aws s3 sync`."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.platform.harness import Installation
from tests.platform.test_services import s3
from tests.s3.conformance import run
from tests.s3.model import DELIMITERS, NAMES, Question, listed

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(240)]


def test_every_case_of_the_conformance_table_is_answered_as_it_says(platform: Installation) -> None:
    """`python -m tests.s3.conformance` prints the same table."""
    assert [(case, expected, got) for case, expected, got in run(platform.binding("team-a")) if got != expected] == []


def _compared(binding: dict[str, str], seed: int, questions: int) -> None:
    """Store random keys below a prefix of their own, delete some, and compare listings with those of a plain set."""
    drawn, store, bucket, root = (random.Random(seed), s3(binding), binding["VELLUM_BUCKET"], f"{uuid.uuid4().hex}/")
    keys: set[str] = set()
    for _ in range(40):
        key = root + "/".join(
            drawn.choices([name for name in NAMES if name != "-"], k=drawn.choice((1, 1, 2, 2, 3, 4)))
        )
        store.put_object(Bucket=bucket, Key=key, Body=b"")
        keys.add(key)
    for key in sorted(keys)[::7]:
        store.delete_object(Bucket=bucket, Key=key)
        keys.discard(key)
    for _ in range(questions):
        some = sorted(keys)
        asked = Question(
            root + drawn.choice(("", drawn.choice(some)[len(root) :][: drawn.randint(0, 6)])),
            drawn.choice(DELIMITERS),
            drawn.choice(
                ("", drawn.choice(some), drawn.choice(some)[: -drawn.randint(1, 3)], f"{root}run/", f"{root}a//b")
            ),
            drawn.choice((1, 2, 5, 1000)),
        )
        assert _listed(store, bucket, asked) == listed(keys, asked), (seed, asked)


def _listed(store: Any, bucket: str, asked: Question) -> tuple[list[str], bool]:
    more = {"Delimiter": asked.delimiter} if asked.delimiter else {}
    result = store.list_objects_v2(
        Bucket=bucket, Prefix=asked.prefix, StartAfter=asked.after, MaxKeys=asked.most, **more
    )
    entries = [content["Key"] for content in result.get("Contents", ())]
    entries += [prefix["Prefix"] for prefix in result.get("CommonPrefixes", ())]
    return sorted(entries), result["IsTruncated"]


def test_random_listings_are_those_of_a_sorted_set(platform: Installation) -> None:
    _compared(platform.binding("team-a"), 1, 60)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_many_random_listings_are_those_of_a_sorted_set(platform: Installation) -> None:
    for seed in range(2, 40):
        _compared(platform.binding("team-a"), seed, 200)


def _synced(store: Any, bucket: str, prefix: str, folder: dict[str, bytes]) -> int:
    """Do as `aws s3 sync --delete`: merge two lists that must both be sorted; return how many objects were touched."""
    pages = store.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    there = [content["Key"].removeprefix(prefix) for page in pages for content in page.get("Contents", ())]
    here, touched = sorted(folder), 0
    while here or there:
        if here and (not there or here[0] < there[0]):
            store.put_object(Bucket=bucket, Key=prefix + here[0], Body=folder[here.pop(0)])
        elif there and (not here or there[0] < here[0]):
            store.delete_object(Bucket=bucket, Key=prefix + there.pop(0))
        else:
            here.pop(0), there.pop(0)
            continue
        touched += 1
    return touched


def test_a_second_sync_of_41_unchanged_folders_touches_nothing(platform: Installation) -> None:
    """After juicedata/juicefs#7489: a merge of two lists deleted 40 of 42 objects."""
    binding, prefix = platform.binding("team-a"), f"{uuid.uuid4().hex}/"
    folder = {f"{name}/file.txt": name.encode() for name in ("run", *(f"run-{n}" for n in range(1, 41)))}
    assert [_synced(s3(binding), binding["VELLUM_BUCKET"], prefix, folder) for _ in range(3)] == [41, 0, 0]


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_aws_s3_sync_keeps_what_did_not_change(platform: Installation, tmp_path: Path) -> None:
    """The real `aws`, installed for this test where the machine has none."""
    binding, prefix = platform.binding("team-a"), uuid.uuid4().hex
    argv = [shutil.which("aws") or _installed(tmp_path / "tools")]
    for name in ("run", *(f"run-{n}" for n in range(1, 41))):
        (tmp_path / "files" / name).mkdir(parents=True)
        (tmp_path / "files" / name / "file.txt").write_text(name)
    (tmp_path / "config").write_text("[default]\ns3 =\n  addressing_style = path\n")
    environment = {
        **os.environ,
        **binding,
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_DEFAULT_REGION": "us-east-1",
        "PYTHONPATH": str(tmp_path / "tools"),
    }
    for _ in range(4):
        subprocess.run(
            [
                *argv,
                "--endpoint-url",
                binding["AWS_ENDPOINT_URL"],
                "s3",
                "sync",
                "--only-show-errors",
                "--delete",
                str(tmp_path / "files"),
                f"s3://{binding['VELLUM_BUCKET']}/{prefix}/",
            ],
            env=environment,
            check=True,
        )
        result = s3(binding).list_objects_v2(Bucket=binding["VELLUM_BUCKET"], Prefix=f"{prefix}/")
        assert result["KeyCount"] == 41


def _installed(folder: Path) -> str:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), "awscli"], check=True)
    return str(folder / "bin" / "aws")
