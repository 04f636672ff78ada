"""Damaged state files, control socket input, limits and signals give an error text soon."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.attack.conftest import Attacked
from tests.host.test_control import HOSTILE, asked
from tests.host.test_records import DAMAGES, PARSERS
from tests.platform.harness import Installation, new_installation, wait_for

from vellum.errors import VellumError
from vellum.host import records, start
from vellum.host.client import Client
from vellum.host.state import State
from vellum.laptop.folders import LAYOUT

pytestmark = [pytest.mark.attack, pytest.mark.timeout(180)]
SECONDS = 6.0
"""Seconds in which a command must end, also on a busy machine."""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    result = Path(tempfile.mkdtemp(prefix="vellum-test-"))
    (result / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(result / "run"))
    yield result
    shutil.rmtree(result)


def outcome(state: State) -> str:
    """Start and stop a supervisor; return the code of the error, or the notes that it began with."""
    notes: list[str] = []
    began = time.monotonic()
    try:
        start.start(state, "vellum.laptop.daemon", talk=notes.append)
    except VellumError as error:
        return error.code if error.fix else "no advice"
    else:
        start.stop(state)
    finally:
        assert time.monotonic() - began < SECONDS
    return "; ".join(notes)


def test_records(folder: Path, attacked: Attacked) -> None:
    """The supervisor writes all four records anew, each with every damage, and reports it."""
    state = State.open(folder / "state")
    assert outcome(state) == ""
    damages = list(DAMAGES.items())
    for number in range(0, len(damages), 2):
        # Two damages a round, which differ between records: a start is slow.
        for place, name in enumerate(PARSERS):
            damages[number + place % 2][1](state.root / name)
        said_of = outcome(state)
        assert all(f"{name} was damaged" in said_of for name in PARSERS), damages[number][0]
        assert records.damaged(state.root, PARSERS) == []
    tries = len(DAMAGES) // 2 * len(PARSERS)
    attacked("Damaged records", tries * ["a note, the record is written anew"])


def test_things_in_the_place_of_files(folder: Path, attacked: Attacked) -> None:
    count = 0
    state = State.open(folder / "state")
    assert outcome(state) == ""
    makers: list[Callable[[Path], Any]] = [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")]
    for name in (*PARSERS, "seed", "store.db", "store.lock", ".vellum"):
        path, kept = state.root / name, folder / "kept"
        for make in makers:
            if path.exists():
                path.rename(kept)
            make(path)
            with pytest.raises(VellumError, match=r"VEL418|VEL401"):
                State.open(state.root, LAYOUT)
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            if kept.exists():
                kept.rename(path)
            count += 1
    assert outcome(state) == ""
    attacked("Pipes, folders and devices in the place of files", count * ["VEL401 or VEL418"])


def test_the_store(folder: Path, attacked: Attacked) -> None:
    """A store that cannot be read is refused, and what is in it is not changed."""
    choose = random.Random(20261129)
    state = State.open(folder / "state")
    assert outcome(state) == ""
    good = state.store.read_bytes()

    def edited(body: str) -> None:
        state.store.write_bytes(good)
        with sqlite3.connect(state.store) as db:
            db.execute("UPDATE objects SET body=?", (body,))
        db.close()

    damages: dict[str, Callable[[], object]] = {
        "binary": lambda: state.store.write_bytes(os.urandom(20_000)),
        "null objects": lambda: edited("null"),
        "cut JSON": lambda: edited('{"a"'),
        "deep": lambda: edited("[" * 100_000),
        "wrong types": lambda: edited('{"apiVersion": [], "kind": {}, "metadata": 5}'),
    }
    for number in range(2):
        cut = choose.randrange(1, len(good))
        damages[f"cut at {number}"] = partial(state.store.write_bytes, good[:cut])
    for damage, make in damages.items():
        for beside in ("store.db-wal", "store.db-shm"):
            (state.root / beside).unlink(missing_ok=True)
        make()
        before = state.store.read_bytes()
        code = outcome(state)
        assert code == "VEL302", (damage, code)
        assert state.store.read_bytes() == before or damage.startswith("cut at"), damage
    attacked("Damaged stores", len(damages) * ["VEL302"])


def test_the_seed(folder: Path, attacked: Attacked) -> None:
    state = State.open(folder / "state")
    assert outcome(state) == ""
    seed = state.root / "seed"
    good, bad = seed.read_bytes(), [b"", os.urandom(31), b"x" * 10**6]
    for content in bad:
        seed.write_bytes(content)
        assert outcome(state) == "VEL402"
    seed.write_bytes(good)
    assert outcome(state) == ""
    attacked("Damaged seeds", len(bad) * ["VEL402"])


def test_the_socket(platform: Installation, attacked: Attacked) -> None:
    choose, state = random.Random(20261129), State(platform.state)
    words = [
        "apply",
        "delete",
        "list",
        "edit",
        "events",
        "processes",
        "record",
        "remove",
        "rotate",
        "troubles",
        "nothing",
        None,
    ]
    values: list[Any] = [
        None,
        [],
        {},
        5,
        "x",
        -1,
        [[]],
        [["v1", "Secret"]],
        {"metadata": None},
        [None],
        True,
        "x" * 5000,
    ]
    names = [
        "manifests",
        "namespace",
        "name",
        "kind",
        "kinds",
        "manifest",
        "reason",
        "message",
        "generation",
        "overlap",
    ]
    lines = list(HOSTILE.values())
    for _ in range(300):
        request = {"op": choose.choice(words)}
        request |= {name: choose.choice(values) for name in choose.sample(names, choose.randrange(4))}
        lines.append(json.dumps(request).encode())
    before = platform.status()["objects"]
    for line in lines:
        assert set(asked(state, line)) in ({"ok"}, {"error"}), line[:200]
    after = platform.status()["objects"]
    assert [obj["spec"] for obj in after] == [obj["spec"] for obj in before]
    attacked("Lines for the control socket", len(lines) * ["one answer or one error, nothing changed"])

    idle = []
    for _ in range(100):
        idle.append(socket.socket(socket.AF_UNIX))
        idle[-1].connect(str(state.socket))
    for clients in (8, 32, 64):
        with ThreadPoolExecutor(clients) as pool:
            done = sum(pool.map(lambda _: sum(bool(Client(state).ask("ping")) for _ in range(10)), range(clients)))
        assert done == 10 * clients
    for connection in idle:
        connection.close()
    attacked("Pings beside 100 idle connections", 10 * (8 + 32 + 64) * ["answered"])


@pytest.mark.parametrize("sign", [signal.SIGSTOP, signal.SIGKILL], ids=["SIGSTOP", "SIGKILL"])
def test_signals(platform: Installation, attacked: Attacked, sign: signal.Signals) -> None:
    """Signal all services at once: each is shown as not ready in time, and comes back by itself."""
    wait_for(lambda: platform.status()["ready"])
    client = Client(State(platform.state))
    before = {process["name"]: process for process in client.ask("processes")}
    began, seen, back = time.monotonic(), dict[str, float](), dict[str, float]()
    for process in before.values():
        os.kill(process["pid"], sign)

    def all_back() -> bool:
        after = time.monotonic() - began
        for now in client.ask("processes"):
            again = now["restarts"] > before[now["name"]]["restarts"]
            if again or not now["ready"]:
                seen.setdefault(now["name"], after)
            if again and now["ready"]:
                back.setdefault(now["name"], after)
        return back.keys() == before.keys()

    wait_for(all_back, 90)
    wait_for(lambda: platform.status()["ready"])
    assert max(seen.values()) < 8
    attacked(f"{sign.name} of every process at once", len(before) * ["not ready within 8 s, then back"])


def test_the_supervisor_and_another_seed(platform: Installation, attacked: Attacked) -> None:
    """Commands report a stopped supervisor in time, and `down` resumes it; after SIGKILL `up` restarts everything.

    With another seed text, data and exit code agree. Restoring the seed restores everything.
    """
    os.kill(platform.supervisor(), signal.SIGSTOP)
    at = time.monotonic()
    done = platform.run("status", check=False)
    assert (done.returncode, "VEL421" in done.stderr, time.monotonic() - at < 5) == (1, True, True)
    at = time.monotonic()
    done = platform.run("down")
    assert ("was stopped by a signal" in done.stderr, time.monotonic() - at < 15) == (True, True)
    seed = platform.state / "seed"
    good = seed.read_bytes()
    seed.write_bytes(os.urandom(32))
    done = platform.run("up", check=False)
    assert (done.returncode, "VEL410" in done.stderr) == (1, True)
    done = platform.run("status", check=False)
    assert (done.returncode, "team-a: not ready: WrongSeed: " in done.stdout) == (3, True)
    assert "team-a: ready" not in done.stdout
    status = platform.status()
    assert (status["ready"], "WrongSeed" in json.dumps(status["objects"])) == (False, True)
    os.kill(platform.supervisor(), signal.SIGKILL)
    seed.write_bytes(good)
    platform.run("up")
    assert platform.status()["ready"]
    attacked("SIGSTOP and SIGKILL of the supervisor", 2 * ["reported, then all is back"])
    attacked("Another seed", ["VEL410, not ready, nothing rotated"])


def test_two_installations_at_once(attacked: Attacked) -> None:
    """They request the same ports at the same time. Each gets its own ports, and nothing starts twice."""
    with contextmanager(new_installation)() as item, contextmanager(new_installation)() as other:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda installation: installation.up(team_a="{inference: disabled}"), (item, other)))
        for installation in (item, other):
            assert installation.status()["ready"]
            assert [name for name, process in installation.processes().items() if process["restarts"]] == []
        ports = [set(json.loads((each.state / "ports.json").read_text()).values()) for each in (item, other)]
        assert not ports[0] & ports[1]
    attacked("Installations that start at once", 2 * ["ready, no restart, ports of its own"])
