"""A team's corner for tests: a Qdrant, sometimes a bucket, a mounted binding, and the worker as the CLI starts it."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

KEY = "the-writing-key"
S3_KEYS = ("VLMTESTACCESSKEY0000", "a-secret-key-of-forty-characters-at-least")
Event = dict[str, Any]
OBEDIENT = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
"""A prefix for commands that makes file modes apply to root too."""


def free_port() -> int:
    """Return a loopback port below the range that the kernel hands out by itself."""
    for port in range(21000 + os.getpid() % 5000, 32000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


def weed_argv(folder: Path, ports: dict[str, int], *options: str) -> list[str]:
    """Return the command line of a SeaweedFS with its data in the folder; each gRPC port is the next port."""
    return [
        str(Path(sys.executable).with_name("weed")),
        "-logtostderr=true",
        "mini",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-webdav=false",
        "-admin.ui=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        f"-filer.localSocket={folder / 'f.sock'}",
        f"-s3.localSocket={folder / 's.sock'}",
        *options,
        *(f"-{part}.port={port}" for part, port in ports.items()),
        *(f"-{part}.port.grpc={port + 1}" for part, port in ports.items()),
    ]


class Team:
    """One team: its folder, its processes, its binding."""

    def __init__(self, root: Path) -> None:
        self.root, self.binding, self.work = root, root / "binding", root / "work"
        self.port, self.python = free_port(), sys.executable
        self.binding.mkdir()
        self._qdrant: subprocess.Popen[bytes] | None = None
        self._weed: subprocess.Popen[bytes] | None = None
        self._mark: IO[bytes] | None = None
        self.bind("QDRANT_API_KEY", KEY)
        self.bind("QDRANT_URL", f"http://127.0.0.1:{self.port}")

    def bind(self, name: str, value: str) -> None:
        """Write a key as a kubelet does: whole, by a rename."""
        (self.binding / ".new").write_text(value)
        (self.binding / ".new").rename(self.binding / name)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "VELLUM_BINDING_DIR": str(self.binding)}

    def start_qdrant(self) -> None:
        own = {
            "VELLUM_QDRANT_DIR": str(self.root / "qdrant"),
            "VELLUM_QDRANT_PORT": str(self.port),
            "QDRANT__SERVICE__API_KEY": KEY,
        }
        argv = [sys.executable, "-m", "vellum.workloads.qdrant"]
        self._qdrant = subprocess.Popen(argv, env={**os.environ, **own})
        answers(f"http://127.0.0.1:{self.port}/readyz", self._qdrant)

    def kill_qdrant(self) -> None:
        if self._qdrant is not None:
            self._qdrant.kill()
            self._qdrant.wait()

    def start_bucket(self) -> None:
        """Start SeaweedFS with one identity and make the team's bucket."""
        ports = {
            name: free_port() + 100 + 3 * number
            for number, name in enumerate(("s3", "filer", "master", "volume", "admin"))
        }
        config = self.root / "s3.json"
        access, secret = S3_KEYS
        identity = {"name": "team", "credentials": [{"accessKey": access, "secretKey": secret}], "actions": ["Admin"]}
        config.write_text(json.dumps({"identities": [identity]}))
        (self.root / "weed").mkdir()
        with (self.root / "weed.log").open("wb") as log:
            self._weed = subprocess.Popen(
                weed_argv(self.root / "weed", ports, "-master.volumeSizeLimitMB=64", f"-s3.config={config}"),
                stdout=log,
                stderr=log,
                env={**os.environ, "HOME": str(self.root)},
            )
        answers(f"http://127.0.0.1:{ports['s3']}/", self._weed)
        self.bind("AWS_ACCESS_KEY_ID", access)
        self.bind("AWS_SECRET_ACCESS_KEY", secret)
        self.bind("AWS_ENDPOINT_URL", f"http://127.0.0.1:{ports['s3']}")
        self.bind("AWS_REGION", "us-east-1")
        self.bind("VELLUM_BUCKET", "team-bucket")
        self.s3().create_bucket(Bucket="team-bucket")

    def s3(self) -> Any:
        from vellum.connect.sources import read_folder

        return read_folder(self.binding).s3()

    def stop(self) -> None:
        if self._mark is not None:
            self._mark.close()
        for process in (self._qdrant, self._weed):
            if process is not None:
                process.kill()
                process.wait()

    def worker(self, source: Path, *options: str, stdin: int | None = None) -> subprocess.Popen[bytes]:
        argv = [
            *OBEDIENT,
            self.python,
            "-m",
            "vellum.workloads.ingest.run",
            "--source",
            str(source),
            "--work",
            str(self.work),
        ]
        return subprocess.Popen([*argv, *options], env=self.environment, stdin=stdin, stdout=subprocess.PIPE)

    def command(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the command line on a state directory whose only team this is."""
        state = self.root / "state"
        binding = state / "secrets" / "team" / "vellum-binding"
        binding.parent.mkdir(parents=True)
        binding.symlink_to(self.binding)
        for name in ("AWS_ACCESS_KEY_ID", "VELLUM_BUCKET"):
            self.bind(name, "not used")
        (state / "teams.json").write_text(json.dumps({"default/team-a": {"namespace": "team"}}))
        # A running platform holds this lock.
        self._mark = (state / ".vellum").open("wb")
        fcntl.flock(self._mark, fcntl.LOCK_EX)
        argv = [*OBEDIENT, str(Path(sys.executable).with_name("vellum")), *arguments]
        return subprocess.Popen(
            argv, env={**os.environ, "VELLUM_STATE": str(state)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def ingest(self, source: Path, *options: str) -> list[Event]:
        """Run the worker to its end and return its events."""
        out, _ = self.worker(source, *options).communicate()
        return [json.loads(line) for line in out.splitlines()]

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"api-key": KEY, "content-type": "application/json"}
        content = None if body is None else json.dumps(body)
        connection.request(method, f"/collections/passages{path}", content, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    def points(self, *, visible: bool = False) -> list[Event]:
        """Return the payloads of all points, or of those that queries may see."""
        body: dict[str, Any] = {"limit": 100_000, "with_vector": False}
        if visible:
            body["filter"] = {"must_not": [{"is_empty": {"key": "committed"}}]}
        status, answer = self.call("POST", "/points/scroll", body)
        return (
            [] if status == 404 else [{"id": point["id"], **point["payload"]} for point in answer["result"]["points"]]
        )

    def counts(self) -> dict[str, int]:
        """Return the visible passages by document."""
        documents = [point["document"] for point in self.points(visible=True)]
        return {name: documents.count(name) for name in sorted(set(documents))}


def answers(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until something answers there, with whatever status."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the process behind {url} has ended")


def team_in(root: Path) -> Iterator[Team]:
    """Yield a team with a running Qdrant and stop everything after."""
    team = Team(root)
    try:
        team.start_qdrant()
        yield team
    finally:
        team.stop()
        shutil.rmtree(root, ignore_errors=True)


def files_of(events: Sequence[Event]) -> dict[str, tuple[str, int, int]]:
    """Return document to (verdict, pages, page errors)."""
    return {
        event["document"]: (event["verdict"], event["pages"], event["page_errors"])
        for event in events
        if event["event"] == "file"
    }


def done_of(events: Sequence[Event]) -> Event:
    """Return the last event without the fields that differ from run to run."""
    last = dict(events[-1])
    assert last.pop("event") == "done", last
    return {name: value for name, value in last.items() if name not in ("run", "seconds", "pages_per_s")}
