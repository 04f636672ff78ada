"""A Struct reads like the dict that it was made from, and nothing that was not asked for is converted."""

from __future__ import annotations

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from vellum.function.struct import View, write
from vellum.kube.patch import plain

SCALARS = (
    st.none()
    | st.booleans()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.text(max_size=6), JSON, max_size=6)


@given(OBJECTS)
def test_what_is_written_is_read_again(data: dict[str, object]) -> None:
    struct = Struct()
    write(struct, data)
    assert plain(View(struct)) == data
    assert struct == json_format.ParseDict(data, Struct())


def test_a_view_is_a_mapping_in_every_respect_and_reading_changes_nothing() -> None:
    struct = Struct()
    write(struct, {"spec": {"replicas": 1, "empty": {}}, "names": ["a", {"b": 2.5}]})
    view = View(struct)
    before = struct.SerializeToString(deterministic=True)
    assert (len(view), sorted(view), "spec" in view, "status" in view) == (2, ["names", "spec"], True, False)
    assert (view.get("status"), view["spec"].get("absent", "no"), bool(view["spec"]["empty"])) == (None, "no", False)
    assert (view["spec"]["replicas"], type(view["spec"]["replicas"])) == (1, int)
    assert (view["names"][0], view["names"][1]["b"]) == ("a", 2.5)
    with pytest.raises(KeyError):
        view["status"]
    assert struct.SerializeToString(deterministic=True) == before


def test_a_view_shows_names_and_no_values() -> None:
    struct = Struct()
    write(struct, {"data": {"secretkey": "hidden"}})
    assert (repr(View(struct)), repr(View(struct)["data"])) == ("View(['data'])", "View(['secretkey'])")


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object()])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="is not JSON"):
        write(Struct(), {"a": [value]})
