"""The guard's state machine under any sequence of sights: bounded, patient, deterministic, and silent when healthy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from vellum.compose.helm.guard import BUSY, CONTENDED, HEALTHY, RULES, Look, Plan, plan
from vellum.model.repair import GuardMemory, seconds_between

BEGIN = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
OBJECTS = ("Deployment a/a", "Service a/a", "ConfigMap a/b")
FAULTS = st.dictionaries(st.sampled_from(OBJECTS), st.sampled_from(("missing", "edited at .spec")), max_size=3)
RECORDS = st.sampled_from(("deployed", "deployed", "deployed", "failed", "pending-upgrade", "absent"))
SIGHTS = st.lists(
    st.tuples(st.integers(1, 60), RECORDS, st.integers(0, 1), FAULTS, st.booleans(), st.booleans()), max_size=60
)


Sights = list[tuple[int, str, int, dict[str, str], bool, bool]]


def looks(sights: Sights) -> list[tuple[datetime, Look]]:
    """Return the observations with their times; revisions fall only when a record is lost."""
    now, revision, result = BEGIN, 1, []
    for seconds, record, more, faults, patched, stored in sights:
        now, revision = now + timedelta(seconds=seconds), revision + more
        patch = "w-a.yaml" if patched and faults else ""
        result.append((now, Look(record, revision, faults, patch, patch_stored=stored)))
    return result


def life(sights: Sights) -> Iterator[tuple[GuardMemory, datetime, Look, Plan]]:
    """Yield every pass: the earlier memory, the time, the observation and the decision."""
    memory = GuardMemory()
    for now, look in looks(sights):
        done = plan("a", memory, look, now)
        yield memory, now, look, done
        memory = done.memory


@given(SIGHTS)
def test_what_is_remembered_survives_the_status(sights: Sights) -> None:
    for *_, done in life(sights):
        assert GuardMemory.read(done.memory.as_status()) == done.memory


@given(SIGHTS)
def test_repairs_are_bounded_within_every_hour(sights: Sights) -> None:
    made = []
    for before, now, _, done in life(sights):
        memory = done.memory
        if memory.repairs > before.repairs:
            made.append(now)
        assert memory.repairs - before.repairs in (0, 1)
        assert memory.tries <= RULES.tries
    for at in made:
        assert len([item for item in made if timedelta() <= item - at < timedelta(hours=1)]) <= RULES.hourly


@given(SIGHTS)
def test_nothing_is_flipped_while_helm_is_at_work_or_nothing_is_wrong(sights: Sights) -> None:
    for before, _, look, done in life(sights):
        memory = done.memory
        if look.record not in ("deployed", "failed"):
            assert (memory.nonce, memory.phase) == (before.nonce, BUSY)
        elif look.record == "deployed" and not look.faults and not before.step:
            assert memory.nonce == before.nonce


@given(SIGHTS)
def test_what_failed_is_turned_back_once_for_each_repair(sights: Sights) -> None:
    for before, _, look, done in life(sights):
        memory = done.memory
        if memory.nonce < before.nonce:
            assert (look.record, memory.nonce, memory.repairs) == ("failed", before.nonce - 1, before.repairs)
            assert (before.last and before.last.undone, memory.last and memory.last.undone) == (False, True)
        assert 0 <= memory.nonce <= memory.repairs


@given(SIGHTS)
def test_a_fault_is_never_repaired_before_its_grace_is_over(sights: Sights) -> None:
    for before, now, look, done in life(sights):
        memory = done.memory
        if memory.repairs > before.repairs:
            assert memory.last is not None
            assert seconds_between(min(memory.since.values()), now) >= RULES.grace
            assert memory.last.faults == look.faults


@given(SIGHTS, st.integers(1, 5))
def test_a_healthy_release_stops_changing_what_is_remembered(sights: Sights, more: int) -> None:
    memory, now, revision = GuardMemory(), BEGIN, 1
    for _, now, look, done in life(sights):  # noqa: B007  # the last moment is needed
        memory, revision = done.memory, look.revision
    healthy = Look("deployed", revision + 2)
    for step in range(10):
        memory = plan("a", memory, healthy, now + timedelta(seconds=RULES.forget * (step + 1))).memory
    assert memory.phase == HEALTHY
    assert memory.tries == 0
    after = plan("a", memory, healthy, now + timedelta(days=more))
    assert after.memory.but(recent=()) == memory.but(recent=())
    assert after.receipts == ()


@given(SIGHTS)
def test_every_receipt_has_a_repaired_fault_and_rising_times(sights: Sights) -> None:
    repaired: set[tuple[str, str]] = set()
    for *_, done in life(sights):
        if done.memory.last:
            repaired |= set(done.memory.last.faults.items())
        for receipt in done.receipts:
            assert (receipt.object, receipt.wrong) in repaired
            assert receipt.seconds >= 0


@settings(max_examples=20)
@given(st.integers(1, 20))
def test_the_same_fault_again_and_again_is_contended_and_a_new_one_is_not(every: int) -> None:
    memory, now, revision = GuardMemory(), BEGIN, 1
    fault = Look("deployed", revision, {OBJECTS[0]: "missing"})
    while memory.phase != CONTENDED:
        now += timedelta(seconds=every)
        assert now - BEGIN < timedelta(hours=1)
        before = memory.repairs
        memory = plan("a", memory, fault, now).memory
        if memory.repairs > before:
            memory = plan("a", memory, Look("deployed", fault.revision + 1), now + timedelta(seconds=1)).memory
            fault = Look("deployed", fault.revision + 1, fault.faults)
    assert memory.repairs == RULES.tries
    other = Look("deployed", fault.revision, {OBJECTS[1]: "missing"})
    for _ in range(15):
        now += timedelta(seconds=1)
        memory = plan("a", memory, other, now).memory
    assert memory.repairs == RULES.tries + 1
