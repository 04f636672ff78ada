"""The state directory: private, owned by one user, and never half a file."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from vellum.connect.installation import MARK
from vellum.errors import LaptopError
from vellum.host.files import read_json, write, write_json
from vellum.host.state import State


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run").mkdir()
    return State.open(tmp_path / "a folder" / "state")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refused(root: Path) -> str:
    with pytest.raises(LaptopError, match="VEL401") as error:
        State.open(root)
    assert error.value.fix
    return error.value.what.removeprefix("the state directory ")


def test_nobody_else_can_read_anything(state: State) -> None:
    write(state.root / "seed", b"seed")
    write_json(state.root / "secrets" / "team" / "binding.json", {})
    files = [state.root / MARK, state.root / "seed", state.root / "secrets" / "team" / "binding.json"]
    folders = [state.root, state.root / "secrets", state.open_runtime()]
    assert ({mode(path) for path in files}, {mode(path) for path in folders}) == ({0o600}, {0o700})


def test_opening_it_again_changes_nothing(state: State) -> None:
    before = {path: path.read_bytes() for path in state.root.iterdir()}
    assert State.open(state.root) == state
    assert {path: path.read_bytes() for path in state.root.iterdir()} == before


def test_what_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    open_to_all, full = tmp_path / "open", tmp_path / "full"
    open_to_all.mkdir(mode=0o755)
    full.mkdir(mode=0o700)
    (full / "thesis.tex").write_text("years of work")
    (tmp_path / "link").symlink_to(full)
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    assert [refused(tmp_path / name) for name in ("open", "full", "link", "file", "nowhere", "file/below")] == [
        "can be read by others (mode 755)",
        "holds other things",
        "is not a directory",
        "cannot be used: File exists",
        "cannot be used: File exists",
        "cannot be used: Not a directory",
    ]
    assert [path.name for path in full.iterdir()] == ["thesis.tex"]


def test_an_empty_folder_and_one_whose_first_start_was_killed_are_taken(tmp_path: Path) -> None:
    for name in ("empty", "killed"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "killed" / f".{MARK}.4711.1.new").write_text("This direc")
    for name in ("empty", "killed"):
        assert (State.open(tmp_path / name).root / MARK).exists()


def test_only_what_carries_our_mark_is_deleted(state: State, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    (state.root / "data").symlink_to(mine)
    State(mine).delete()
    runtime = state.open_runtime()
    state.delete()
    assert (state.root.exists(), runtime.exists()) == (False, False)
    assert [path.name for path in mine.iterdir()] == ["thesis.tex"]


def test_a_file_is_never_seen_half_written(tmp_path: Path) -> None:
    path, contents = tmp_path / "file", {letter * 100_000 for letter in "ab"}
    write(path, "a" * 100_000)
    done = threading.Event()

    def writes(content: str) -> None:
        while not done.is_set():
            write(path, content)

    writers = [threading.Thread(target=writes, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    seen = {path.read_text() for _ in range(300)}
    done.set()
    for writer in writers:
        writer.join()
    assert seen <= contents
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_killed_writer_leaves_the_old_content_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, "0")
    words = (
        "import itertools, sys; from pathlib import Path; from vellum.host.files import write\n"
        "print(flush=True)\nfor n in itertools.count(): write(Path(sys.argv[1]), str(n) * 10_000, durable=True)"
    )
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", words, str(path)], stdout=subprocess.PIPE)
        assert writer.stdout
        writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        text = path.read_text()
        assert text == text[: len(text) // 10_000 or 1] * min(10_000, len(text))


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        write(tmp_path / "taken", "content")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_derived_json_that_is_damaged_counts_as_missing(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    seen = [read_json(path, {})]
    write_json(path, {"a": 1})
    seen.append(read_json(path, {}))
    os.truncate(path, 3)
    assert [*seen, read_json(path, {}), read_json(path, None)] == [{}, {"a": 1}, {}, None]
