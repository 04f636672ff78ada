"""Damaged records are derived anew or give an error with a fix, without a traceback or an endless wait."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vellum.errors import LaptopError
from vellum.host import reaper, records
from vellum.host.files import read_json
from vellum.host.ports import Ports
from vellum.host.state import FILES, FOLDERS, State
from vellum.laptop import folders
from vellum.laptop.folders import LAYOUT

PARSERS = {**records.PARSERS, **LAYOUT.records}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
NAMES = st.sampled_from(["pid", "started", "by", "runtime", "namespace", "qdrant/http"]) | st.text(max_size=6)
VALUES = st.recursive(
    SCALARS | st.integers(0, 70_000) | st.just("ab12cd34 4711"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)
DAMAGES: dict[str, Callable[[Path], object]] = {
    "null": lambda path: path.write_text("null"),
    "list": lambda path: path.write_text("[]"),
    "list of lists": lambda path: path.write_text('[["pid", 1], {"pid": -1}]'),
    "number": lambda path: path.write_text("5"),
    "entries of null": lambda path: path.write_text('{"a": null, "b": [], "c": 5, "d": "x"}'),
    "wrong types": lambda path: path.write_text('{"a": {"pid": "1", "started": 3, "by": null, "namespace": 7}}'),
    "dangerous pids": lambda path: path.write_text(
        '{"a": {"pid": -1, "started": "x", "by": 0}, "b": {"pid": 1, "started": " 1", "by": 0}}'
    ),
    "empty": lambda path: path.write_text(""),
    "cut": lambda path: path.write_text('{"a": {"pid'),
    "deep": lambda path: path.write_text("[" * 100_000),
    "binary": lambda path: path.write_bytes(os.urandom(5000)),
    "huge": lambda path: path.write_text("[" + "1," * 4_000_000 + "1]"),
}


@given(VALUES)
def test_whatever_a_record_holds_has_the_right_types_when_it_is_read(value: Any) -> None:
    for name, parse in PARSERS.items():
        result = parse(value)
        assert parse(result) == result, name
    assert all(type(port) is int for port in records.ports(value).values())
    assert all(type(team["namespace"]) is str for team in folders.teams(value).values())
    assert all(type(entry["pid"]) is int and entry["pid"] > 1 for entry in reaper.children(value).values())


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", sorted(PARSERS))
def test_a_damaged_record_counts_as_missing(state: State, name: str, damage: str) -> None:
    path = state.root / name
    DAMAGES[damage](path)
    assert records.damaged(state.root, PARSERS) == [name]
    assert reaper.recorded(str(state.processes)) == []
    reaper.end(str(state.processes))
    assert state.holder() is None
    assert state.runtime.name.startswith("vellum-")
    first = Ports(state.root / "ports.json").get("qdrant/http")
    assert Ports(state.root / "ports.json").get("qdrant/http") == first


@pytest.mark.parametrize("name", [*FILES, *LAYOUT.files, *FOLDERS])
def test_what_is_no_file_is_refused_before_anybody_waits_for_it(state: State, name: str) -> None:
    path = state.root / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    with pytest.raises(LaptopError, match="VEL418" if name != ".vellum" else "VEL418|VEL401") as error:
        State.open(state.root, LAYOUT)
    subprocess.run(error.value.fix.removeprefix("move it away: "), shell=True, check=True)
    State.open(state.root, LAYOUT)


@pytest.mark.parametrize("name", [*FILES, *LAYOUT.files])
def test_a_folder_in_the_place_of_a_file_is_refused(state: State, name: str) -> None:
    (state.root / name).unlink(missing_ok=True)
    (state.root / name).mkdir()
    with pytest.raises(LaptopError, match="VEL418") as error:
        State.open(state.root, LAYOUT)
    assert error.value.where == str(state.root / name)


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_a_pipe_in_the_place_of_a_record_makes_no_reader_wait(state: State, name: str) -> None:
    os.mkfifo(state.root / name)
    assert read_json(state.root / name, {}) == {}
    for words in (["status"], ["connect"], ["down"]):
        done = subprocess.run(
            [sys.executable, "-m", "vellum.cli", *words],
            env={**os.environ, "VELLUM_STATE": str(state.root)},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert "error VEL" in done.stderr


def test_one_wrong_port_costs_no_other_its_own(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    path.write_text(json.dumps({"a": 18_500, "b": "18501", "c": None, "d": 18_500, "e": True}))
    ports = Ports(path)
    assert ports.get("a") == 18_500
    assert len({ports.get(name) for name in "abcde"}) == 5
