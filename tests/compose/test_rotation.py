"""Keys that change: in any order of events every reader has a key that the server accepts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.compose.render import CLAIM, EVERYTHING
from tests.compose.world import NOW, PLATFORMS, World, given, settled_platform, written

from vellum.compose import entry
from vellum.compose.rotation import Seen, plan
from vellum.kube.objects import Obj, secret_values
from vellum.kube.patch import copied
from vellum.model.keys import DUMMY_SEED
from vellum.model.rotation import GENERATION, KeyMemory, Keys, Previous, marked
from vellum.model.state import READY, Observed, waits
from vellum.model.team import Team
from vellum.model.types import span

HOLDERS = ("binding", "bucket-secret", "notebook", "search")


def seen(
    generations: set[int], opened: set[int], turned: set[int] | None = None, held: dict[str, int] | None = None
) -> Seen:
    """Return the observed keys, in a test's notation."""
    return Seen(
        generations,
        held or {},
        lambda generation: READY if generation in opened else waits("closed", "the store"),
        lambda generation: READY if generation in (turned or ()) else waits("not turned", "the server"),
    )


def team(place: str = "local", **keys: Any) -> World:
    world = World(written(CLAIM + EVERYTHING), settled_platform(PLATFORMS[place]))
    ask(world, **keys)
    return world


def ask(world: World, **keys: Any) -> None:
    spec = world.composite["spec"]
    world.composite = {**world.composite, "spec": {**spec, "keys": {**spec.get("keys", {}), **keys}}}


def after(world: World, **time: float) -> None:
    world.now += timedelta(**time)
    world.settle()


def accepted(world: World, part: str = "bucket") -> set[str]:
    """Return the access keys that the store has."""
    keys = {name: obj for name, obj in world.resources.items() if name.startswith(f"{part}-key")}
    have = {name.replace("credentials", "key") for name in world.resources if "-credentials" in name}
    return {secret_values(obj)["accesskey"] for name, obj in keys.items() if name in have}


def keys_of(world: World) -> Obj:
    text: Obj = world.composite["status"]["keys"]
    return text


def value(world: World, name: str, key: str) -> str:
    return secret_values(world.resources[name])[key]


def test_a_team_begins_with_the_generation_that_its_claim_says() -> None:
    world = team(generation=7)
    assert world.settle().ready
    assert (keys_of(world), len(accepted(world))) == ({"generation": 7}, 1)
    assert "bucket-credentials-g7" in world.resources


def test_a_new_key_is_tested_first_and_the_old_one_ends_later() -> None:
    """A new key is tried before any reader gets it, and the old key ends after the overlap."""
    world = team()
    world.settle()
    old = {name: value(world, "binding", name) for name in ("AWS_ACCESS_KEY_ID", "QDRANT_API_KEY")}
    ask(world, generation=2, overlap="1h")
    world.step()
    assert len(accepted(world)) == 2
    assert value(world, "binding", "AWS_ACCESS_KEY_ID") == old["AWS_ACCESS_KEY_ID"]
    assert keys_of(world)["coming"] == 2
    assert world.settle().ready
    assert value(world, "binding", "AWS_ACCESS_KEY_ID") not in old.values()
    assert value(world, "binding", "QDRANT_API_KEY") == value(world, "qdrant-keys", "api-key")
    assert {name: marked(world.resources[name]) for name in HOLDERS} == dict.fromkeys(HOLDERS, 2)
    until = {"generation": 1, "since": "2026-11-25T12:00:00Z", "until": "2026-11-25T13:00:00Z"}
    assert keys_of(world)["previous"] == [until]
    after(world, minutes=59)
    assert old["AWS_ACCESS_KEY_ID"] in accepted(world)
    after(world, minutes=1)
    assert accepted(world) == {value(world, "binding", "AWS_ACCESS_KEY_ID")}
    assert keys_of(world) == {"generation": 2, "removed": 1}


