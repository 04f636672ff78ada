"""A supervisor is found and stopped whatever shell asks: the lock says whether one runs, not its socket."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.host.servers import alive, wait_for

from vellum.connect.installation import MARK
from vellum.errors import LaptopError
from vellum.host import start
from vellum.host.child import LOG_LIMIT
from vellum.host.client import Client
from vellum.host.files import write_json
from vellum.host.log_tail import last_message
from vellum.host.state import State

NOT_READY = 3
"""The exit code of ``vellum status``: these supervisors run without an object."""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder with a short path, as it holds sockets; every process in it ends with the test."""
    result = Path(tempfile.mkdtemp(prefix="vellum-test-"))
    for name in ("run", "other"):
        (result / name).mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(result / "run"))
    yield result
    if holder := State(result / "state").holder():
        os.kill(holder.pid, signal.SIGKILL)
        wait_for(lambda: not alive(holder.pid))
    shutil.rmtree(result)


@pytest.fixture
def running(folder: Path) -> tuple[State, int]:
    """Start a supervisor that runs nothing; return its state and its pid."""
    state = State.open(folder / "state")
    assert start.start(state, "vellum.laptop.daemon")
    pid: int = Client(state).ask("ping")["pid"]
    return state, pid


def vellum(folder: Path, *arguments: str, **more: str) -> tuple[int, str]:
    """Run the command line; return its exit code and its output."""
    argv = [sys.executable, "-m", "vellum.cli", *arguments]
    environment = {**os.environ, "VELLUM_STATE": str(folder / "state"), **more}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_supervisor_says_who_it_is_to_its_owner_alone(running: tuple[State, int]) -> None:
    state, pid = running
    holder = state.holder()
    assert holder
    assert (holder.pid, holder.runtime / "control.sock") == (pid, state.socket)
    assert stat.S_IMODE((state.root / "supervisor.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("elsewhere", ["other", ""], ids=["another folder", "none"])
def test_a_shell_with_another_runtime_folder_stops_the_supervisor(
    running: tuple[State, int], folder: Path, elsewhere: str
) -> None:
    """The shell finds the supervisor although XDG_RUNTIME_DIR differs."""
    state, pid = running
    there = str(folder / elsewhere) if elsewhere else ""
    code, output = vellum(folder, "status", XDG_RUNTIME_DIR=there)
    assert (code, "processes" in output) == (NOT_READY, True)
    code, output = vellum(folder, "down", XDG_RUNTIME_DIR=there)
    assert (code, output) == (0, f"Stopped; data stays in {state.root}.\n")
    assert not alive(pid)


def test_a_supervisor_whose_sockets_folder_is_gone_is_stopped(running: tuple[State, int], folder: Path) -> None:
    """As systemd removes it when the last login of a user ends."""
    state, pid = running
    shutil.rmtree(state.runtime)
    code, output = vellum(folder, "status")
    assert (code, f"VEL406: the supervisor (process {pid}) does not answer" in output) == (1, True)
    code, output = vellum(folder, "down", "--delete-data", "--yes")
    assert (code, output.splitlines()[-2:]) == (
        0,
        [
            f"The supervisor (process {pid}) does not answer; Vellum sends it SIGTERM.",
            f"Stopped; {state.root} is deleted.",
        ],
    )
    assert (alive(pid), state.root.exists()) == (False, False)


def test_down_wakes_a_stopped_supervisor_and_says_so(running: tuple[State, int], folder: Path) -> None:
    _, pid = running
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    code, output = vellum(folder, "down")
    assert (code, f"(process {pid}) was stopped by a signal; Vellum resumes it" in output) == (0, True)
    assert (alive(pid), time.monotonic() - began < 8) == (False, True)


def hanging(folder: Path) -> subprocess.Popen[bytes]:
    """Start a process that holds an installation and ignores SIGTERM; return it once it holds the lock."""
    words = f"""
import fcntl, signal, time
from pathlib import Path
from vellum.connect.installation import MARK
from vellum.host.state import State
signal.signal(signal.SIGTERM, signal.SIG_IGN)
state = State.open(Path({str(folder / "state")!r}))
mark = (state.root / MARK).open()
fcntl.flock(mark, fcntl.LOCK_EX)
state.hold()
print(flush=True)
time.sleep(600)
"""
    popen = subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE)
    assert popen.stdout
    popen.stdout.readline()
    popen.stdout.close()
    return popen


def test_a_supervisor_that_hangs_is_killed_and_that_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "ASK_SECONDS", 0.1)
    monkeypatch.setattr(start, "STOP_SECONDS", 0.3)
    holder, text = hanging(folder), list[str]()
    assert start.stop(State(folder / "state"), text.append)
    assert holder.wait() == -signal.SIGKILL
    assert [line.partition("; ")[2] for line in text] == [
        "Vellum sends it SIGTERM.",
        "Vellum kills it, and its processes end with it.",
    ]


