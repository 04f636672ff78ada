"""Read one JSON object strictly: wrong types and unknown fields are refused by name."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TypeGuard

from vellum.workloads.qdrant.refused import refused

Json = dict[str, object]
MAX_DEPTH = 64
"""qdrant-edge stores payloads deeper than 128 and then cannot read the whole collection any more (measured)."""
MAX_COUNT = 2**32 - 1
"""The highest limit and offset: their sum must not overflow in the core."""


class Fields:
    """One JSON object of a request; ``null`` counts as absent, as in Qdrant.

    Args:
        value: what was sent.
        where: the object's path in the body, for messages.
        known: all fields that are served.

    Raises:
        RefusedError: not an object, or a field is not known (400).
    """

    def __init__(self, value: object, where: str, known: Collection[str]) -> None:
        if not isinstance(value, dict):
            raise refused(f"{where} must be an object")
        for name in value:
            if name not in known:
                raise refused(f"{where}: field `{name}` is unknown or not supported")
        self._values: Json = {name: item for name, item in value.items() if item is not None}
        self.where = where

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def names(self) -> list[str]:
        """Return the fields that are present, in the order sent."""
        return list(self._values)

    def path(self, name: str) -> str:
        """Return the field's path, for messages."""
        return f"{self.where}.{name}"

    def raw(self, name: str) -> object:
        """Return the value as sent, or None."""
        return self._values.get(name)

    def need(self, name: str) -> object:
        """Return the value of a field that must be there."""
        if name not in self._values:
            raise refused(f"{self.where}: missing field `{name}`")
        return self._values[name]

    def text(self, name: str) -> str | None:
        """Return a string, or None."""
        value = self.raw(name)
        return None if value is None else as_text(value, self.path(name))

    def need_text(self, name: str) -> str:
        """Return a string that must be there."""
        return as_text(self.need(name), self.path(name))

    def need_number(self, name: str) -> float:
        """Return a finite number that must be there."""
        return as_number(self.need(name), self.path(name))

    def need_items(self, name: str) -> list[object]:
        """Return a list that must be there."""
        return as_list(self.need(name), self.path(name))

    def need_whole(self, name: str, least: int = 0, most: int = MAX_COUNT) -> int:
        """Return an integer within bounds that must be there."""
        self.need(name)
        return self.whole(name, least, most) or 0

    def need_choice(self, name: str, choices: Collection[str]) -> str:
        """Return one of the named choices; one must be there."""
        self.need(name)
        return self.choice(name, choices) or ""

    def flag(self, name: str) -> bool | None:
        """Return a boolean, or None."""
        value = self.raw(name)
        if value is not None and not isinstance(value, bool):
            raise refused(f"{self.path(name)} must be true or false")
        return value

    def whole(self, name: str, least: int = 0, most: int = MAX_COUNT) -> int | None:
        """Return an integer within bounds, or None."""
        value = self.raw(name)
        if value is None:
            return None
        if not is_whole(value) or not least <= value <= most:
            raise refused(f"{self.path(name)} must be an integer from {least} to {most}")
        return value

    def number(self, name: str) -> float | None:
        """Return a finite number, or None."""
        value = self.raw(name)
        return None if value is None else as_number(value, self.path(name))

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        """Return one of the named choices, or None."""
        value = self.raw(name)
        if value is not None and (not isinstance(value, str) or value not in choices):
            raise refused(f"{self.path(name)} must be one of {', '.join(choices)}, not {value!r}")
        return value

    def items(self, name: str) -> list[object] | None:
        """Return a list, or None."""
        value = self.raw(name)
        return None if value is None else as_list(value, self.path(name))

    def texts(self, name: str) -> list[str] | None:
        """Return a list of strings, or None."""
        value = self.raw(name)
        return None if value is None else as_texts(value, self.path(name))


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether the value is an integer and not a boolean, which Python also counts as an integer."""
    return isinstance(value, int) and not isinstance(value, bool)


def as_text(value: object, where: str) -> str:
    """Return the value if it is a string."""
    if not isinstance(value, str):
        raise refused(f"{where} must be a string")
    return value


def as_number(value: object, where: str) -> float:
    """Return the value as a finite float."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise refused(f"{where} must be a number")
    return float(value)


def as_list(value: object, where: str) -> list[object]:
    """Return the value if it is a list."""
    if not isinstance(value, list):
        raise refused(f"{where} must be a list")
    return value


def as_texts(value: object, where: str) -> list[str]:
    """Return the value if it is a list of strings."""
    return [as_text(item, f"{where}[{index}]") for index, item in enumerate(as_list(value, where))]


def as_payload(value: object, where: str, depth: int = 0) -> Json:
    """Return the value if it is an object that is stored at most ``MAX_DEPTH`` deep.

    ``depth`` is the level at which it will be stored. The walk goes level by level, so no input exhausts the stack.
    """
    if not isinstance(value, dict):
        raise refused(f"{where} must be an object")
    level: list[object] = [value]
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise refused(f"{where} is nested deeper than {MAX_DEPTH}")
        level = [child for outer in level for child in _children(outer) if isinstance(child, dict | list)]
    return value


def _children(value: object) -> Collection[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
