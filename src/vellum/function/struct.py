"""Read protobuf's Struct as a mapping, and write it from plain data; only fields that are read are converted.

Turning every observed object into dicts costs 70 % of a call (measured with the SDK's ``struct_to_dict``), but compose
reads only a few fields of each. So an object is a view of its Struct, which converts a field when it is read. Desired
objects are converted once, and cached by content.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from vellum.kube.objects import Json

_ABSENT = object()


class View(Mapping[str, Any]):
    """A Struct that reads like the dict it was made from. Whole numbers are ``int``: a Struct has only doubles."""

    __slots__ = ("_fields", "_known")

    def __init__(self, struct: Struct) -> None:
        self._fields = struct.fields
        self._known: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Json:
        """Return the field as Python sees it."""
        result = self.get(key, _ABSENT)
        if result is _ABSENT:
            raise KeyError(key)
        return result

    def get(self, key: str, default: Json = None) -> Json:
        """Return the field, or the default if it is absent, without the exception of Mapping's own ``get``."""
        known = self._known
        if key in known:
            return known[key]
        # Not by index: reading an absent key of a protobuf map would add the key.
        value = self._fields.get(key)
        if value is None:
            return default
        known[key] = result = _read(value)
        return result

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the fields."""
        return iter(self._fields)

    def __len__(self) -> int:
        """Return how many fields there are."""
        return len(self._fields)

    def __bool__(self) -> bool:
        """Tell whether the Struct has any field; called often, and by default Python would count them."""
        return bool(self._fields)

    def __contains__(self, key: object) -> bool:
        """Tell whether the field exists, without reading it."""
        return key in self._fields

    def __repr__(self) -> str:
        """Show names without values: some are secrets."""
        return f"View({sorted(self._fields)})"


def _read(value: Value) -> Json:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "struct_value":
        return View(value.struct_value)
    if kind == "list_value":
        return [_read(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind in (None, "null_value"):
        return None
    return getattr(value, kind)


def write(struct: Struct, data: Mapping[str, Any]) -> None:
    """Write plain data into an empty Struct.

    Raises:
        TypeError: a value is not JSON; a partial object must not be sent.
    """
    try:
        # Version 2 of marshal has no references, so equal data gives equal bytes.
        key = marshal.dumps(dict(data), 2)
    except ValueError as cause:
        raise TypeError(f"the value is not JSON: {cause}") from cause
    struct.MergeFromString(_encoded(key))


@lru_cache(maxsize=2048)
def _encoded(key: bytes) -> bytes:
    """Return the Struct in wire form, cached: most desired objects are unchanged since the last pass."""
    struct = Struct()
    _fill(struct, marshal.loads(key))  # noqa: S302  # our own bytes of a moment ago
    return bytes(struct.SerializeToString(deterministic=True))


def _fill(struct: Struct, data: Mapping[str, Any]) -> None:
    for key, value in data.items():
        _write(struct.fields[key], value)


def _write(target: Value, value: Json) -> None:
    if isinstance(value, str):
        target.string_value = value
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        target.number_value = value
    elif isinstance(value, Mapping):
        # Touched even when empty: an empty object differs from an absent one.
        target.struct_value.SetInParent()
        _fill(target.struct_value, value)
    elif isinstance(value, list | tuple):
        _write_list(target.list_value, value)
    elif value is None:
        target.null_value = 0  # the only value of the enum NullValue
    else:
        raise TypeError(f"a {type(value).__name__} is not JSON")


def _write_list(target: ListValue, values: list[Any] | tuple[Any, ...]) -> None:
    target.SetInParent()
    for value in values:
        _write(target.values.add(), value)