@pytest.mark.parametrize("said", [None, {"pid": 1, "started": "another 4711", "runtime": "/"}])
def test_a_holder_that_has_not_said_who_it_is_gets_no_signal_and_no_number(
    folder: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, object] | None
) -> None:
    state = State.open(folder / "state")
    if said:
        write_json(state.root / "supervisor.json", said)
    monkeypatch.setattr(start, "STOP_SECONDS", 0.1)
    monkeypatch.setattr(start, "KILL_SECONDS", 0.1)
    with (state.root / MARK).open() as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        with pytest.raises(LaptopError, match="VEL409") as error:
            start.stop(state)
    assert "fuser" in error.value.fix
    assert "kill -9 0" not in error.value.fix


def test_the_children_of_a_living_supervisor_are_left_to_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vellum.host import reaper

    state = State.open(folder / "state")
    child = subprocess.Popen([sys.executable, "-ISc", "import time; time.sleep(60)"], start_new_session=True)
    write_json(state.processes, {"served": {"pid": child.pid, "started": reaper.started(child.pid), "by": 1}})
    monkeypatch.setattr(start, "STOP_SECONDS", 0.1)
    monkeypatch.setattr(start, "KILL_SECONDS", 0.1)
    with (state.root / MARK).open() as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        with pytest.raises(LaptopError, match="VEL409"):
            start.stop(state)
    assert child.poll() is None
    assert start.stop(state) is False
    assert child.wait() == -signal.SIGTERM


def test_nothing_runs_after_a_kill_and_down_says_so(running: tuple[State, int], folder: Path) -> None:
    state, pid = running
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid))
    assert vellum(folder, "down") == (0, f"Nothing was running; data stays in {state.root}.\n")
    assert state.holder() is None


@pytest.mark.slow
def test_a_look_at_the_lock_is_no_other_supervisor(folder: Path) -> None:
    state = State.open(folder / "state")
    argv = [
        sys.executable,
        "-c",
        f"""
import fcntl, time
while True:
    with open({str(state.root / MARK)!r}) as mark:
        fcntl.flock(mark, fcntl.LOCK_SH)
        time.sleep(0.003)
    time.sleep(0.004)
""",
    ]
    looking = subprocess.Popen(argv)
    try:
        for _ in range(3):
            assert start.start(state, "vellum.laptop.daemon")
            assert start.stop(state)
    finally:
        looking.kill()
        looking.wait()


@pytest.mark.slow
def test_the_supervisors_own_log_is_moved_aside_when_it_is_too_long(running: tuple[State, int]) -> None:
    state, _ = running
    log = state.log("vellum")
    with log.open("ab") as file:
        file.truncate(LOG_LIMIT + 1)
    older = log.with_suffix(".log.1")
    wait_for(older.exists)
    wait_for(lambda: log.stat().st_size < LOG_LIMIT)
    assert "runs in" in older.read_text(errors="replace")
    assert start.stop(state)


def test_a_runtime_folder_of_somebody_else_is_not_spoken_to(running: tuple[State, int], folder: Path) -> None:
    state, _ = running
    state.runtime.chmod(0o755)
    code, output = vellum(folder, "status")
    assert (code, "VEL401" in output, "set XDG_RUNTIME_DIR to" in output) == (1, True, True)
    state.runtime.chmod(0o700)
    assert vellum(folder, "status")[0] == NOT_READY


def test_a_folder_that_waits_below_tmp_under_our_name_gets_no_word(folder: Path) -> None:
    """Nothing runs here; who owns the folder could play the platform to us and read what we apply."""
    state = State.open(folder / "state")
    state.runtime.mkdir(mode=0o755)
    with pytest.raises(LaptopError, match="VEL401: the folder of the sockets can be read by others") as error:
        Client(state).ask("ping")
    assert error.value.where == str(state.runtime)
    state.runtime.rmdir()
    with pytest.raises(LaptopError, match="VEL406: the platform is not running"):
        Client(state).ask("ping")


TRACE = """\
Traceback (most recent call last):
  File "x.py", line 1, in <module>
    open("y").write("z")
    ^^^^^^^^^^^^^^^^^^^^
OSError: [Errno 28] No space left on device: 'y'
"""


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (TRACE, "OSError: [Errno 28] No space left on device: 'y'"),
        (TRACE + "Exception ignored in: <x>\n\n    ^^^^^^^^\n", "OSError: [Errno 28] No space left on device: 'y'"),
        ("2026 ERROR it has no room\n" + TRACE[:120], "2026 ERROR it has no room"),
        (TRACE[:115], 'open("y").write("z")'),
        ("begins\nbye\n-----\n", "bye"),
        ("\x1b[31mfatal: gone\x1b[0m\n^^^^\n", "fatal: gone"),
        ("    ^^^^\n", ""),
        ("", ""),
    ],
)
def test_the_last_message_is_a_line_that_means_something(tmp_path: Path, log: str, words: str) -> None:
    (tmp_path / "log").write_text(log)
    assert last_message(tmp_path / "log") == words


def test_the_last_message_is_of_this_start(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(TRACE + "begins again\n")
    assert last_message(tmp_path / "log", len(TRACE)) == "begins again"
