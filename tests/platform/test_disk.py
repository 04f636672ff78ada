"""`up`, `status` and the services report a full disk; reads continue, and writes continue when there is room."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from tests.platform.harness import Installation, new_installation, wait_for
from tests.platform.test_services import s3

from vellum.host.room import NEEDED_SHARE

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(300)]
MEBIBYTE = 2**20
SIZE = 600 * MEBIBYTE
BARE = "{inference: disabled, pipelines: disabled}"


@pytest.fixture(scope="module")
def small() -> Iterator[Installation]:
    """Return an installation whose state is on its own disk, before its first start."""
    for installation in new_installation():
        installation.state.mkdir(mode=0o700)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(installation.state)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode and not os.environ.get("CI"):
            pytest.skip(f"a disk of its own needs the right to mount: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        (installation.state / "data").mkdir(mode=0o700)
        (installation.state / ".vellum").touch(mode=0o600)
        yield installation
        room(installation)
        deleted = installation.run("down", "--delete-data", "--yes")
        left = list(installation.state.iterdir())
        subprocess.run(["umount", "--lazy", str(installation.state)], check=True)
        assert (deleted.stderr.splitlines()[-1], left) == (f"Stopped; {installation.state} is deleted.", [])


@pytest.fixture(scope="module")
def platform(small: Installation) -> Installation:
    """Return it running, with two teams; the object of team b made its bucket's volume."""
    small.up(team_a="{}", team_b=BARE)
    assert put(small.binding("team-b"), "first") == ""
    return small


def free(installation: Installation) -> int:
    statvfs = os.statvfs(installation.state)
    return statvfs.f_bavail * statvfs.f_frsize


def fill(installation: Installation, left: int) -> None:
    """Fill the disk, or free as much of what filled it, until this many bytes are left."""
    with (installation.state / "data" / "fill").open("ab", buffering=0) as file:
        file.truncate(max(0, file.tell() - max(0, left - free(installation))))
        while (rest := free(installation) - left) > 0:
            file.write(b"\0" * min(rest, MEBIBYTE))


def room(installation: Installation) -> None:
    (installation.state / "data" / "fill").unlink(missing_ok=True)


