"""Buckets and keys: the store becomes what the objects ask for, and only its own lists count."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ingest.services import free_port, weed_argv

from vellum.controlplane.store import SqliteStore
from vellum.kube.objects import Key, Obj, make
from vellum.laptop.seaweed_controller import FINALIZER, SeaweedController
from vellum.laptop.weed_commands import LISTS, Accounts, User, Wanted, commands, listed
from vellum.model.team import STORAGE_NAMESPACE
from vellum.objectstore.seaweed import API, STORE, KeyedBucket, Pair, tenant_objects

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = st.sampled_from(["a", "b", "c"])
USERS = st.dictionaries(
    NAMES,
    st.builds(
        User,
        st.dictionaries(st.sampled_from(["K1", "K2"]), st.sampled_from(["s1", "s2"])),
        st.frozensets(st.sampled_from(["Read:a", "Write:a", "Read:b", "List:b"])),
    ),
)
ACCOUNTS = st.builds(Accounts, st.dictionaries(NAMES, st.integers(0, 3)), USERS)


class Model:
    """A shell that does what ``weed shell`` does with our commands, on plain data."""

    def __init__(self, there: Accounts) -> None:
        self.buckets = dict(there.buckets)
        self.keys = {name: dict(user.keys) for name, user in there.users.items()}
        self.grants = {name: set(user.grants) for name, user in there.users.items()}

    def run(self, command: str) -> None:
        verb, *words = command.split()
        given = dict(zip(words[::2], words[1::2], strict=False))
        name = given.get("-name") or given.get("-user") or ""
        if verb == "s3.bucket.create":
            self.buckets[name] = 0
        elif verb == "s3.bucket.delete":
            del self.buckets[name]
        elif verb == "s3.bucket.quota":
            self.buckets[name] = int(given["-sizeMB"])
        else:
            self._configure(name, command)

    def _configure(self, user: str, command: str) -> None:
        words = command.split()
        given = {
            word: words[at + 1]
            for at, word in enumerate(words[:-1])
            if word in ("-access_key", "-secret_key", "-buckets", "-actions")
        }
        grants = {f"{action}:{given['-buckets']}" for action in given.get("-actions", "").split(",") if action}
        if "-delete" not in words:
            self.keys.setdefault(user, {})
            self.grants.setdefault(user, set()).update(grants)
            if "-access_key" in given:
                self.keys[user][given["-access_key"]] = given["-secret_key"]
        elif "-access_key" in given:
            del self.keys[user][given["-access_key"]]
        elif grants:
            self.grants[user] -= grants
        else:
            del self.keys[user], self.grants[user]

    @property
    def accounts(self) -> Accounts:
        return Accounts(
            self.buckets, {name: User(keys, frozenset(self.grants[name])) for name, keys in self.keys.items()}
        )


@given(ACCOUNTS, ACCOUNTS, st.frozensets(NAMES), st.frozensets(NAMES))
def test_the_commands_reach_the_wanted_state_and_change_no_other_user(
    wanted: Accounts, there: Accounts, ours: frozenset[str], doomed: frozenset[str]
) -> None:
    doomed -= wanted.buckets.keys()
    goal = Wanted(wanted, ours, doomed)
    model = Model(there)
    for command in commands(goal, there):
        model.run(command)
    after = model.accounts
    for name in ours:
        aim = wanted.users.get(name, User())
        assert after.users.get(name, User()) == (aim if aim.keys else User())
    assert {name: user for name, user in after.users.items() if name not in ours} == {
        name: user for name, user in there.users.items() if name not in ours
    }
    assert after.buckets.keys() == (there.buckets.keys() | wanted.buckets.keys()) - doomed
    assert all(after.buckets[name] == limit for name, limit in wanted.buckets.items() if limit)
    assert commands(goal, after) == [], "a second look changes nothing"


def test_a_shell_that_ended_early_is_not_believed() -> None:
    for output in ("", "  a\tsize:0\tquota:0\n", '\n{"name": "a"}', '\n{"identities": ['):
        with pytest.raises(ValueError, match="incomplete"):
            listed(output)


@pytest.mark.laptop
@pytest.mark.timeout(60)
def test_a_real_store_follows_every_change_and_its_lists_say_so(weed: Callable[[str], str]) -> None:
    steps = [
        Accounts({"one": 5, "two": 0}, {"u": User({"K1" * 10: "s" * 40}, frozenset({"Read:one", "Write:one"}))}),
        Accounts(
            {"one": 7, "two": 0}, {"u": User({"K1" * 10: "s" * 40, "K2" * 10: "t" * 40}, frozenset({"Read:one"}))}
        ),
        Accounts(
            {"one": 7},
            {"u": User({"K2" * 10: "t" * 40}, frozenset({"Read:one", "List:two"})), "v": User({"K3" * 10: "s" * 40})},
        ),
        Accounts({"one": 7}, {"v": User({"K3" * 10: "s" * 40})}),
    ]
    there = listed(weed("\n".join(LISTS)))
    before = there.users
    for wanted in steps:
        goal = Wanted(wanted, frozenset({"u", "v"}), frozenset({"two"}) - wanted.buckets.keys())
        there = listed(weed("\n".join([*commands(goal, there), *LISTS])))
        assert there == Accounts(wanted.buckets, {**before, **wanted.users})


@pytest.fixture
def weed(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Yield the shell of a SeaweedFS of the test's own."""
    program = str(Path(sys.executable).with_name("weed"))
    parts = ("s3", "filer", "master", "volume", "admin")
    base = free_port() + 200
    ports = {part: base + 2 * number for number, part in enumerate(parts)}
    argv = weed_argv(tmp_path, ports)
    addresses = [f"-{part}=127.0.0.1:{ports[part]}.{ports[part] + 1}" for part in ("master", "filer")]

    def shell(words: str) -> str:
        return subprocess.run(
            [program, "shell", *addresses], input=words + "\n", capture_output=True, text=True, timeout=30, check=False
        ).stdout

    with (tmp_path / "weed.log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, env={"HOME": str(tmp_path)})
    try:
        deadline = time.monotonic() + 30
        while "identities" not in shell("s3.configure"):
            assert time.monotonic() < deadline
        yield shell
    finally:
        process.kill()
        process.wait()


class World:
    """The controller on a store of objects, and a shell that the test answers for."""

    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(folder / "store.db", lambda: NOW)
        self.model, self.stubborn, self.broken = Model(Accounts()), False, ""
        self.poked = threading.Event()
        self.controller = SeaweedController(self.shell, lambda _: self.poked.set())
        self.store.ensure(make("v1", "Namespace", STORAGE_NAMESPACE))
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        self.store.ensure({**make(API, "Seaweed", STORE, STORAGE_NAMESPACE), "status": ready})

    def shell(self, words: str) -> str:
        if self.broken:
            return self.broken
        for command in words.splitlines():
            if (
                command.startswith("s3.bucket.quota.enforce")
                or command in LISTS
                or (self.stubborn and "delete" in command)
            ):
                continue
            self.model.run(command)
        there = self.model.accounts
        lines = [f"  {name}\tsize:0\tquota:{limit * 2**20}" for name, limit in there.buckets.items()]
        users: list[dict[str, Any]] = [
            {
                "name": name,
                "actions": sorted(user.grants),
                "credentials": [{"accessKey": key, "secretKey": value} for key, value in user.keys.items()],
            }
            for name, user in there.users.items()
        ]
        import json

        return "\n".join(lines) + "\n" + json.dumps({"identities": users})

    def put(self, name: str, *, keep: bool = True, generation: int = 1) -> dict[str, Obj]:
        tenant = KeyedBucket(
            id=name,
            bucket=f"vellum-{name}",
            namespace=STORAGE_NAMESPACE,
            quota="5Mi",
            keep=keep,
            labels={},
            keys=(Pair(generation, f"KEY{name}{generation}", "s" * 40),),
        )
        return {resource: self.store.put(obj) for resource, obj in tenant_objects("bucket", tenant).items()}

    def settle(self) -> None:
        """Reconcile everything until nothing changes."""
        quiet = 0
        while quiet < 3:
            before = self.store.version
            for obj in self.store.everything():
                self.controller.reconcile(self.store, Key.of(obj), NOW) if obj["apiVersion"] == API else None
            while self.controller._running:
                time.sleep(0.005)
            quiet = quiet + 1 if self.store.version == before else 0

    def delete(self, *objs: Obj) -> None:
        for obj in objs:
            self.store.delete(Key.of(obj))

    def left(self) -> set[str]:
        return {
            f"{obj['kind']} {obj['metadata']['name']}"
            for obj in self.store.everything()
            if FINALIZER in obj["metadata"].get("finalizers", ())
        }


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.store.close()


def test_what_goes_is_gone_only_when_the_store_says_so(world: World) -> None:
    made = world.put("team", keep=False)
    world.settle()
    world.stubborn = True
    world.delete(*made.values())
    world.settle()
    assert world.left() == {"Bucket vellum-team", "S3Credentials team-g1"}
    world.stubborn = False
    world.settle()
    assert (world.left(), world.model.accounts) == (set(), Accounts())


def test_a_retired_key_is_revoked_while_the_new_one_goes_on(world: World) -> None:
    old = world.put("team")
    world.settle()
    new = world.put("team", generation=2)
    world.settle()
    assert set(world.model.keys["team"]) == {"KEYteam1", "KEYteam2"}
    world.delete(old["bucket-credentials"], old["bucket-key"])
    world.settle()
    assert (set(world.model.keys["team"]), "S3Credentials team-g1" in world.left()) == ({"KEYteam2"}, False)
    assert (world.store.get(Key.of(new["bucket-credentials-g2"])) or {})["status"]["phase"] == "Ready"


def test_a_secret_that_is_missing_for_a_moment_revokes_nothing(world: World) -> None:
    made = world.put("team")
    world.settle()
    before = world.model.accounts
    world.delete(made["bucket-key"])
    world.store.put({**made["bucket-bucket"], "spec": {**made["bucket-bucket"]["spec"], "quota": {"size": "7Mi"}}})
    world.settle()
    assert world.model.accounts == Accounts({"vellum-team": 7}, before.users)


def test_what_disappeared_from_the_store_is_made_again(world: World) -> None:
    world.put("team")
    world.settle()
    before = world.model.accounts
    world.model = Model(Accounts())
    world.controller._last = float("-inf")
    world.settle()
    assert world.model.accounts == before


@pytest.mark.parametrize("answer", ["nonsense", '\n{"identities": 5}'])
def test_an_answer_that_nobody_expects_is_asked_for_again(world: World, answer: str) -> None:
    world.broken = answer
    made = world.put("team")
    world.controller.reconcile(world.store, Key.of(made["bucket-bucket"]), NOW)
    while world.controller._running:
        time.sleep(0.005)
    world.broken = ""
    world.settle()
    assert (world.store.get(Key.of(made["bucket-bucket"])) or {})["status"]["phase"] == "Ready"
