"""All processes that a job or a service starts end with it, also after two forks, setsid or a new name."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.host.servers import ROOT, Supervised, alive, wait_for

from vellum.host import launch
from vellum.host.child import Child
from vellum.model.process import Process

STRAY = """
import ctypes, os, signal, sys, time
mode, out = sys.argv[1], sys.argv[2]
def detach(times):
    for _ in range(times):
        if os.fork():
            if _ == 0:
                return False
            os._exit(0)
        os.setsid()
    return True
if detach(3 if mode == "triple" else 2):
    if mode == "stubborn":
        for sign in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(sign, signal.SIG_IGN)
    with open(out + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(out + ".new", out)
    os.chdir("/")
    if mode == "closed":
        os.closerange(0, 1024)
    if mode == "renamed":
        ctypes.CDLL(None).prctl(15, b"kworker/0:1", 0, 0, 0)
        os.execv(sys.executable, ["[kworker/0:1]", "-ISc", "import time; time.sleep(600)"])
    if mode == "bare":
        os.execve(sys.executable, ["bare", "-ISc", "import time; time.sleep(600)"], {})
    if mode == "forking":
        while True:
            if os.fork():
                os._exit(0)
            os.setsid()
            time.sleep(0.001)
            if time.time() % 1 < 0.01:
                with open(out, "w") as file:
                    file.write(str(os.getpid()))
    time.sleep(600)
while not os.path.exists(out):
    time.sleep(0.01)
if len(sys.argv) > 3:
    time.sleep(600)
"""
MODES = ("double", "triple", "stubborn", "closed", "renamed", "bare")
BOUND = 20.0
"""Seconds until no process is left. The documents say 5, which a machine whose cores are all busy does not keep."""


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    yield (made := Job(tmp_path))
    made.clean()


class Job:
    """A program that leaves a stray behind, run as the supervisor runs jobs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.script, self.out = folder, folder / "stray.py", folder / "pid"
        self.script.write_text(STRAY)

    def process(self, mode: str, *stays: str, once: bool = True) -> Process:
        argv = (sys.executable, "-I", "-S", str(self.script), mode, str(self.out), *stays)
        return Process("job", argv, self.folder / "work", None, once=once, grace_seconds=0.5)

    def stray(self) -> int:
        wait_for(self.out.exists)
        return int(self.out.read_text())

    def clean(self) -> None:
        if self.out.exists() and self.out.read_text():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(self.out.read_text()), signal.SIGKILL)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_outlives_a_job_that_ends_by_itself(job: Job, mode: str) -> None:
    child = Child(job.process(mode), job.folder / "log", "mark", lambda _: None)
    child._popen.wait(20)
    assert child.end(0) == "exited with 0"
    assert not alive(job.stray())


@pytest.mark.parametrize("mode", MODES)
def test_nothing_outlives_a_job_that_is_ended(job: Job, mode: str) -> None:
    child = Child(job.process(mode, "stays"), job.folder / "log", "mark", lambda _: None)
    stray = job.stray()
    assert alive(stray)
    began = time.monotonic()
    child.end(0.5)
    assert not alive(stray)
    assert time.monotonic() - began < BOUND


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "bare"])
def test_nothing_outlives_a_job_whose_launcher_is_killed(job: Job, mode: str) -> None:
    """Found by the inherited variable; a process that emptied its environment is not found."""
    child = Child(job.process(mode, "stays"), job.folder / "log", f"mark.{mode}", lambda _: None)
    stray, program = job.stray(), launch.descendants(child.pid)
    os.kill(child.pid, signal.SIGKILL)
    assert child.end(0.5) == "killed by signal 9"
    wait_for(lambda: not any(map(alive, [stray, *program])), BOUND)


@pytest.mark.parametrize("mode", ["double", "stubborn", "renamed"])
def test_nothing_outlives_a_service_that_is_ended(job: Job, mode: str) -> None:
    """A notebook's terminal may start any program; no launcher stays as its parent."""
    child = Child(job.process(mode, "stays", once=False), job.folder / "log", f"of.{mode}", lambda _: None)
    stray = job.stray()
    child.end(0.5)
    assert not alive(stray)


def test_a_stray_that_forks_without_end_is_caught(job: Job) -> None:
    """Each generation lives for a millisecond; all of them descend from the launcher."""
    child = Child(job.process("forking"), job.folder / "log", "mark", lambda _: None)
    child._popen.wait(20)
    child.end(0)
    last = job.out.read_text()
    time.sleep(1.2)
    assert job.out.read_text() == last


def test_a_job_ends_as_its_program_did(job: Job) -> None:
    for code, text in (("sys.exit(7)", "exited with 7"), ("os.kill(os.getpid(), 11)", "killed by signal 11")):
        process = Process("job", (sys.executable, "-ISc", f"import os, sys; {code}"), job.folder, None, once=True)
        child = Child(process, job.folder / "log", "mark", lambda _: None)
        child._popen.wait(20)
        assert child.end(0) == text


def test_a_program_has_its_grace_and_no_more(job: Job) -> None:
    """SIGTERM reaches the program; a program that ignores it is killed with all its descendants."""
    code = """
import signal, sys, time
def asked(*_):
    print("asked", flush=True)
    if {ends}: sys.exit(0)
signal.signal(15, asked)
print("on", flush=True)
while True: time.sleep(9)
"""
    for ends, ended in ((True, "exited with 0"), (False, "killed by signal 9")):
        argv, log = (sys.executable, "-ISc", code.format(ends=ends)), job.folder / f"log{ends}"
        process = Process("job", argv, job.folder, None, once=True, grace_seconds=0.5)
        child = Child(process, log, "mark", lambda _: None)
        wait_for(lambda: log.exists() and "on" in log.read_text())  # noqa: B023  # called immediately
        assert child.end(0.5) == ended
        assert "asked" in log.read_text()


KILLED = """
import sys, time
from pathlib import Path
from tests.host.servers import Supervised
from tests.host.test_family import Job
folder = Path(sys.argv[1])
job, world = Job(folder), Supervised(folder)
world.supervisor.ensure(job.process(sys.argv[2], "stays", once=sys.argv[3] == "once"))
job.stray()
print(world.pid("job"), world.supervisor.reaper_pid, flush=True)
time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "kind", "also"),
    [
        ("double", "once", ""),
        ("bare", "once", ""),
        ("stubborn", "once", "launcher"),
        ("triple", "once", "launcher"),
        ("renamed", "serves", ""),
        ("double", "once", "reaper"),
    ],
)
def test_nothing_outlives_a_killed_supervisor(tmp_path: Path, mode: str, kind: str, also: str) -> None:
    """SIGKILL of the supervisor, and of the launcher or the reaper with it; the next start ends what both missed."""
    argv = [sys.executable, "-c", KILLED, str(tmp_path), mode, kind]
    supervisor = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout
    launcher, reaper = map(int, supervisor.stdout.readline().split())
    stray = int((tmp_path / "pid").read_text())
    assert alive(stray)
    if also:
        os.kill({"launcher": launcher, "reaper": reaper}[also], signal.SIGKILL)
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    if also == "reaper":
        Supervised(tmp_path).supervisor.close()
    wait_for(lambda: not alive(stray) and not alive(launcher), 12)