def test_the_database_changes_once_after_the_key_opens_the_bucket() -> None:
    """The database takes the new key once, and only after the key opens the bucket."""
    world = team()
    world.settle()
    ask(world, generation=2)
    world.step()
    new = world.resources["bucket-credentials-g2"]
    world.resources["bucket-credentials-g2"] = {**new, "status": {"phase": "Pending", "observedGeneration": 1}}
    composed = world.look()
    assert GENERATION not in composed.objects["qdrant-set"].obj["metadata"].get("annotations", {})
    assert composed.status["keys"]["waits"] == (
        "S3Credentials vellum-storage/team-a-research-6gnoutl5ip5t-g2: phase Pending"
    )
    world.settle()
    template = world.resources["qdrant-set"]["spec"]["template"]["metadata"]
    assert template["annotations"] == {GENERATION: "2"}


def test_a_newer_generation_waits_for_the_databases_one() -> None:
    """A newer generation waits until the generation that the database took is in use."""
    memory = KeyMemory(using=1, coming=2, single=2)
    first = plan(3, timedelta(hours=1), memory, seen({1, 2}, set(), {2}), NOW)
    assert (first.keys.using, first.keys.valid, first.keys.single) == (1, (1, 2), 2)

    second = plan(3, timedelta(hours=1), KeyMemory.read(first.status), seen({1, 2}, {2, 3}, {2}), NOW)
    assert (second.keys.using, second.keys.single) == (2, 2)
    third = plan(3, timedelta(hours=1), KeyMemory.read(second.status), seen({1, 2}, {2, 3}, {3}), NOW)
    assert (third.keys.using, third.keys.valid, third.keys.single) == (3, (1, 2, 3), 3)


def test_an_end_of_an_overlap_is_looked_at_also_while_an_older_key_is_held() -> None:
    ends = (Previous(1, NOW - timedelta(hours=2)), Previous(2, NOW - timedelta(minutes=50)))
    memory = KeyMemory(using=3, single=3, previous=ends)
    world = seen({1, 2, 3}, {3}, {3}, {"Notebook x": 1})
    assert plan(3, timedelta(hours=1), memory, world, NOW).again == pytest.approx(540)


def test_a_lower_generation_is_refused_in_words_and_changes_nothing() -> None:
    world = team(generation=2)
    world.settle()
    ask(world, generation=1)
    composed = world.step()
    text = "the keys are of generation 2, but spec.keys.generation is 1, whose keys were replaced; write 2 or more"
    assert [(condition.reason, condition.message) for condition in composed.conditions] == [("KeysLowered", text)]
    assert composed.fatal == text


def test_who_is_made_anew_begins_with_the_highest_generation_ever() -> None:
    def begun(wanted: int | None, memory: KeyMemory, items: set[int]) -> Keys:
        return plan(wanted, span("1h"), memory, seen(items, {1, 2, 3}), NOW, lowest=3).keys

    assert begun(None, KeyMemory(), set()) == Keys(3, (3,), 3)
    assert begun(5, KeyMemory(), set()).using == 5
    # A running owner keeps its generation without a status, because clients hold the older key.
    assert begun(None, KeyMemory(using=1, single=1), {1}).using == 1
    assert begun(None, KeyMemory(), {2}).using == 2


def test_a_generation_below_the_highest_ever_is_refused() -> None:
    world = team(generation=2)
    refused = entry.team(world.composite, Observed(), replace(DUMMY_SEED, generations={world_id(world): 4}), NOW)
    assert (refused.fatal, refused.objects) == ("looking for the platform", {})
    observed = Observed(required={"platform": world.platform})
    refused = entry.team(world.composite, observed, replace(DUMMY_SEED, generations={world_id(world): 4}), NOW)
    assert refused.conditions[0].reason == "KeysLowered"
    assert "write 4 or more" in refused.conditions[0].message


def world_id(world: World) -> str:
    meta = world.composite["metadata"]
    return Team(meta["namespace"], meta["name"], "").id


