"""Keys are replaced while everything runs: the new one soon works, the old one stops, no team loses data."""

from __future__ import annotations

import os
import signal
import time
import urllib.error
import urllib.request
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.platform.harness import FULL, Installation, wait_for
from tests.platform.test_notebook import execute
from tests.platform.test_services import s3

from vellum.connect.sources import read_folder

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(300)]


def opens_bucket(binding: dict[str, str]) -> bool:
    try:
        s3(binding).put_object(Bucket=binding["VELLUM_BUCKET"], Key="kept.txt", Body=b"kept")
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidAccessKeyId":
            raise
        return False
    return True


def opens_vectors(binding: dict[str, str]) -> bool:
    if "QDRANT_API_KEY" not in binding:
        return False
    request = urllib.request.Request(
        f"{binding['QDRANT_URL']}/collections", headers={"api-key": binding["QDRANT_API_KEY"]}
    )
    try:
        with urllib.request.urlopen(request, timeout=10):
            return True
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        pass
    return False


def mounted(installation: Installation) -> dict[str, str]:
    """Return the binding as a notebook reads it, without the time that a command takes."""
    (folder,) = (installation.state / "secrets").glob("default-team-a-*/vellum-binding")
    return read_folder(folder).as_env()


def keys(installation: Installation) -> Any:
    claim = next(obj for obj in installation.status()["objects"] if obj["metadata"]["name"] == "team-a")
    return claim["status"]["keys"]


def test_a_new_key_works_and_the_old_one_ends_after_the_overlap(installation: Installation) -> None:
    """Proves: a new key works beside the old one, which is refused once the overlap ends."""
    installation.up(team_a=FULL)
    old = installation.binding("team-a")
    pids = {name: process["pid"] for name, process in installation.processes().items()}
    assert opens_bucket(old)
    assert opens_vectors(old)

    assert installation.json("rotate", "team-a", "--overlap", "20s")["generation"] == 2
    access = old["AWS_ACCESS_KEY_ID"]
    wait_for(lambda: mounted(installation).get("AWS_ACCESS_KEY_ID", access) != access)
    new = mounted(installation)
    assert opens_bucket(new)
    assert opens_bucket(old)
    (previous,) = keys(installation)["previous"]
    wait_for(lambda: opens_vectors(mounted(installation)))
    assert not opens_vectors(old)
    wait_for(lambda: not opens_bucket(old), 60)
    assert time.time() >= datetime.fromisoformat(previous["until"]).timestamp()
    assert opens_bucket(new)
    wait_for(lambda: keys(installation) == {"generation": 2, "removed": 1})
    wait_for(lambda: installation.status()["ready"], 60)
    after = {name: process["pid"] for name, process in installation.processes().items()}
    moved = {name.partition("-")[0] for name in pids if pids[name] != after[name]}
    assert moved == {"notebook", "qdrant", "search"}
    # boto3 in a kernel that starts now has the new key by itself.
    cell = "import boto3; print(boto3.Session().get_credentials().access_key)"
    assert execute(installation, cell) == [f"{new['AWS_ACCESS_KEY_ID']}\n"]

    installation.run("rotate", "team-a", "--overlap", "10s")
    os.kill(installation.supervisor(), signal.SIGKILL)
    installation.up(team_a=FULL)
    wait_for(lambda: keys(installation)["generation"] == 3)
    wait_for(lambda: not opens_bucket(new), 60)
    newest = installation.binding("team-a")
    assert newest["AWS_ACCESS_KEY_ID"] not in (access, new["AWS_ACCESS_KEY_ID"])
    assert opens_bucket(newest)
    assert opens_vectors(newest)
    refusal = installation.run("up", str(lowered(installation)), check=False)
    assert (refusal.returncode, "VEL315" in refusal.stderr) == (1, True)

    # A team made again from a file without keys has its last keys, and none that were replaced.
    installation.run("delete", "team-a", "--yes")
    installation.up(team_a=FULL)
    wait_for(lambda: keys(installation)["generation"] == 3)
    assert installation.binding("team-a")["AWS_ACCESS_KEY_ID"] == newest["AWS_ACCESS_KEY_ID"]
    assert not opens_bucket(old)


def lowered(installation: Installation) -> Any:
    path = installation.root / "lowered.yaml"
    text = (installation.root / "team_a.yaml").read_text()
    path.write_text(text.replace(FULL, "{notebooks: enabled, keys: {generation: 2}}"))
    return path
