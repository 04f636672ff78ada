"""Damaged state files, control socket input, limits and signals give an error text soon.

Each test prints how many tries of its class it made: `make attack` with `-s`.
"""

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
from tests.laptop.test_control import HOSTILE, asked
from tests.laptop.test_records import DAMAGES
from tests.platform.door import FULL, Installation, new_installation, wait_for

from vellum.errors import VellumError
from vellum.laptop import records, start
from vellum.laptop.client import Client
from vellum.laptop.state import State

pytestmark = [pytest.mark.attack, pytest.mark.timeout(180)]
SECONDS = 6.0
"""Seconds in which a command must end, also on a busy machine."""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    found = Path(tempfile.mkdtemp(prefix="vellum-test-"))
    (found / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(found / "run"))
    yield found
    shutil.rmtree(found)


@pytest.fixture(scope="module")
def full() -> Iterator[Installation]:
    """Return a running installation with one team that has everything."""
    for installation in new_installation():
        installation.up(team_a=FULL)
        yield installation


def said(what: str, count: int, began: float) -> None:
    print(f"\nattack: {what}: {count} tries, {time.monotonic() - began:.0f} s")  # noqa: T201  # a table's row


def outcome(state: State) -> str:
    """Start and stop a supervisor; return the code of the error, or the notes that it began with."""
    notes: list[str] = []
    began = time.monotonic()
    try:
        start.start(state, talk=notes.append)
    except VellumError as error:
        return error.code if error.fix else "no advice"
    else:
        start.stop(state)
    finally:
        assert time.monotonic() - began < SECONDS
    return "; ".join(notes)