def test_a_spec_that_says_nothing_goes_on_with_what_is_in_use() -> None:
    world = team(generation=2)
    world.settle()
    world.composite["spec"].pop("keys")
    assert world.settle().ready
    assert keys_of(world) == {"generation": 2}


def test_an_old_key_that_somebody_holds_outlives_its_overlap() -> None:
    world = team()
    world.settle()
    ask(world, generation=2, overlap="10s")
    world.settle()
    late = copied(world.resources["notebook"])
    del late["metadata"]["annotations"][GENERATION]
    world.now += timedelta(days=1)
    world.resources["notebook"] = late
    held = world.look().status["keys"]
    assert held["previous"][0]["generation"] == 1
    assert {"by": "Notebook team-a-research-6gnoutl5ip5t/notebook", "generation": 1} in held["held"]
    world.settle()
    assert keys_of(world) == {"generation": 2, "removed": 1}


def test_an_overlap_that_is_made_shorter_ends_sooner() -> None:
    world = team()
    world.settle()
    ask(world, generation=2, overlap="7d")
    world.settle()
    after(world, minutes=1)
    ask(world, overlap="30s")
    world.settle()
    assert len(accepted(world)) == 1


def test_a_clock_that_was_put_back_does_not_make_an_overlap_longer() -> None:
    world = team()
    world.settle()
    ask(world, generation=2, overlap="1m")
    world.settle()
    after(world, days=-300)
    after(world, minutes=1)
    assert len(accepted(world)) == 1


@pytest.mark.parametrize("since", ["yesterday", "", None, "2026-11-25T12:00:00"])
def test_a_status_that_somebody_spoiled_gives_the_old_key_another_overlap(since: Any) -> None:
    world = team()
    world.settle()
    ask(world, generation=2, overlap="10m")
    world.settle()
    after(world, minutes=9)
    world.composite["status"]["keys"]["previous"][0]["since"] = since
    world.settle()
    after(world, minutes=9)
    assert len(accepted(world)) == 2
    after(world, minutes=1)
    assert len(accepted(world)) == 1


def test_a_key_that_was_removed_does_not_come_back_when_it_is_seen_late() -> None:
    world = team()
    world.settle()
    old = {name: copied(world.resources[name]) for name in ("bucket-key", "bucket-credentials")}
    ask(world, generation=2, overlap="10s")
    world.settle()
    after(world, minutes=1)
    world.resources |= old
    assert not {"bucket-key", "bucket-credentials"} & world.look().objects.keys()


def test_the_next_look_is_due_when_the_overlap_ends() -> None:
    world = team()
    world.settle()
    ask(world, generation=2, overlap="10m")
    world.settle()
    looks = []
    while len(accepted(world)) == 2:
        looks.append(world.look().ttl_seconds)
        # Crossplane calls a tenth later than the ttl.
        after(world, seconds=1.1 * looks[-1])
    assert (world.now - NOW).total_seconds() < 601
    assert len(looks) < 12


def pipelines_roll_at(world: World) -> str:
    values = world.resources["kubeflow-pipelines-release"]["spec"]["forProvider"]["values"]
    return str(values["objectStore"]["generation"])


def test_the_platform_moves_pipelines_with_its_key() -> None:
    world = World(written(PLATFORMS["standard"]))
    assert world.settle().ready
    before, key = pipelines_roll_at(world), value(world, "artifacts-secret", "accesskey")
    ask(world, generation=2, overlap="10m")
    world.settle()
    assert pipelines_roll_at(world) != before
    assert accepted(world, "artifacts") == {key, value(world, "artifacts-secret", "accesskey")}
    after(world, minutes=10)
    assert accepted(world, "artifacts") == {value(world, "artifacts-secret", "accesskey")} != {key}


