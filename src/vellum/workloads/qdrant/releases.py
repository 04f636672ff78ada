"""Refuse filters that Qdrant's releases answer differently, where the stored payloads show the difference.

A cluster may run any Qdrant from 1.16 on. Three conditions changed their meaning in that time, each as a repair:

- ``text``, ``text_any`` and ``phrase`` without a text index: inside words, case-sensitive, up to 1.19.0; then whole
  words without regard to case (qdrant pull requests 10341 and 10527).
- ``is_null`` by itself without an index: not true of a list with a null up to 1.19.0; then true (10101).
- ``values_count`` of a field that a point does not have: never true up to 1.18; then it counts as 0 (9607).

And two depend on whether the field has an index, where a path leads to several values: ``is_empty: true`` and
``is_null: false`` of a field are true of any value without one (``condition_checker.rs``), and of all with one.

The core answers as the newest release does. It gets a condition only if no stored value makes the two meanings
differ: then every release gives the same answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import qdrant_edge as edge

from vellum.workloads.qdrant.collections import Collection
from vellum.workloads.qdrant.fields import is_whole
from vellum.workloads.qdrant.paths import steps, values
from vellum.workloads.qdrant.refused import refused

if TYPE_CHECKING:
    from qdrant_edge import PointId

_TEXTS = ("text", "text_any", "phrase")
_CLAUSES = ("must", "should", "must_not")
_OF_EACH: dict[str, Callable[[object], bool]] = {
    "is_empty of field": lambda item: item is None or item == [],
    "is_null of field": lambda item: item is None or (isinstance(item, list) and None in item),
}
_OTHERWISE = {
    "is_empty of field": '{{"is_empty": {{"key": "{}"}}}}, true of all values',
    "is_null of field": '`must_not` {{"key": "{}", "is_null": true}}, false of any value',
}
_WORD = re.compile(r"[^\W_]+")
_PAGE = 5000


@dataclass(frozen=True)
class Doubt:
    """One condition whose meaning changed: its kind, its argument, and the path to its values.

    ``outer`` are the lists of objects around the key, from ``nested`` conditions.
    """

    kind: str
    argument: str | tuple[tuple[str, int], ...]
    key: str
    outer: tuple[str, ...]

    @property
    def field(self) -> str:
        """The key as a payload index would name it."""
        return ".".join((*(f"{item}[]" for item in self.outer), self.key))

    def differs(self, payload: object) -> bool:
        """Return whether two releases answer differently for this payload."""
        objects = [payload]
        for name in self.outer:
            elements = (item for value in objects for item in values(value, (*steps(name), None)))
            objects = [element for element in elements if isinstance(element, dict)]
        return any(self._differs_in(values(obj, steps(self.key))) for obj in objects)

    def _differs_in(self, items: list[object]) -> bool:
        if self.kind == "values_count":
            return not items
        if self.kind in _OF_EACH:
            return len({_OF_EACH[self.kind](item) for item in items}) > 1
        if self.kind == "is_null":
            return None not in items and any(isinstance(item, list) and None in item for item in items)
        flat = (part for item in items for part in (item if isinstance(item, list) else [item]))
        texts = (item for item in flat if isinstance(item, str))
        return any(_is_read_differently(self.kind, str(self.argument), text) for text in texts)

    def refusal(self, where: str, point: PointId) -> str:
        """Return which releases differ, on which point, and what to write instead."""
        if self.kind == "values_count":
            text = f"before 1.19 a point without `{self.key}` never matched, now it counts as 0"
            way = f"for few or none write `should`: `is_empty` of `{self.key}`, and `values_count` with `gte: 1`"
        elif self.kind == "is_null":
            text = "up to 1.19.0 a list with a null in it did not match, now it does"
            way = f'write {{"key": "{self.key}", "is_null": true}}, which always counted it'
        elif self.kind in _OF_EACH:
            text = "without an index one of several values is enough, with an index all must be so"
            way = f"write {_OTHERWISE[self.kind].format(self.key)}"
        else:
            text = "without a text index releases up to 1.19.0 look inside words and at case, later ones at whole words"
            way = f"create a text index on `{self.field}`"
        return f"{where}: Qdrant's releases answer differently (point {point} shows it): {text}; {way}"


def check_releases(collection: Collection, wanted: object, where: str) -> None:
    """Refuse a valid filter if releases answer it differently for the stored payloads.

    Raises:
        RefusedError: 400, naming the condition, a point and what to write instead.
    """
    doubts = dict(_doubts(wanted, where, ()))
    if not doubts or (not any(item not in collection.settled for item in doubts)):
        return
    indexed = collection.shard.info().payload_schema
    for doubt, place in doubts.items():
        if doubt not in collection.settled and not _is_settled_by_index(doubt, indexed):
            point = _witness(collection, doubt)
            if point is not None:
                raise refused(doubt.refusal(place, point))
        collection.settled.add(doubt)


def _is_settled_by_index(doubt: Doubt, indexed: dict[str, edge.PayloadIndexInfo]) -> bool:
    """Return whether an index gives the condition one meaning in every release."""
    index = indexed.get(doubt.field)
    if index is None or doubt.kind == "values_count" or doubt.kind in _OF_EACH:
        return False
    return doubt.kind == "is_null" or index.data_type == edge.PayloadSchemaType.Text


def _witness(collection: Collection, doubt: Doubt) -> PointId | None:
    """Return a point for which releases answer differently, or None."""
    first = steps(doubt.outer[0] if doubt.outer else doubt.key)[:1]
    if not first:
        return None
    offset: PointId | None = None
    while True:
        asked = edge.ScrollRequest(offset=offset, limit=_PAGE, with_payload=[f'"{first[0]}"'], with_vector=False)
        records, offset = collection.shard.scroll(asked)
        for record in records:
            if doubt.differs(record.payload or {}):
                return record.id
        if offset is None:
            return None


def _doubts(wanted: object, where: str, outer: tuple[str, ...]) -> Iterator[tuple[Doubt, str]]:
    """Yield every condition whose meaning changed, with its path."""
    if not isinstance(wanted, dict):
        return
    inner = wanted.get("min_should")
    given = [(name, wanted.get(name)) for name in _CLAUSES]
    given.append(("min_should.conditions", inner.get("conditions") if isinstance(inner, dict) else None))
    for name, value in given:
        several = value if isinstance(value, list) else [value]
        for at, item in enumerate(several):
            place = f"{where}.{name}" if several is not value else f"{where}.{name}[{at}]"
            yield from _in_condition(item, place, outer)


def _in_condition(item: object, where: str, outer: tuple[str, ...]) -> Iterator[tuple[Doubt, str]]:
    if not isinstance(item, dict):
        return
    nested, null = item.get("nested"), item.get("is_null")
    if isinstance(item.get("key"), str):
        yield from _in_field(item, where, outer)
    elif isinstance(nested, dict):
        name = str(nested.get("key")).removesuffix("[]")
        yield from _doubts(nested.get("filter"), f"{where}.nested.filter", (*outer, name))
    elif isinstance(null, dict):
        yield Doubt("is_null", "", str(null.get("key")), outer), f"{where}.is_null"
    else:
        yield from _doubts(item, where, outer)


def _in_field(item: dict[str, object], where: str, outer: tuple[str, ...]) -> Iterator[tuple[Doubt, str]]:
    key, match, count = str(item["key"]), item.get("match"), item.get("values_count")
    for kind in _TEXTS:
        if isinstance(match, dict) and isinstance(match.get(kind), str):
            yield Doubt(kind, match[kind], key, outer), f"{where}.match.{kind}"
    if item.get("is_empty") is True:
        yield Doubt("is_empty of field", "", key, outer), f"{where}.is_empty"
    if item.get("is_null") is False:
        yield Doubt("is_null of field", "", key, outer), f"{where}.is_null"
    if isinstance(count, dict):
        bounds = tuple(sorted((name, bound) for name, bound in count.items() if is_whole(bound)))
        if _admits_none(dict(bounds)):
            yield Doubt("values_count", bounds, key, outer), f"{where}.values_count"


def _admits_none(bounds: dict[str, int]) -> bool:
    """Return whether a count of 0 is within the bounds."""
    low = bounds.get("gte", 0) <= 0 and "gt" not in bounds
    return low and bounds.get("lt", 1) > 0


def _is_read_differently(kind: str, asked: str, stored: str) -> bool:
    """Return whether a text matches inside words but not by words, or the other way round."""
    if not (_is_plain(asked) and _is_plain(stored)):
        return True
    wanted, there = _WORD.findall(asked.lower()), _WORD.findall(stored.lower())
    if kind == "text_any":
        inside = any(word in stored for word in asked.split())
        by_words = any(item in there for item in wanted)
    else:
        inside = asked in stored
        by_words = bool(wanted) and all(item in there for item in wanted)
        if kind == "phrase":
            size = len(wanted)
            by_words = by_words and any(there[at : at + size] == wanted for at in range(len(there)))
    return inside != by_words


def _is_plain(text: str) -> bool:
    """Return whether Python sees the core's words: both use letters and digits, but differ at combining marks."""
    return text.isascii() or not any(unicodedata.category(item).startswith("M") for item in text)
