"""The order of keys, computed from folders, is the order of a plain sorted set."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.s3.model import DELIMITERS, NAMES, Folders, Question
from tests.s3.model import listed as expected

from vellum.workloads.s3.listing import Group, Listing, Page, listed

KEYS = st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join), max_size=40).map(set)
PARTS = st.one_of(
    st.just(""),
    st.lists(st.sampled_from((*NAMES, "/", "r", "ru", "..", ".", "\\", "\0", "//")), max_size=5).map("".join),
    st.lists(st.sampled_from(NAMES), max_size=3).map("/".join),
)
QUESTIONS = st.builds(Question, PARTS, st.sampled_from(DELIMITERS), PARTS, st.sampled_from((0, 1, 2, 3, 7, 1000)))


def ask(store: Folders, asked: Question) -> Listing:
    return asyncio.run(
        listed(store.page, prefix=asked.prefix, delimiter=asked.delimiter, after=asked.after, most=asked.most)
    )


def texts(listing: Listing) -> list[str]:
    return [entry.prefix if isinstance(entry, Group) else entry.key for entry in listing.entries]


def check(keys: set[str], left: set[str], asked: Question, size: int) -> None:
    store = Folders(keys, size, left)
    result = ask(store, asked)
    assert (texts(result), result.truncated) == expected(keys, asked)


@given(KEYS, KEYS, QUESTIONS, st.sampled_from((1, 2, 5, 1000)))
@settings(max_examples=300, deadline=None)
def test_any_listing_is_that_of_a_sorted_set(keys: set[str], left: set[str], asked: Question, size: int) -> None:
    """Random keys, folders left empty, prefixes, delimiters, starts and sizes of pages, here and in the store."""
    check(keys, left, asked, size)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@given(KEYS, KEYS, QUESTIONS, st.sampled_from((1, 2, 5, 1000)))
@settings(max_examples=20_000, deadline=None)
def test_twenty_thousand_listings_are_those_of_a_sorted_set(
    keys: set[str], left: set[str], asked: Question, size: int
) -> None:
    """The same as above, longer."""
    check(keys, left, asked, size)


@given(KEYS, st.sampled_from(DELIMITERS), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_pages_lose_no_key_and_give_none_twice(keys: set[str], delimiter: str, most: int) -> None:
    """Each page begins where the one before ended."""
    store, result, after = Folders(keys, 2), [], ""
    while True:
        page = ask(store, Question("", delimiter, after, most))
        result += texts(page)
        if not page.truncated:
            break
        after = page.last
    assert result == expected(keys, Question("", delimiter, "", 10**6))[0]


def test_a_start_beside_many_names_reads_few_pages() -> None:
    """No page reads again what the pages before it read, also where one name begins all others."""
    store = Folders({"run/x", *(f"run-{n:05}/a" for n in range(5000))}, 1000)
    assert texts(ask(store, Question("", "", "run-04990/a", 3)))[0] == "run-04991/a"
    assert store.asked < 12


class Slow(Folders):
    """A store that counts how many pages are asked for at the same time, and answers the newest question first."""

    def __init__(self, keys: set[str]) -> None:
        super().__init__(keys, 1000)
        self.open, self.most, self.ended = 0, 0, 0

    async def page(self, prefix: str, after: str, size: int) -> Page:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await asyncio.sleep(0.004 / self.open)
            return await super().page(prefix, after, size)
        finally:
            self.open -= 1
            self.ended += 1


@pytest.mark.parametrize("delimiter", ["", "/"])
def test_folders_are_read_eight_at_a_time(delimiter: str) -> None:
    """A folder costs one request, so the time of a listing is that of its folders."""
    keys = {f"{a}{end}/{b}/key" for a in range(50) for b in range(2) for end in ("", "-1", ".x")}
    store = Slow(keys)
    result = ask(store, Question("", delimiter, "", 1000))
    assert (texts(result), result.truncated) == expected(keys, Question("", delimiter, "", 1000))
    assert store.most == 8


@pytest.mark.parametrize(("each", "most"), [(1, 5), (600, 1000), (1000, 1)])
def test_what_is_read_ahead_is_needed(each: int, most: int) -> None:
    """At most three pages are read in vain, and none is left running."""
    store = Slow({f"{folder:03}/{key:04}" for folder in range(40) for key in range(each)})
    assert len(ask(store, Question("", "", "", most)).entries) == most
    assert store.asked <= 1 + -(-(most + 1) // each) + 3
    assert (store.open, store.ended >= store.asked) == (0, True)
