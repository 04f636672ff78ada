"""A claim's life: up, down, changes, deletion, and data that outlives all but the wish to delete it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.platform.harness import FULL, Installation, wait_for
from tests.platform.test_services import s3

from vellum.host.state import State

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(300)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def store(installation: Installation, team: str, key: str, body: bytes) -> None:
    binding = installation.binding(team)
    s3(binding).put_object(Bucket=binding["VELLUM_BUCKET"], Key=key, Body=body)


def stored(installation: Installation, team: str, key: str) -> bytes:
    binding = installation.binding(team)
    result: bytes = s3(binding).get_object(Bucket=binding["VELLUM_BUCKET"], Key=key)["Body"].read()
    return result


def claim(installation: Installation) -> dict[str, Any]:
    result = installation.status()["objects"]
    return next((obj for obj in result if obj["metadata"]["name"] == "team-a"), {"metadata": {}})


def claim_uid(installation: Installation) -> str:
    return str(claim(installation)["metadata"]["uid"])


def test_down_stops_everything_and_the_next_up_finds_the_data(installation: Installation) -> None:
    """Proves: `vellum down` stops every process, and the next `vellum up` finds the data."""
    installation.up(team_a="{}")
    store(installation, "team-a", "kept.txt", b"kept")
    before = installation.binding("team-a")
    pids = [process["pid"] for process in installation.processes().values()] + [installation.supervisor()]

    installation.run("down")
    assert [pid for pid in pids if alive(pid)] == []
    assert installation.run("status", check=False).returncode == 1
    installation.run("up")

    assert installation.binding("team-a") == before
    assert stored(installation, "team-a", "kept.txt") == b"kept"


def test_down_with_delete_data_leaves_no_process_socket_or_file(installation: Installation) -> None:
    """Proves: `vellum down --delete-data` leaves no process, socket or file."""
    installation.up(team_a=FULL)
    runtime = State(installation.state).runtime
    assert (runtime / "control.sock").exists()
    pids = [process["pid"] for process in installation.processes().values()] + [installation.supervisor()]

    installation.run("down", "--delete-data", "--yes")

    assert not installation.state.exists()
    assert [pid for pid in pids if alive(pid)] == []
    mine = subprocess.run(["pgrep", "-f", str(installation.state)], capture_output=True, text=True, check=False).stdout
    assert mine == ""
    assert not runtime.exists()


def test_a_second_up_changes_nothing(platform: Installation) -> None:
    before = {name: process["pid"] for name, process in platform.processes().items()}

    platform.up(team_a=FULL)

    assert {name: process["pid"] for name, process in platform.processes().items()} == before


def test_turning_a_part_off_keeps_its_files(installation: Installation) -> None:
    """The part is gone and its files stay."""
    installation.up(team_a=FULL)
    assert installation.process("notebook")["ready"]
    (home,) = (installation.state / "data").glob("default-team-a-*/notebook-workspace")
    (home / "kept.txt").write_text("kept")

    installation.up(team_a="{notebooks: disabled}")

    wait_for(lambda: not any(name.startswith("notebook") for name in installation.processes()))
    assert installation.status()["ready"]

    installation.up(team_a=FULL)

    assert (home / "kept.txt").read_text() == "kept"


def test_a_deleted_claim_with_retain_comes_back_with_its_data(installation: Installation) -> None:
    """Proves: a claim deleted with Retain finds its data when it is created again."""
    installation.up(team_a="{notebooks: enabled}", other="{}")
    store(installation, "team-a", "kept.txt", b"kept")
    (home,) = (installation.state / "data").glob("default-team-a-*/notebook-workspace/work")
    (home / "kept.ipynb").write_text("kept")
    key = installation.binding("team-a")["AWS_ACCESS_KEY_ID"]

    installation.run("delete", "team-a", "--yes")
    names = [obj["metadata"]["name"] for obj in installation.status()["objects"]]
    assert names == ["kubeflow", "other"]
    assert not any("team-a" in name for name in installation.processes())
    installation.up(team_a="{notebooks: enabled}")

    assert stored(installation, "team-a", "kept.txt") == b"kept"
    assert (home / "kept.ipynb").read_text() == "kept"
    assert installation.process("notebook")["ready"]
    assert installation.binding("team-a")["AWS_ACCESS_KEY_ID"] == key


def test_a_deleted_claim_with_delete_takes_its_bucket_and_vectors_along(installation: Installation) -> None:
    """Proves: a claim deleted with Delete leaves neither bucket nor vectors."""
    installation.up(team_a="{deletionPolicy: Delete}")
    store(installation, "team-a", "gone.txt", b"gone")

    installation.run("delete", "team-a", "--yes")
    installation.up(team_a="{}")

    binding = installation.binding("team-a")
    assert s3(binding).list_objects_v2(Bucket=binding["VELLUM_BUCKET"])["KeyCount"] == 0


def test_up_waits_for_the_end_of_a_claim_of_the_same_name(installation: Installation) -> None:
    installation.up(team_a="{}", other="{}")
    store(installation, "team-a", "kept.txt", b"kept")
    uid = claim_uid(installation)
    environment = {**os.environ, "VELLUM_STATE": str(installation.state)}
    going = subprocess.Popen([sys.executable, "-m", "vellum.cli", "delete", "team-a", "--yes"], env=environment)
    wait_for(lambda: "deletionTimestamp" in claim(installation)["metadata"])

    installation.up(team_a="{}")

    assert going.wait(timeout=60) == 0
    assert claim_uid(installation) != uid
    assert stored(installation, "team-a", "kept.txt") == b"kept"


def test_a_taken_port_gives_the_next_free_one_and_it_is_remembered(installation: Installation) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for port in range(28000, 28100):
            try:
                taken.bind(("127.0.0.1", port))
                break
            except OSError:
                continue
        taken.listen()
        installation.up(team_a="{}")
        first = installation.binding("team-a")["AWS_ENDPOINT_URL"]
        assert first != f"http://127.0.0.1:{port}"
    installation.run("down")
    installation.run("up")

    assert installation.binding("team-a")["AWS_ENDPOINT_URL"] == first


def test_a_gateway_port_taken_later_moves_the_gateway(installation: Installation) -> None:
    """The binding names the new port."""
    installation.up(team_a="{}")
    first = installation.binding("team-a")["AWS_ENDPOINT_URL"]
    installation.run("down")
    with socket.create_server(("127.0.0.1", int(first.rpartition(":")[2]))):
        installation.run("up")
        second = installation.binding("team-a")["AWS_ENDPOINT_URL"]
        store(installation, "team-a", "moved.txt", b"moved")

    assert second != first
    assert "PortTaken" in installation.run("status", "--events").stdout


def test_a_port_taken_from_the_running_gateway_moves_it(installation: Installation) -> None:
    """Another program takes the port while the gateway restarts."""
    installation.up(team_a="{}")
    first = installation.binding("team-a")["AWS_ENDPOINT_URL"]
    # A stopped supervisor does not restart the gateway before the other program has its port.
    os.kill(installation.supervisor(), signal.SIGSTOP)
    envoy = (installation.state / "processes.json").read_text()
    os.kill(json.loads(envoy)["envoy"]["pid"], signal.SIGKILL)
    stranger = wait_for(partial(listening, int(first.rpartition(":")[2])))
    os.kill(installation.supervisor(), signal.SIGCONT)
    with stranger:
        wait_for(lambda: "PortTaken" in installation.run("status", "--events", check=False).stdout)
        wait_for(lambda: installation.status()["ready"] and installation.process("envoy")["ready"])
        second = wait_for(lambda: another(installation.binding("team-a")["AWS_ENDPOINT_URL"], first))
        store(installation, "team-a", "moved.txt", b"moved")

    assert second != first


def listening(port: int) -> socket.socket | None:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return None


def another(address: str, before: str) -> str | None:
    return address if address != before else None


def test_a_platform_file_whose_port_is_taken_comes_up_on_the_next_free_one(installation: Installation) -> None:
    path = installation.root / "platform.yaml"
    with socket.create_server(("127.0.0.1", 0)) as any_port:
        free = 20000 + any_port.getsockname()[1] % 5000
    stranger = next(server for port in range(free, 30000) if (server := listening(port)))
    taken = stranger.getsockname()[1]
    path.write_text(
        "apiVersion: platform.vellum.dev/v1alpha1\nkind: KubeflowPlatform\nmetadata: {name: kubeflow}\n"
        f"spec: {{gateway: {{port: {taken}}}}}\n"
    )
    with stranger:
        installation.run("up", str(path))
        installation.up(team_a="{}")
        address = installation.binding("team-a")["AWS_ENDPOINT_URL"]
        store(installation, "team-a", "there.txt", b"there")

    assert address != f"http://127.0.0.1:{taken}"
    assert "PortTaken" in installation.run("status", "--events").stdout


@pytest.mark.parametrize("death_signal", ["", "1"], ids=["linux", "reaper alone"])
def test_the_children_of_a_killed_supervisor_end_within_12_seconds(
    installation: Installation, death_signal: str
) -> None:
    """Proves: all processes of a killed supervisor end within 12 seconds."""
    path = installation.root / "team.yaml"
    path.write_text(
        "apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlatform\nmetadata: {name: team-a}\nspec: {notebooks: enabled}\n"
    )
    installation.run("up", str(path), VELLUM_NO_DEATH_SIGNAL=death_signal)
    store(installation, "team-a", "kept.txt", b"kept")
    children = [process["pid"] for process in installation.processes().values()]

    os.kill(installation.supervisor(), signal.SIGKILL)
    wait_for(lambda: not any(map(alive, children)), 12)
    installation.run("up")

    assert stored(installation, "team-a", "kept.txt") == b"kept"


def test_up_right_after_a_killed_supervisor_ends_what_it_left(installation: Installation) -> None:
    installation.up(team_a="{}")
    children = [process["pid"] for process in installation.processes().values()]

    os.kill(installation.supervisor(), signal.SIGKILL)
    installation.run("up")

    assert [pid for pid in children if alive(pid)] == []
    assert installation.status()["ready"]


def test_two_ups_at_once_start_one_platform(installation: Installation) -> None:
    path = installation.root / "team.yaml"
    path.write_text(
        "apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlatform\nmetadata: {name: team-a}\nspec: {}\n"
    )
    argv = [sys.executable, "-m", "vellum.cli", "up", str(path)]
    environment = {**os.environ, "VELLUM_STATE": str(installation.state)}
    both = [subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(2)]

    ends = [process.wait(timeout=120) for process in both]
    for process in both:
        assert process.stdout
        process.stdout.close()

    assert ends == [0, 0]
    assert installation.status()["ready"]
