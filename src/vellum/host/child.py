"""One running child. It is recorded before it runs, waited for without polling, and ended with all that it started."""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from vellum.connect.installation import PART
from vellum.host.files import private_folder, write
from vellum.host.reaper import FAMILY, end_family
from vellum.model.process import Probe, Process

KEEPER_SECONDS = 1.0
"""Seconds that a job's launcher needs after the grace period to kill the remaining processes."""
LOG_LIMIT = 10 * 2**20
PASSED = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH",
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy",
})  # fmt: skip
"""The user's variables that a program gets. This is an allow list, because keys can have any name."""
FAMILIES = ("LC_", "DYLD_", "OMP_", "CUDA_", "SSL_CERT_")
"""Only these whole prefixes count: HOME alone would let HOMEBREW_GITHUB_API_TOKEN in, LANG LANGCHAIN_API_KEY."""
LOOPBACK = "127.0.0.1,localhost"
UNWATCHED_SECONDS = 0.05
"""Seconds between looks at a child where the kernel cannot report its end (no pidfd: macOS)."""


class Bell:
    """Wakes one sleeping thread; any other thread may ring it."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def ring(self) -> None:
        """End the current wait, or the next one."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b"!")

    def wait(self, seconds: float, other: int = -1) -> bool:
        """Sleep until rung or until the other descriptor, if any, is readable; return True for the latter."""
        ready = _readable(seconds, self._read, *([other] if other >= 0 else []))
        if self._read in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._read, 4096)
        return other in ready

    def close(self) -> None:
        """Close both ends; no thread may ring any more."""
        os.close(self._read)
        os.close(self._write)


def _readable(seconds: float, *descriptors: int) -> set[int]:
    # Not select: it fails above descriptor 1023.
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(max(0.0, seconds) * 1000)}


class Child:
    """A started process and its group; ``code`` is its exit code once it has ended, negative for a signal."""

    def __init__(self, process: Process, log: Path, family: str, record: Callable[[int], None]) -> None:
        """Start the process.

        Args:
            process: what to run.
            log: the file that takes its output.
            family: the mark that all its descendants inherit in their environment.
            record: stores the pid; the program begins when this has returned.

        Raises:
            OSError: it cannot be started or recorded; then nothing runs.
        """
        private_folder(process.directory)
        for path, content in process.files.items():
            write(path, content)
        private_folder(log.parent)
        rotate(log)
        launcher = str(Path(__file__).with_name("launch.py"))
        # A job leaves no processes behind, as a pod does not. A service is killed with its process group.
        keep = [f"--keep={process.grace_seconds}"] if process.once else []
        given = [f"--env-from={folder}" for folder in process.env_from]
        argv = [sys.executable, "-I", "-S", launcher, str(os.getpid()), *keep, *given, *process.argv]
        self._process, self._log, self._family, self._began = process, log, family, time.monotonic()
        if process.attempt:
            self._note("begins")
        with os.fdopen(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), "ab") as output:
            self._popen = subprocess.Popen(
                argv,
                cwd=process.directory,
                env={**environment(process), FAMILY: family},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                bufsize=0,
            )
        self.pid, self._descriptor, self.code = self._popen.pid, -1, 0
        try:
            self._descriptor = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else -1
            record(self.pid)
            self._begin()
        except BaseException:
            self.end(0)
            raise

    def _begin(self) -> None:
        assert self._popen.stdin is not None
        with self._popen.stdin as launcher, contextlib.suppress(BrokenPipeError):
            launcher.write(b"!")

    def exits_within(self, seconds: float, bell: Bell) -> bool:
        """Return whether it has ended; wait up to ``seconds`` for that, or until the bell rings."""
        if self._descriptor >= 0:
            return bell.wait(seconds, self._descriptor)
        deadline = time.monotonic() + seconds
        while not self._gone() and (left := deadline - time.monotonic()) > 0:
            bell.wait(min(left, UNWATCHED_SECONDS))
        return self._gone()

    def _gone(self, seconds: float = 0) -> bool:
        if self._descriptor >= 0:
            return bool(_readable(seconds, self._descriptor))
        time.sleep(min(seconds, UNWATCHED_SECONDS))
        return self._popen.poll() is not None

    def end(self, grace_seconds: float) -> str:
        """Send SIGTERM to the process, after the grace period SIGKILL to its group; return how it ended, in words."""
        if not self._gone():
            os.kill(self.pid, signal.SIGTERM)
            # A process that a signal stopped must continue before it can end in order.
            os.kill(self.pid, signal.SIGCONT)
            deadline = time.monotonic() + grace_seconds + (KEEPER_SECONDS if self._process.once else 0)
            while (left := deadline - time.monotonic()) > 0 and not self._gone(left):
                pass
        # Before it is reaped: until then no other process can get its number, which is also its group's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.code = code = self._popen.wait()
        end_family(self._family)
        if self._popen.stdin is not None:
            self._popen.stdin.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        ended = f"exited with {code}" if code >= 0 else f"killed by signal {-code}"
        if code:
            self._note(f"{ended} after {time.monotonic() - self._began:.1f} s")
        return ended

    def _note(self, what: str) -> None:
        """Write a line into the log that separates the tries of a job."""
        if not self._process.title:
            return
        # A full disk must not stop a job from ending.
        with (
            contextlib.suppress(OSError),
            os.fdopen(os.open(self._log, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600), "r+b", buffering=0) as log,
        ):
            size = log.seek(0, os.SEEK_END)
            cut = size > 0 and os.pread(log.fileno(), 1, size - 1) != b"\n"
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            log.write(f"{chr(10) if cut else ''}--- {self._process.title}: {what}, {now} ---\n".encode())


