"""Applying sets what we say, drops what we stopped saying, and keeps what others wrote."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from vellum.kube.patch import copied, merged

LEAF = st.integers(0, 2) | st.lists(st.integers(0, 2), max_size=2)
TREES = st.recursive(
    st.dictionaries(st.sampled_from("abc"), LEAF, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), LEAF | inner, max_size=3),
    max_leaves=6,
)


def test_foreign_fields_stay_and_ours_go_when_we_stop_saying_them() -> None:
    live = {"spec": {"ours": 1, "gone": 2, "theirs": 3}, "status": {}}
    previous, desired = {"spec": {"ours": 1, "gone": 2}}, {"spec": {"ours": 4}}
    assert merged(live, previous, desired) == {"spec": {"ours": 4, "theirs": 3}, "status": {}}


def test_a_mapping_of_ours_disappears_unless_others_wrote_into_it() -> None:
    assert merged({"a": {"x": 1}, "b": {"x": 1, "y": 2}}, {"a": {"x": 1}, "b": {"x": 1}}, {}) == {"b": {"y": 2}}


@settings(max_examples=200, deadline=None)
@given(TREES, TREES, TREES)
def test_applying_twice_is_applying_once_and_nothing_is_mutated(
    live: dict[str, Any], previous: dict[str, Any], desired: dict[str, Any]
) -> None:
    before = copied([live, previous, desired])
    once = merged(live, previous, desired)
    assert merged(once, desired, desired) == once
    assert _within(desired, once)
    assert [live, previous, desired] == before


def _within(part: Any, whole: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and _within(value, whole[key]) for key, value in part.items()
        )
    return bool(part == whole)
