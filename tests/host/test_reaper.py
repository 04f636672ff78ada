"""A supervisor that is killed leaves nothing running: by its reaper, by the kernel, and by the next supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.host.servers import Supervised, alive, host, wait_for

from vellum.host import reaper
from vellum.host.files import read_json, write_json


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout
    process.stdout.close()


@pytest.mark.slow
@pytest.mark.parametrize("death_signal", ["", "1"], ids=["with the death signal", "by the reaper alone"])
def test_a_killed_supervisors_family_is_gone_within_12_seconds(tmp_path: Path, death_signal: str) -> None:
    supervisor, pids = host(tmp_path, "family", VELLUM_NO_DEATH_SIGNAL=death_signal)
    kill(supervisor)
    wait_for(lambda: not any(alive(pid) for pid in pids.values()), 12)


def test_without_a_reaper_the_kernel_ends_the_children(tmp_path: Path) -> None:
    """The supervisor is killed after its reaper."""
    supervisor, pids = host(tmp_path)
    supervisor.send_signal(signal.SIGSTOP)
    os.kill(pids["reaper"], signal.SIGKILL)
    kill(supervisor)
    wait_for(lambda: not alive(pids["served"]), 12)


def test_a_killed_reaper_is_replaced(supervised: Supervised) -> None:
    before = supervised.supervisor.reaper_pid
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: supervised.supervisor.reaper_pid != before)
    assert alive(supervised.supervisor.reaper_pid)


def test_the_next_supervisor_ends_what_the_killed_one_left(tmp_path: Path) -> None:
    supervisor, pids = host(tmp_path, VELLUM_NO_DEATH_SIGNAL="1")
    supervisor.send_signal(signal.SIGSTOP)
    os.kill(pids["reaper"], signal.SIGKILL)
    kill(supervisor)
    assert alive(pids["served"])
    following = Supervised(tmp_path)
    assert not alive(pids["served"])
    following.supervisor.close()


def test_a_late_reaper_leaves_the_next_supervisors_children_alone(supervised: Supervised) -> None:
    supervised.started("served")
    pid = supervised.pid("served")
    reaper.end(str(supervised.state.processes), by=os.getpid() + 1)
    assert (alive(pid), supervised.pid("served")) == (True, pid)


def test_a_process_that_only_has_the_number_of_a_child_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-ISc", "import time; time.sleep(60)"], start_new_session=True)
    record = tmp_path / "processes.json"
    since = reaper.started(stranger.pid)
    other_boot, other_time = "another0 " + since.split(" ")[1], since.split(" ")[0] + " 1"
    for text in (other_boot, other_time, ""):
        write_json(record, {"served": {"pid": stranger.pid, "started": text, "by": 1}})
        reaper.end(str(record))
        assert (stranger.poll(), reaper.recorded(str(record))) == (None, [])
    write_json(record, {"served": {"pid": stranger.pid, "started": since, "by": 1}})
    reaper.end(str(record))
    assert stranger.wait() == -signal.SIGTERM


def test_a_child_is_recorded_before_its_program_begins(tmp_path: Path) -> None:
    """A launcher whose supervisor dies before the go never becomes the program."""
    launcher = Path(reaper.__file__).with_name("launch.py")
    mark = tmp_path / "began"
    argv = [sys.executable, "-I", "-S", str(launcher), str(os.getpid()), "touch", str(mark)]
    silent = subprocess.run(argv, stdin=subprocess.DEVNULL, check=False)
    assert (silent.returncode, mark.exists()) == (1, False)
    orphan = [*argv[:4], "1", *argv[5:]]
    assert subprocess.run(orphan, input=b"!", check=False).returncode == 1
    assert not mark.exists()
    assert subprocess.run(argv, input=b"!", check=False).returncode == 0
    assert mark.exists()


def test_a_damaged_record_stops_nobody(tmp_path: Path) -> None:
    record = tmp_path / "processes.json"
    record.write_text('{"served": ')
    reaper.end(str(record))
    assert (reaper.recorded(str(record)), read_json(record, {})) == ([], {})