def test_with_a_given_key_only_what_is_made_here_changes() -> None:
    world = World(written(CLAIM + EVERYTHING), settled_platform(PLATFORMS["external"]))
    world.foreign.append(given("team-a-research-6gnoutl5ip5t"))
    assert world.settle().ready
    before = {name: value(world, "binding", name) for name in ("AWS_ACCESS_KEY_ID", "QDRANT_API_KEY")}
    ask(world, generation=2)
    assert world.settle().ready
    assert value(world, "binding", "AWS_ACCESS_KEY_ID") == before["AWS_ACCESS_KEY_ID"]
    assert value(world, "binding", "QDRANT_API_KEY") != before["QDRANT_API_KEY"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("90s", 90), ("30m", 1800), ("1h", 3600), ("7d", 604800), ("604800s", 604800)]
)
def test_an_overlap_is_a_whole_number_and_a_unit(text: str, seconds: int) -> None:
    assert span(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "1", "9s", "8d", "0s", "1h30m", "-1h", "1 h", "1H", "999999d", "٣h"])
def test_an_overlap_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not"):
        span(text)


class Rotations(RuleBasedStateMachine):
    """Any order of wishes, passes, crashes, old looks and times."""

    @initialize()
    def begin(self) -> None:
        self.world = team(overlap="1m")
        self.world.settle()
        self.highest = 1
        self.gone: set[str] = set()
        self.before: Obj | None = None

    @rule(more=st.integers(1, 3))
    def rotate(self, more: int) -> None:
        self.highest += more
        ask(self.world, generation=self.highest)

    @rule(overlap=st.sampled_from(["10s", "1m", "1h"]))
    def change_the_overlap(self, overlap: str) -> None:
        ask(self.world, overlap=overlap)

    @rule(seconds=st.sampled_from([-90, 0.5, 5, 40, 4000]))
    def wait(self, seconds: float) -> None:
        self.world.now += timedelta(seconds=seconds)

    @rule()
    def look(self) -> None:
        self.before = copied(self.world.composite["status"])
        self.world.step()

    @rule()
    def die_before_the_status_is_written(self) -> None:
        status = copied(self.world.composite["status"])
        self.world.step()
        self.world.composite["status"] = status

    @rule()
    def read_an_old_status(self) -> None:
        if self.before:
            self.world.composite["status"] = self.before

    @rule()
    def lose_the_status(self) -> None:
        self.world.composite["status"].pop("keys", None)

    @rule(name=st.sampled_from(["qdrant-set", "notebook", "search", "bucket-bucket"]))
    def hesitate(self, name: str) -> None:
        self.world.resources[name] = {**self.world.resources[name], "status": {}}

    @rule()
    def make_the_newest_key_hesitate(self) -> None:
        newest = max((name for name in self.world.resources if name.startswith("bucket-credentials")), key=len)
        self.world.resources[newest] = {**self.world.resources[newest], "status": {}}

    @rule()
    def hide_the_newest_key(self) -> None:
        self.world.composite["spec"]["keys"].pop("generation", None)

    @invariant()
    def everybody_holds_a_key_that_is_accepted(self) -> None:
        there = accepted(self.world)
        assert value(self.world, "bucket-secret", "accesskey") in there
        # While a part hesitates the binding has none at all, as ever.
        assert secret_values(self.world.resources["binding"]).get("AWS_ACCESS_KEY_ID") in {*there, None}
        for name in ("notebook", "search"):
            generation = marked(self.world.resources[name])
            assert self.world.seed.access_key("team-a-research-6gnoutl5ip5t", generation) in there

    def teardown(self) -> None:
        ask(self.world, generation=self.highest)
        for _ in range(3):
            after(self.world, hours=2)
        assert self.world.look().ready
        assert keys_of(self.world)["generation"] == self.highest
        assert accepted(self.world) == {value(self.world, "binding", "AWS_ACCESS_KEY_ID")}
        assert value(self.world, "binding", "QDRANT_API_KEY") == value(self.world, "qdrant-keys", "api-key")
        assert marked(self.world.resources["qdrant-set"]) == self.highest


TestRotations = Rotations.TestCase
TestRotations.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