def put(binding: dict[str, str], key: str, length: int = 1) -> str:
    """Store an object; return the store's refusal, empty if it was stored."""
    try:
        s3(binding).put_object(Bucket=binding["VELLUM_BUCKET"], Key=key, Body=b"\7" * length)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def qdrant(installation: Installation) -> Callable[..., tuple[int, Any]]:
    """Return what sends a request to the vectors of team a."""
    binding = installation.binding("team-a")

    def send(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        url = f"{binding['QDRANT_URL']}/collections/{path}"
        answer = httpx.request(method, url, json=body, headers={"api-key": binding["QDRANT_API_KEY"]}, timeout=30)
        text = answer.json()
        return answer.status_code, text.get("result") if answer.status_code == 200 else text["status"]["error"]

    return send


def test_a_start_on_a_full_disk_names_the_disk(small: Installation) -> None:
    fill(small, 0)
    claim = small.root / "claim.yaml"
    claim.write_text("apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlatform\nmetadata: {name: a}\nspec: {}\n")
    done = small.run("up", str(claim), check=False)
    room(small)
    assert (done.returncode, "error VEL419: the disk is full: 0 bytes free of 600.0 MiB" in done.stderr) == (1, True)
    assert str(small.state) in done.stderr


def test_a_bucket_that_needs_a_volume_is_named(platform: Installation) -> None:
    """The platform's bucket has no volume. That of team b keeps the room that is left, so the bucket accepts writes."""
    a, b = (platform.binding(team) for team in ("team-a", "team-b"))
    assert put(a, "first") == ""
    fill(platform, 170 * MEBIBYTE)
    sent = 0
    while (answer := put(a, f"large-{sent}", 8 * MEBIBYTE)) == "" and sent < 40:
        sent += 1
    # A store with time creates volumes ahead, and notices a full one late. So the room that is left here differs.
    fill(platform, 100 * MEBIBYTE)

    assert (answer, put(b, "more")) == ("InternalError", "")
    status = platform.status()
    assert (status["ready"], [trouble["code"] for trouble in status["troubles"]]) == (False, ["VEL419"])
    what = "the object store has no room for a new volume of bucket vellum-artifacts"
    kept = r"64\.0 MiB are needed beside the [\d.]+ MiB that it keeps for its \d volumes"
    assert re.fullmatch(rf"{what}(, {a['VELLUM_BUCKET']})?: {kept}", status["troubles"][0]["what"])
    done = platform.run("status", check=False)
    assert (
        done.returncode,
        b["VELLUM_BUCKET"] in done.stdout.partition("next: ")[0],
        "next: make room" in done.stdout,
    ) == (3, False, True)

    room(platform)
    wait_for(lambda: put(a, "after") == "")
    assert (platform.status()["ready"], platform.status()["troubles"]) == (True, [])


def test_qdrant_refuses_writes_on_a_full_disk_and_loses_nothing(platform: Installation) -> None:
    """Proves: on a full disk the Qdrant stand-in refuses writes, and loses nothing that it confirmed."""
    send = qdrant(platform)
    points = [{"id": at, "vector": [1.0, at], "payload": {"text": "x" * 500}} for at in range(1, 2001)]
    assert send("PUT", "kept", {"vectors": {"size": 2, "distance": "Dot"}}) == (200, True)
    assert send("PUT", "kept/points?wait=true", {"points": points})[0] == 200
    full = "Service internal error: No space left on device: the disk has 0.0 MiB free of 600.0 MiB, and 64.0 MiB are needed"

    fill(platform, 0)
    before = platform.process("qdrant-default-team-a")
    assert send("PUT", "full", {"vectors": {"size": 2, "distance": "Dot"}}) == (500, full)
    assert send("PUT", "kept/points?wait=true", {"points": [{**points[0], "id": 9000}]}) == (500, full)
    assert send("POST", "kept/points/delete", {"points": [1]}) == (500, full)
    assert send("POST", "kept/points/count", {}) == (200, {"count": 2000})
    assert send("POST", "kept/points/query", {"query": [1, 1], "limit": 1})[1]["points"][0]["id"] == 2000
    assert platform.process("qdrant-default-team-a") == before

    room(platform)
    fill(platform, 40 * MEBIBYTE)
    os.kill(before["pid"], signal.SIGKILL)
    wait_for(lambda: (now := platform.process("qdrant-default-team-a"))["ready"] and now["pid"] != before["pid"])
    # To open a collection the core replays its log, which needs room as well.
    status, text = send("POST", "kept/points/count", {})
    assert (status, text.startswith("Service internal error: No space left on device: the disk has ")) == (500, True)
    room(platform)
    assert send("POST", "kept/points/count", {}) == (200, {"count": 2000})
    assert send("PUT", "kept/points?wait=true", {"points": [{**points[0], "id": 9000}]})[0] == 200
    fill(platform, 0)
    assert send("DELETE", "kept") == (200, True)
    assert send("GET", "kept/exists") == (200, {"exists": False})
    room(platform)


def test_the_store_refuses_writes_at_the_documented_share(platform: Installation) -> None:
    """Read in the store's log: a new SeaweedFS with another share must fail here."""
    binding = platform.binding("team-b")
    fill(platform, SIZE // NEEDED_SHARE - MEBIBYTE)
    before = platform.process("seaweed")
    os.kill(before["pid"], signal.SIGKILL)
    wait_for(lambda: (now := platform.process("seaweed"))["ready"] and now["pid"] != before["pid"])

    output = re.findall(r"disk free \S+ < required (\S+)", platform.run("logs", "seaweed", "--lines", "1000").stdout)
    assert set(output) == {f"{100 / NEEDED_SHARE:.2f}%"}
    assert put(binding, "refused") == "InternalError"
    kept = s3(binding).get_object(Bucket=binding["VELLUM_BUCKET"], Key="first")["Body"].read()
    assert kept == b"\7"
    room(platform)


def test_a_full_disk_is_reported_and_work_continues_with_room(platform: Installation) -> None:
    """Proves: a full disk is reported, and all work continues once there is room."""
    wait_for(lambda: platform.status()["ready"])
    fill(platform, 40 * MEBIBYTE)
    done = platform.run("status", check=False)
    assert (done.returncode, "VEL419: the disk is almost full: 40.0 MiB free" in done.stdout) == (3, True)
    assert "next: make room" in done.stdout

    fill(platform, 0)
    os.kill(platform.process("envoy")["pid"], signal.SIGKILL)
    text = wait_for(lambda: next((line for line in waiting(platform) if "gateway" in line), ""))
    assert "No space left on device" in text
    done = platform.run("up", check=False)
    assert done.returncode == 1
    assert "error VEL419: the disk is full: 0 bytes free of 600.0 MiB" in done.stderr
    assert f"where: {platform.state}" in done.stderr
    assert "platform: gateway is not ready: " in done.stderr
    status = platform.status()
    assert (status["ready"], status["troubles"][0]["code"]) == (False, "VEL419")
    parts = {part["name"]: part for obj in status["objects"] for part in obj["status"]["components"]}
    assert parts["gateway"]["ready"] is False

    room(platform)
    platform.run("up")
    status = wait_for(lambda: (now := platform.status())["ready"] and now)
    assert status["troubles"] == []


def waiting(installation: Installation) -> list[str]:
    return [line for line in installation.run("status", check=False).stdout.splitlines() if "not ready: " in line]