def environment(process: Process) -> dict[str, str]:
    """Return the environment of the process: the few variables that pass, and those that it asks for."""
    inherited = {name: value for name, value in os.environ.items() if name in PASSED or name.startswith(FAMILIES)}
    # The parts talk to each other on loopback, which a company's proxy cannot reach.
    for name in ("no_proxy", "NO_PROXY"):
        inherited[name] = ",".join(filter(None, (os.environ.get(name), LOOPBACK)))
    if os.environ.get("VELLUM_NO_DEATH_SIGNAL") == "1":
        inherited["VELLUM_NO_DEATH_SIGNAL"] = "1"
    return {**inherited, "PYTHONUNBUFFERED": "1", PART: process.name, **process.env}


def rotate(log: Path) -> None:
    """Keep one older file of a log that is too long. Copy and truncate it, since its process keeps writing into it."""
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        write(log.with_suffix(".log.1"), log.read_bytes())
        os.truncate(log, 0)


SILENCE = 0
INCOMPLETE = -1
"""The status is right, but the body lacks the text that the probe requires."""
_MOST_BYTES = 1 << 20


def wrong_with(probe: Probe, seconds: float) -> int | None:
    """Send the requests of a probe; return None if all answers are right.

    Otherwise return the HTTP status of the first wrong answer, INCOMPLETE, or SILENCE.
    """
    status = answer(probe, seconds)
    if status not in probe.ok:
        return status
    return wrong_with(probe.also, seconds) if probe.also else None


def answer(probe: Probe, seconds: float) -> int:
    """Send one request and return the HTTP status; SILENCE if no answer comes in time, or one that is not HTTP."""
    connection = _connection(probe, seconds)
    try:
        connection.request("GET", probe.path)
        answered = connection.getresponse()
        body = answered.read(_MOST_BYTES) if probe.says else b""
    except (OSError, http.client.HTTPException):
        return SILENCE
    finally:
        connection.close()
    return INCOMPLETE if answered.status in probe.ok and probe.says.encode() not in body else answered.status


def _connection(probe: Probe, seconds: float) -> http.client.HTTPConnection:
    if not probe.tls:
        return http.client.HTTPConnection("127.0.0.1", probe.port, timeout=seconds)
    import ssl

    # The probe sends no secret, and checks only that a server answers.
    context = ssl._create_unverified_context()  # noqa: S323, SLF001
    return http.client.HTTPSConnection("127.0.0.1", probe.port, timeout=seconds, context=context)