def test_records(folder: Path) -> None:
    """The supervisor writes all four records anew, each with every damage, and reports it."""
    began = time.monotonic()
    state = State.open(folder / "state")
    assert outcome(state) == ""
    damages = list(DAMAGES.items())
    for number in range(0, len(damages), 2):
        # Two damages a round, which differ between records: a start is slow.
        for place, name in enumerate(records.PARSERS):
            damages[number + place % 2][1](state.root / name)
        said_of = outcome(state)
        assert all(f"{name} was damaged" in said_of for name in records.PARSERS), damages[number][0]
        assert records.damaged(state.root) == []
    said("damaged records", len(DAMAGES) // 2 * len(records.PARSERS), began)


def test_things_in_the_place_of_files(folder: Path) -> None:
    began, count = time.monotonic(), 0
    state = State.open(folder / "state")
    assert outcome(state) == ""
    makers: list[Callable[[Path], Any]] = [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")]
    for name in (*records.PARSERS, "seed", "store.db", "store.lock", ".vellum"):
        path, kept = state.root / name, folder / "kept"
        for make in makers:
            if path.exists():
                path.rename(kept)
            make(path)
            with pytest.raises(VellumError, match=r"VEL418|VEL401"):
                State.open(state.root)
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            if kept.exists():
                kept.rename(path)
            count += 1
    assert outcome(state) == ""
    said("pipes, folders and devices in the place of files", count, began)


def test_the_store(folder: Path) -> None:
    """A store that cannot be read is refused, and what is in it is not changed."""
    began, choose = time.monotonic(), random.Random(20261129)
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
    said("damaged stores", len(damages), began)


def test_the_seed(folder: Path) -> None:
    began, state = time.monotonic(), State.open(folder / "state")
    assert outcome(state) == ""
    seed = state.root / "seed"
    good, bad = seed.read_bytes(), [b"", os.urandom(31), b"x" * 10**6]
    for content in bad:
        seed.write_bytes(content)
        assert outcome(state) == "VEL402"
    seed.write_bytes(good)
    assert outcome(state) == ""
    said("damaged seeds", len(bad), began)


def test_the_socket(full: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    began, choose = time.monotonic(), random.Random(20261129)
    state = State(full.state)
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
    before = full.status()["objects"]
    for line in lines:
        assert set(asked(state, line)) in ({"ok"}, {"error"}), line[:200]
    after = full.status()["objects"]
    assert [obj["spec"] for obj in after] == [obj["spec"] for obj in before]
    said("lines for the control socket", len(lines), began)

    began, idle = time.monotonic(), []
    for _ in range(100):
        idle.append(socket.socket(socket.AF_UNIX))
        idle[-1].connect(str(state.socket))
    for clients in (8, 32, 64):
        with ThreadPoolExecutor(clients) as pool:
            done = sum(
                pool.map(lambda _: sum(bool(Client(state).ask("ping")) for _ in range(10)), range(clients))
            )
        assert done == 10 * clients
    for connection in idle:
        connection.close()
    said("pings beside 100 idle connections", 10 * (8 + 32 + 64), began)


def back(full: Installation, before: dict[str, Any]) -> bool:
    now = full.processes()[before["name"]]
    return bool(now["restarts"] > before["restarts"] and now["ready"])


def seen(full: Installation, before: dict[str, Any]) -> bool:
    now = full.processes()[before["name"]]
    return bool(now["restarts"] > before["restarts"] or not now["ready"])


@pytest.mark.parametrize("sign", [signal.SIGSTOP, signal.SIGKILL], ids=["SIGSTOP", "SIGKILL"])
def test_signals(full: Installation, sign: signal.Signals) -> None:
    """Stop each service alone: processes and claim show it as not ready in time, and it comes back by itself."""
    began, worst_seen, worst_back = time.monotonic(), 0.0, 0.0
    wait_for(lambda: full.status()["ready"])
    names = sorted(full.processes())
    for name in names:
        before = full.processes()[name]
        at = time.monotonic()
        os.kill(before["pid"], sign)
        wait_for(partial(seen, full, before))
        worst_seen = max(worst_seen, time.monotonic() - at)
        wait_for(partial(back, full, before))
        worst_back = max(worst_back, time.monotonic() - at)
    wait_for(lambda: full.status()["ready"])
    assert worst_seen < 8
    assert worst_back < 30
    said(
        f"{sign.name} of each process (seen in {worst_seen:.1f} s, back in {worst_back:.1f} s at worst)",
        len(names),
        began,
    )


def test_the_supervisor(full: Installation) -> None:
    """Commands report a stopped supervisor in time, and `down` resumes it; after SIGKILL `up` restarts everything."""
    began = time.monotonic()
    pid = full.supervisor()
    os.kill(pid, signal.SIGSTOP)
    at = time.monotonic()
    done = full.run("status", check=False)
    assert (done.returncode, "VEL421" in done.stderr, time.monotonic() - at < 5) == (1, True, True)
    at = time.monotonic()
    done = full.run("down")
    assert ("was stopped by a signal" in done.stderr, time.monotonic() - at < 15) == (True, True)
    full.run("up")
    os.kill(full.supervisor(), signal.SIGKILL)
    full.run("up")
    assert full.status()["ready"]
    said("signals to the supervisor", 2, began)


def test_another_seed(full: Installation) -> None:
    """Text, data and exit code agree, and restoring the seed restores everything."""
    began = time.monotonic()
    full.run("down")
    seed = full.state / "seed"
    good = seed.read_bytes()
    seed.write_bytes(os.urandom(32))
    done = full.run("up", check=False)
    assert (done.returncode, "VEL410" in done.stderr) == (1, True)
    done = full.run("status", check=False)
    assert (done.returncode, "team-a: not ready: WrongSeed: " in done.stdout) == (3, True)
    assert "team-a: ready" not in done.stdout
    found = full.status()
    assert (found["ready"], "WrongSeed" in json.dumps(found["objects"])) == (False, True)
    full.run("down")
    seed.write_bytes(good)
    full.run("up")
    assert full.status()["ready"]
    said("another seed", 1, began)


def test_two_installations_at_once() -> None:
    """They request the same ports at the same time. Each gets its own ports, and nothing starts twice."""
    began = time.monotonic()
    with contextmanager(new_installation)() as one, contextmanager(new_installation)() as other:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda installation: installation.up(team_a=FULL), (one, other)))
        for installation in (one, other):
            assert installation.status()["ready"]
            assert [name for name, process in installation.processes().items() if process["restarts"]] == []
        ports = [set(json.loads((each.state / "ports.json").read_text()).values()) for each in (one, other)]
        assert not ports[0] & ports[1]
    said("installations that start together", 2, began)
