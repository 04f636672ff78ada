"""Which team a command means: one rule for all, asked of a real socket behind which nothing is started."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vellum.api import claim
from vellum.cli import options
from vellum.errors import UsageError
from vellum.laptop import service
from vellum.laptop.daemon import Commands
from vellum.laptop.installation import CLAIM, Installation
from vellum.laptop.state import State

CLAIMS = ["default/both", "default/here", "other/both", "other/there"]


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """Return an installation with four claims that answers on its socket; nobody composes anything."""
    folder = Path(tempfile.mkdtemp(prefix="vellum-test-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("VELLUM_STATE", str(folder / "state"))
    found = Installation(State.open(folder / "state"))
    for name in CLAIMS:
        namespace, _, last = name.partition("/")
        found.apply(claim.Claim(namespace, last, claim.claim_spec()()).manifest())
    server = service.serve(found.state, Commands(found, threading.Event()))
    yield found
    server.shutdown()
    server.server_close()
    found.supervisor.close()
    found.store.close()
    shutil.rmtree(folder)


def vellum(*arguments: str) -> tuple[int, str]:
    argv = [sys.executable, "-m", "vellum.cli", *arguments]
    done = subprocess.run(argv, env=dict(os.environ), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def stored(installation: Installation) -> list[str]:
    found = (obj["metadata"] for obj in installation.store.list(CLAIM.api_version, CLAIM.kind))
    return [f"{meta['namespace']}/{meta['name']}" for meta in found]


@pytest.mark.parametrize(
    ("team", "gone"),
    [("here", "default/here"), ("there", "other/there"), ("default/both", "default/both"), ("other/both", "other/both")],
)  # fmt: skip
def test_delete_takes_the_one_claim_that_is_meant(installation: Installation, team: str, gone: str) -> None:
    assert vellum("delete", team) == (0, f"{gone} is gone.\n")
    assert stored(installation) == [name for name in CLAIMS if name != gone]


@pytest.mark.parametrize(
    ("team", "code", "fix"),
    [
        ("both", "VEL705", "say which, as NAMESPACE/NAME: default/both, other/both"),
        ("nobody", "VEL704", f"known: {', '.join(CLAIMS)}"),
        ("default/there", "VEL704", f"known: {', '.join(CLAIMS)}"),
    ],
)
def test_delete_takes_nothing_where_it_is_unclear(
    installation: Installation, team: str, code: str, fix: str
) -> None:
    status, said = vellum("delete", team)
    assert (status, code in said, fix in said) == (1, True, True)
    assert stored(installation) == CLAIMS


@pytest.mark.parametrize(
    ("team", "known", "code", "what"),
    [
        (None, [], "VEL704", "there is no claim yet"),
        (None, CLAIMS, "VEL705", "4 claims are meant"),
        ("both", CLAIMS, "VEL705", "'both' names 2 claims"),
        ("nobody", CLAIMS, "VEL704", "there is no claim 'nobody'"),
    ],
)
def test_what_is_unclear_is_said(team: str | None, known: list[str], code: str, what: str) -> None:
    with pytest.raises(UsageError) as error:
        options.one_team(team, known)
    assert (error.value.code, error.value.what) == (code, what)


def test_the_only_claim_needs_no_name() -> None:
    assert options.one_team(None, ["other/there"]) == "other/there"


def test_completion_offers_what_is_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VELLUM_STATE", str(tmp_path))
    (tmp_path / "teams.json").write_text(json.dumps(dict.fromkeys(CLAIMS)))
    monkeypatch.setenv("_VELLUM_COMPLETE", "bash_complete")
    offered = {}
    for word in ("", "th", "other/"):
        monkeypatch.setenv("COMP_WORDS", f"vellum delete {word}")
        monkeypatch.setenv("COMP_CWORD", "2")
        program = str(Path(sys.executable).with_name("vellum"))
        done = subprocess.run([program], capture_output=True, text=True, check=False)
        offered[word] = [line.partition(",")[2] for line in done.stdout.splitlines()]
    assert offered == {
        "": ["default/both", "here", "other/both", "there"],
        "th": ["there"],
        "other/": ["other/both", "other/there"],
    }
