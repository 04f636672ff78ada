"""`up` and `status` report a full disk by text and by exit code."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.platform.door import Installation, new_installation, wait_for

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(300)]
MEBIBYTES = 200


@pytest.fixture
def small() -> Iterator[Installation]:
    """Return an installation whose state is on its own disk."""
    for installation in new_installation():
        installation.state.mkdir(mode=0o700)
        size = f"size={MEBIBYTES}m,mode=700"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(installation.state)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode and not os.environ.get("CI"):
            pytest.skip(f"a disk of its own needs the right to mount: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        yield installation
        (installation.state / "data" / "fill").unlink(missing_ok=True)
        installation.run("down", check=False)
        subprocess.run(["umount", "--lazy", str(installation.state)], check=True)


def free(installation: Installation) -> int:
    found = os.statvfs(installation.state)
    return found.f_bavail * found.f_frsize


def fill(installation: Installation, left: int) -> Path:
    """Fill the disk until so many bytes are left; return the file that does."""
    path = installation.state / "data" / "fill"
    with path.open("ab", buffering=0) as file:
        while (rest := free(installation) - left) > 0:
            file.write(b"\0" * min(rest, 2**20))
    return path


def test_a_full_disk_is_reported_and_work_continues_with_room(small: Installation) -> None:
    """Proves: a full disk is reported, and all work continues once there is room."""
    small.up(team_a="{}")
    assert small.status()["ready"] is True

    filling = fill(small, 40 * 2**20)
    done = small.run("status", check=False)
    assert (done.returncode, "VEL419: the disk is almost full: 40.0 MiB free" in done.stdout) == (3, True)
    assert "next: make room" in done.stdout

    filling = fill(small, 0)
    os.kill(small.process("envoy")["pid"], signal.SIGKILL)
    said = wait_for(lambda: next((line for line in waiting(small) if "gateway" in line), ""))
    assert "No space left on device" in said
    done = small.run("up", check=False)
    assert done.returncode == 1
    assert "error VEL419: the disk is full: 0 bytes free of 200.0 MiB" in done.stderr
    assert f"where: {small.state}" in done.stderr
    assert "platform: gateway waits: " in done.stderr
    found = small.status()
    assert (found["ready"], found["troubles"][0]["code"]) == (False, "VEL419")
    parts = {part["name"]: part for obj in found["objects"] for part in obj["status"]["components"]}
    assert parts["gateway"]["ready"] is False

    filling.unlink()
    small.run("up")
    found = wait_for(lambda: (now := small.status())["ready"] and now)
    assert found["troubles"] == []


def waiting(installation: Installation) -> list[str]:
    return [line for line in installation.run("status", check=False).stdout.splitlines() if "waits: " in line]


def test_a_start_on_a_full_disk_names_the_disk(small: Installation) -> None:
    (small.state / "data").mkdir(mode=0o700)
    filling = fill(small, 0)
    claim = small.root / "claim.yaml"
    claim.write_text(
        "apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlatform\nmetadata: {name: a}\nspec: {}\n"
    )
    (small.state / ".vellum").touch(mode=0o600)
    done = small.run("up", str(claim), check=False)
    assert (done.returncode, "error VEL419: the disk is full: 0 bytes free of 200.0 MiB" in done.stderr) == (
        1,
        True,
    )
    assert str(small.state) in done.stderr
    filling.unlink()
