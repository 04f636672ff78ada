"""For any writes in any order, the store returns what a dictionary would, also after a restart."""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.controlplane.world import NOW

from vellum.controlplane.store import SqliteStore
from vellum.errors import StoreError
from vellum.kube.objects import Key, Obj, make

NAMES = st.sampled_from(["a", "b", "c"])
DATA = st.dictionaries(st.sampled_from(["x", "y", "z"]), st.sampled_from(["1", "2"]), max_size=3)
OWNERS = st.sampled_from(["one", "two"])


def thing(name: str, data: dict[str, str]) -> Obj:
    return make("v1", "Thing", name, data=data)


def key_of(name: str) -> Key:
    return Key("v1", "Thing", "", name)


def owner(name: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Owner", "metadata": {"name": name, "uid": f"uid-of-{name}"}}


def refusal(operation: Callable[[], object]) -> str:
    """Return the code of the refusal, empty for none."""
    try:
        operation()
    except StoreError as error:
        return error.code
    return ""


class Expected:
    """A simple model of one object: the fields of each of two writers, and its finalizers."""

    def __init__(self, hand: str, data: dict[str, str]) -> None:
        self.hand, self.data, self.ours = hand, dict(data), dict(data)
        self.status = self.finalizer = self.going = ""

    def say(self, data: dict[str, str]) -> None:
        dropped = self.ours.keys() - data.keys()
        self.data = {**{name: value for name, value in self.data.items() if name not in dropped}, **data}
        self.ours = dict(data)


class StoreMachine(RuleBasedStateMachine):
    """Runs the store beside the model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="vellum-test-"))
        self.store = SqliteStore(self.folder / "store.db", lambda: NOW)
        self.model: dict[str, Expected] = {}

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    @rule(name=NAMES, data=DATA)
    def put(self, name: str, data: dict[str, str]) -> None:
        expected = self.model.get(name)
        refused = refusal(lambda: self.store.put(thing(name, data)))
        assert refused == ("VEL304" if expected and expected.going else "")
        if expected is None:
            self.model[name] = Expected("", data)
        elif expected.hand and not refused:
            expected.data |= data
        elif not refused:
            expected.say(data)

    @rule(name=NAMES, data=DATA, hand=OWNERS)
    def apply(self, name: str, data: dict[str, str], hand: str) -> None:
        expected, wrong = self.model.get(name), ""

        def apply() -> None:
            nonlocal wrong
            _, wrong = self.store.apply(thing(name, data), owner=owner(hand), resource=name)

        refused = refusal(apply)
        assert refused == ("VEL305" if expected and expected.hand != hand else "")
        if expected is None:
            assert wrong == "missing"
            self.model[name] = Expected(hand, data)
        elif not refused and not expected.going:
            same = expected.ours == data
            edited = [field for field in data if expected.data.get(field) != data[field]]
            assert wrong == (f"edited at .data.{edited[0]}" if same and edited else "")
            expected.say(data)

    @rule(name=NAMES, status=st.sampled_from(["Ready", "Lost"]))
    def status(self, name: str, status: str) -> None:
        expected = self.model.get(name)
        changed = self.store.patch_status(key_of(name), self._uid(name), {"phase": status})
        assert changed == (expected is not None and expected.status != status)
        if expected:
            expected.status = status

    @rule(name=NAMES, present=st.booleans())
    def finalizer(self, name: str, present: bool) -> None:
        expected = self.model.get(name)
        changed = self.store.set_finalizer(key_of(name), self._uid(name), "test/held", present=present)
        assert changed == (expected is not None and bool(expected.finalizer) != present)
        if expected:
            expected.finalizer = "test/held" if present else ""
            if expected.going and not present:
                del self.model[name]

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        expected = self.model.get(name)
        changed = self.store.delete(key_of(name), uid=self._uid(name))
        assert changed == (expected is not None and not expected.going)
        if expected and expected.finalizer:
            expected.going = "yes"
        elif expected:
            del self.model[name]

    @rule(name=NAMES, data=DATA)
    def transaction_that_fails(self, name: str, data: dict[str, str]) -> None:
        before = copy.deepcopy(self.model)
        with suppress(ZeroDivisionError), self.store.transaction("fails"):
            self.put(name, data)
            self.delete(name)
            _ = 1 / 0
        self.model = before

    @rule()
    def restart(self) -> None:
        before, version = self.store.everything(), self.store.version
        self.store.close()
        self.store = SqliteStore(self.folder / "store.db", lambda: NOW)
        assert (self.store.everything(), self.store.version) == (before, version)

    def _uid(self, name: str) -> str:
        result = self.store.get(key_of(name))
        return str(result["metadata"]["uid"]) if result else "absent"

    @invariant()
    def says_what_the_model_says(self) -> None:
        messages = {obj["metadata"]["name"]: _seen(obj) for obj in self.store.everything()}
        assert messages == {
            name: (expected.data, expected.hand, expected.status, bool(expected.finalizer), bool(expected.going))
            for name, expected in self.model.items()
        }

    @invariant()
    def no_version_is_given_twice(self) -> None:
        versions = [int(obj["metadata"]["resourceVersion"]) for obj in self.store.everything()]
        assert len(set(versions)) == len(versions)
        assert all(version <= self.store.version for version in versions)


def _seen(obj: Obj) -> tuple[dict[str, str], str, str, bool, bool]:
    meta = obj["metadata"]
    owners = meta.get("ownerReferences") or [{"name": ""}]
    return (
        obj.get("data") or {},
        owners[0]["name"],
        (obj.get("status") or {}).get("phase", ""),
        "finalizers" in meta,
        "deletionTimestamp" in meta,
    )


TestStore = StoreMachine.TestCase
TestStore.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
