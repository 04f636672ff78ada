"""Processes run exactly while they are wanted, and say how they are; real ones, killed by real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.host.servers import QUICK, Supervised, alive, wait_for

from vellum.host.child import LOG_LIMIT, answer
from vellum.host.files import read_json
from vellum.model.process import Running

READY = Running(ready=True, message="")


def test_a_process_becomes_ready_and_tells_once(supervised: Supervised) -> None:
    first = supervised.supervisor.ensure(supervised.server("served"))
    assert first == Running(ready=False, message="starting")
    process = supervised.started("other")
    assert supervised.supervisor.ensure(process) == READY
    assert supervised.told.count("other") == 1


def test_a_killed_process_is_started_again_and_its_return_is_told(supervised: Supervised) -> None:
    process = supervised.started("served")
    before = supervised.pid("served")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: supervised.repaired)
    wait_for(lambda: supervised.supervisor.ensure(process) == replace(READY, restarts=1))
    assert supervised.repaired == [("served", "killed by signal 9")]
    assert supervised.pid("served") != before


def test_a_process_that_ends_at_once_is_started_with_growing_pauses(supervised: Supervised) -> None:
    process = supervised.server("served", "crash")
    supervised.supervisor.ensure(process)
    wait_for(lambda: supervised.supervisor.ensure(process).restarts > 3)
    text = supervised.supervisor.ensure(process)
    assert (text.ready, text.message) == (False, "exited with 3; starting again; see `vellum logs served`")
    assert supervised.log("served").count("begins") <= text.restarts + 1


def test_a_port_that_another_program_has_is_said_and_one_of_its_own_is_not(supervised: Supervised) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        process = replace(supervised.server("served", port=port), ports=(port,))
        supervised.supervisor.ensure(process)
        wait_for(lambda: supervised.supervisor.status("served").taken == (port,))
        message = f"port {port} is taken by another program; the supervisor tries again"
        assert supervised.supervisor.status("served") == Running(ready=False, message=message, taken=(port,))
    supervised.wait_ready(process)
    for _ in range(3):
        os.kill(supervised.pid("served"), signal.SIGKILL)
        back = replace(READY, restarts=supervised.supervisor.status("served").restarts + 1)
        wait_for(partial(lambda back: supervised.supervisor.status("served") == back, back))


def test_a_program_that_listens_nowhere_is_ready_while_it_runs(supervised: Supervised) -> None:
    process = replace(supervised.server("silent"), probe=None)
    supervised.supervisor.ensure(process)
    supervised.wait_ready(process)
    os.kill(supervised.pid("silent"), signal.SIGKILL)
    wait_for(lambda: supervised.supervisor.ensure(process) == replace(READY, restarts=1))


def test_a_strangers_answer_on_the_port_is_not_the_processs_own(supervised: Supervised) -> None:
    stranger = Supervised(supervised.folder / "stranger")
    probe = stranger.started("stranger").probe
    assert probe is not None
    process = supervised.server("served", port=probe.port)
    supervised.supervisor.ensure(process)
    wait_for(lambda: supervised.told.count("served") > 2)
    text = supervised.supervisor.status("served")
    assert (text.ready, text.restarts, text.taken) == (False, 0, (probe.port,))
    assert not supervised.state.log("served").exists()
    stranger.supervisor.close()
    supervised.wait_ready(process)
    assert (supervised.supervisor.status("served"), supervised.repaired) == (READY, [])


def test_a_process_that_starts_after_its_port_was_taken_no_longer_says_so(supervised: Supervised) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        process = supervised.server("served", "slow", port=stranger.getsockname()[1])
        supervised.supervisor.ensure(process)
        wait_for(lambda: supervised.supervisor.status("served").taken)
    wait_for(lambda: supervised.pid("served"))
    assert supervised.supervisor.status("served") == Running(ready=False, message="starting")


def test_a_program_that_does_not_exist_is_said_and_tried_again(supervised: Supervised) -> None:
    process = replace(supervised.server("served"), argv=("/nowhere/program",))
    supervised.supervisor.ensure(process)
    wait_for(lambda: supervised.supervisor.ensure(process).restarts > 1)
    assert "exited with 1" in supervised.supervisor.ensure(process).message
    assert "/nowhere/program cannot be started: No such file" in supervised.log("served")


def test_a_folder_that_cannot_be_made_is_said_and_tried_again(supervised: Supervised) -> None:
    process = supervised.server("served")
    process.directory.write_text("in the way")
    supervised.supervisor.ensure(process)
    wait_for(lambda: any("cannot start" in message for message in supervised.messages))
    process.directory.unlink()
    supervised.wait_ready(process)


def test_a_process_that_hangs_is_restarted(supervised: Supervised) -> None:
    process = supervised.started("served")
    (process.directory / "hang").touch()
    wait_for(lambda: not supervised.supervisor.ensure(process).ready)
    (process.directory / "hang").unlink()
    wait_for(lambda: supervised.repaired)
    assert [(name, wrong.split(" for ")[0]) for name, wrong in supervised.repaired] == [("served", "did not answer")]


def test_a_stopped_process_is_not_ready_and_is_started_again(supervised: Supervised) -> None:
    process = supervised.started("served")
    before = supervised.pid("served")
    os.kill(before, signal.SIGSTOP)
    wait_for(lambda: "is stopped by a signal (SIGSTOP)" in supervised.messages)
    wait_for(lambda: supervised.repaired)
    assert supervised.repaired[0][1].startswith("was stopped by a signal for")
    supervised.wait_ready(process)
    assert not alive(before)


def test_a_program_of_a_person_that_is_stopped_goes_on_where_it_was(supervised: Supervised) -> None:
    process = replace(supervised.server("job", "slow"), probe=None, once=True)
    supervised.supervisor.ensure(process)
    supervised.wait_ready(process)
    before = supervised.pid("job")
    os.kill(before, signal.SIGSTOP)
    wait_for(lambda: "is stopped by a signal (SIGSTOP)" in supervised.messages)
    time.sleep(2 * QUICK.stopped)
    os.kill(before, signal.SIGCONT)
    supervised.wait_ready(process)
    assert (supervised.pid("job"), supervised.supervisor.status("job").restarts) == (before, 0)


def test_a_stop_while_it_starts_is_said_and_undone(supervised: Supervised) -> None:
    process = supervised.server("served", "slow")
    supervised.supervisor.ensure(process)
    pid = wait_for(lambda: supervised.pid("served"))
    wait_for(lambda: "begins" in supervised.log("served"))
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: supervised.supervisor.status("served").restarts)
    assert not alive(pid)


def test_a_busy_process_is_not_ready_and_is_left_alone(supervised: Supervised) -> None:
    process = supervised.started("served")
    before = supervised.pid("served")
    (process.directory / "busy").touch()
    wait_for(lambda: "does not answer, and is at work" in supervised.messages)
    time.sleep(3 * QUICK.hang)
    (process.directory / "busy").unlink()
    supervised.wait_ready(process)
    assert (supervised.pid("served"), supervised.repaired) == (before, [])


def test_a_process_that_refuses_is_not_ready_and_says_its_status(supervised: Supervised) -> None:
    """The status is the reason, even if the probe also asks for a text in the body."""
    process = supervised.server("served")
    assert process.probe is not None
    process = replace(process, probe=replace(process.probe, says="whole"))
    supervised.wait_ready(process)
    (process.directory / "refuse").touch()
    wait_for(lambda: "answers with the HTTP status 503" in supervised.messages)
    (process.directory / "refuse").unlink()
    supervised.wait_ready(process)


def test_a_process_with_a_missing_part_is_not_ready(supervised: Supervised) -> None:
    """A right answer of one server of the process is not enough."""
    process = supervised.server("served")
    assert process.probe is not None
    process = replace(process, probe=replace(process.probe, also=replace(process.probe, says="whole")))
    process.directory.mkdir()
    (process.directory / "partial").touch()
    supervised.supervisor.ensure(process)
    wait_for(lambda: process.probe and answer(process.probe, 1) == 200)
    time.sleep(0.2)
    assert not supervised.supervisor.status("served").ready
    (process.directory / "partial").unlink()
    supervised.wait_ready(process)
    (process.directory / "partial").touch()
    wait_for(lambda: "answers with a status in which a part is missing" in supervised.messages)
    wait_for(lambda: supervised.supervisor.status("served").restarts)


def test_a_slow_start_says_so(supervised: Supervised) -> None:
    supervised.supervisor.ensure(supervised.server("served", "slow"))
    wait_for(lambda: any("has not answered in the 1 s" in message for message in supervised.messages))


def test_another_value_replaces_the_process_without_making_anybody_wait(supervised: Supervised) -> None:
    process = supervised.started("served", "stubborn", grace_seconds=0.3)
    before = supervised.pid("served")
    other = replace(process, env={"SAID": "something else"})
    assert supervised.supervisor.ensure(other) == Running(ready=False, message="starting")
    assert alive(before)
    supervised.wait_ready(other)
    assert not alive(before)
    assert json.loads((process.directory / "environment.json").read_text())["SAID"] == "something else"


def test_a_process_wanted_again_while_it_ends_comes_back(supervised: Supervised) -> None:
    process = supervised.started("served", "stubborn", grace_seconds=0.2)
    before = supervised.pid("served")
    assert supervised.supervisor.end("served") is False
    supervised.supervisor.ensure(process)
    wait_for(lambda: supervised.pid("served") not in (0, before))
    supervised.wait_ready(process)
    assert (alive(before), supervised.repaired) == (False, [])
    assert supervised.supervisor.ensure(process) == READY


def test_ending_makes_nobody_wait_and_tells_when_it_is_done(supervised: Supervised) -> None:
    supervised.started("served", "stubborn", grace_seconds=0.2)
    before, told = supervised.pid("served"), supervised.told.count("served")
    assert supervised.supervisor.end("served") is False
    assert alive(before)
    wait_for(lambda: supervised.supervisor.end("served"))
    wait_for(lambda: supervised.told.count("served") == told + 1)
    assert (alive(before), supervised.supervisor.running()) == (False, {})


def test_removing_waits_until_the_whole_family_is_gone(supervised: Supervised) -> None:
    process = supervised.started("served", "family")
    grandchild = int((process.directory / "grandchild").read_text())
    pid = supervised.pid("served")
    supervised.supervisor.remove("served")
    assert (alive(pid), supervised.supervisor.running()) == (False, {})
    wait_for(lambda: not alive(grandchild))
    assert read_json(supervised.state.processes, None) == {}
    supervised.supervisor.remove("served")


def test_a_process_that_died_leaves_no_family_behind(supervised: Supervised) -> None:
    process = supervised.started("served", "family")
    grandchild = int((process.directory / "grandchild").read_text())
    os.kill(supervised.pid("served"), signal.SIGKILL)
    wait_for(lambda: not alive(grandchild))
    supervised.wait_ready(process)


def test_a_listener_that_fails_stops_no_process(supervised: Supervised) -> None:
    def fails(name: str) -> None:
        raise RuntimeError(name)

    supervised.supervisor.changed = fails
    process = supervised.started("served")
    os.kill(supervised.pid("served"), signal.SIGKILL)
    wait_for(lambda: supervised.supervisor.ensure(process) == replace(READY, restarts=1))


def test_nothing_secret_is_in_a_command_line_or_comes_from_the_user(
    supervised: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "AWS_SECRET_ACCESS_KEY",
        "OPENAI_API_KEY",
        "VELLUM_STATE",
        "QDRANT_API_KEY",
        "PYTHONPATH",
        "JUPYTER_TOKEN",
        "LANGCHAIN_API_KEY",
        "HOMEBREW_GITHUB_API_TOKEN",
        "USER_SECRET",
        "HTTP_PROXY_PASSWORD",
    ):
        monkeypatch.setenv(name, "the user's own")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("NO_PROXY", "intranet")
    process = supervised.started(
        "served", env={"TOKEN": "s3cr3t"}, files={supervised.folder / "config" / "key": "s3cr3t"}
    )
    seen = json.loads((process.directory / "environment.json").read_text())
    assert [name for name, value in seen.items() if value == "the user's own"] == []
    assert (seen["TOKEN"], seen["PATH"], seen["LC_ALL"], seen["NO_PROXY"]) == (
        "s3cr3t",
        os.environ["PATH"],
        "C.UTF-8",
        "intranet,127.0.0.1,localhost",
    )
    command = Path(f"/proc/{supervised.pid('served')}/cmdline").read_text()
    assert "s3cr3t" not in command
    assert "server.py" in command
    assert stat.S_IMODE((supervised.folder / "config" / "key").stat().st_mode) == 0o600
    assert "s3cr3t" not in repr(process)


def test_a_log_that_is_too_long_is_moved_aside_while_its_process_runs(supervised: Supervised) -> None:
    supervised.started("served")
    log = supervised.state.log("served")
    with log.open("ab") as file:
        file.truncate(LOG_LIMIT + 1)
    older = log.with_suffix(".log.1")
    wait_for(older.exists)
    wait_for(lambda: log.stat().st_size == 0)
    assert older.read_bytes().startswith(b"begins\n")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (log, older)} == {0o600}


def test_closing_ends_everything(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path)
    for name in ("one", "two"):
        supervised.started(name, "stubborn", grace_seconds=0.1)
    pids = [supervised.pid("one"), supervised.pid("two"), supervised.supervisor.reaper_pid]
    supervised.supervisor.close()
    assert [alive(pid) for pid in pids] == [False, False, False]
    assert read_json(supervised.state.processes, None) == {}


def test_a_stopped_reaper_makes_nobody_wait_at_the_end(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path)
    os.kill(supervised.supervisor.reaper_pid, signal.SIGSTOP)
    began = time.monotonic()
    supervised.supervisor.close()
    assert time.monotonic() - began < 5


def test_no_descriptor_is_left_open(supervised: Supervised) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    supervised.supervisor.remove(supervised.started("served").name)
    before = descriptors()
    for _ in range(3):
        process = supervised.started("served")
        os.kill(supervised.pid("served"), signal.SIGKILL)
        wait_for(lambda process=process: supervised.supervisor.ensure(process).restarts)  # type: ignore[misc]
        supervised.supervisor.remove("served")
    assert descriptors() == before
