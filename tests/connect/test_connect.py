"""vellum.connect() finds one team's binding and says clearly when it cannot."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

import vellum
from vellum.connect import sources
from vellum.connect.installation import MARK, state_root
from vellum.errors import BindingError
from vellum.host import launch
from vellum.host.state import State
from vellum.kube.objects import secret
from vellum.laptop import mounts


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (*vellum.Binding.__dataclass_fields__, "VELLUM_BINDING_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VELLUM_STATE", str(tmp_path / "state"))
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def supervisor(state: Path) -> Iterator[IO[bytes]]:
    """Hold the lock of a running supervisor."""
    with (state / ".vellum").open("wb") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        yield mark


def test_where_nobody_runs_the_platform_nobody_is_given_a_key(state: Path, supervisor: IO[bytes]) -> None:
    add_team(state, "team-a/research", "team")
    assert vellum.connect().VELLUM_BUCKET == "team"
    supervisor.close()
    stopped = ("VEL607", "the platform is not running, and another program may have its port")
    assert failure() == failure("research") == stopped
    (state / ".vellum").unlink()
    assert failure() == stopped


def mount(folder: Path, **values: str) -> Path:
    folder.mkdir(parents=True)
    for name, value in values.items():
        (folder / name).write_text(value)
    return folder


def add_team(state: Path, claim: str, namespace: str) -> None:
    path = state / "teams.json"
    teams = json.loads(path.read_text()) if path.exists() else {}
    mount(state / "secrets" / namespace / "vellum-binding", VELLUM_BUCKET=namespace)
    path.write_text(json.dumps({**teams, claim: {"namespace": namespace}}))


def failure(team: str | None = None) -> tuple[str, str]:
    with pytest.raises(BindingError) as caught:
        vellum.connect(team)
    return caught.value.code, caught.value.what


def test_a_mounted_folder_gives_what_its_files_say_and_none_for_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = mount(tmp_path / "mounted", VELLUM_BUCKET="b\n", QDRANT_URL="http://q", QDRANT_API_KEY="", OTHER="x")
    monkeypatch.setenv("VELLUM_BINDING_DIR", str(folder))
    expected = vellum.Binding(VELLUM_BUCKET="b", QDRANT_URL="http://q", source=str(folder))
    assert vellum.connect() == expected


def test_a_kubelet_s_symlinked_mount_is_read_and_a_replacement_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = tmp_path / "mounted"
    mount(mounted / "..2026_1", VELLUM_BUCKET="old")
    mount(mounted / "..2026_2", VELLUM_BUCKET="new")
    (mounted / "..data").symlink_to("..2026_1")
    (mounted / "VELLUM_BUCKET").symlink_to("..data/VELLUM_BUCKET")
    monkeypatch.setenv("VELLUM_BINDING_DIR", str(mounted))
    before = vellum.connect().VELLUM_BUCKET
    (mounted / "..data_tmp").symlink_to("..2026_2")
    (mounted / "..data_tmp").replace(mounted / "..data")
    assert (before, vellum.connect().VELLUM_BUCKET) == ("old", "new")


def test_the_environment_answers_only_when_it_names_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the user's own key")
    assert failure()[0] == "VEL604"
    monkeypatch.setenv("VELLUM_BUCKET", "b")
    assert vellum.connect().as_env() == {"AWS_ACCESS_KEY_ID": "the user's own key", "VELLUM_BUCKET": "b"}


def test_a_named_team_wins_over_everything_else(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_team(state, "team-a/research", "team-a-research-1")
    monkeypatch.setenv("VELLUM_BUCKET", "b")
    assert vellum.connect("research").VELLUM_BUCKET == "team-a-research-1"
    assert vellum.connect("team-a/research") == vellum.connect("research")


def test_the_only_team_of_this_machine_needs_no_name(state: Path) -> None:
    add_team(state, "team-a/research", "team-a-research-1")
    assert vellum.connect().VELLUM_BUCKET == "team-a-research-1"


def test_two_teams_need_a_name_and_two_of_the_same_name_need_the_namespace(state: Path) -> None:
    add_team(state, "team-a/research", "ns-a")
    add_team(state, "team-b/research", "ns-b")
    assert failure() == ("VEL602", "this machine has 2 teams: team-a/research, team-b/research")
    assert failure("research") == ("VEL602", "'research' names 2 teams: team-a/research, team-b/research")
    assert vellum.connect("team-b/research").VELLUM_BUCKET == "ns-b"


def test_an_unknown_team_is_told_which_ones_there_are(state: Path) -> None:
    add_team(state, "team-a/research", "ns-a")
    assert failure("other") == ("VEL601", "team 'other' does not exist here; known teams: team-a/research")


@pytest.mark.parametrize("content", ["", "[]", '{"a/b": "c"}', '{"a/b": {}}', "\xff"])
def test_a_broken_list_of_teams_is_an_error_in_words(state: Path, content: str) -> None:
    (state / "teams.json").write_bytes(content.encode("latin-1"))
    assert failure()[0] == "VEL603"


def test_a_missing_folder_says_where_it_was_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VELLUM_BINDING_DIR", str(tmp_path / "absent"))
    with pytest.raises(BindingError) as caught:
        vellum.connect()
    assert (caught.value.code, caught.value.where) == ("VEL603", str(tmp_path / "absent"))


def test_require_names_every_missing_part_and_the_next_command() -> None:
    binding = vellum.Binding(VELLUM_BUCKET="b")
    assert binding.require("VELLUM_BUCKET") is binding
    with pytest.raises(BindingError) as caught:
        binding.require("VELLUM_BUCKET", "QDRANT_URL", "QDRANT_API_KEY")
    assert str(caught.value) == "VEL605: the binding has no QDRANT_URL, QDRANT_API_KEY yet (code)"
    assert "vellum status" in caught.value.fix


def test_printing_a_binding_shows_no_key() -> None:
    binding = vellum.Binding(AWS_ACCESS_KEY_ID="k1", AWS_SECRET_ACCESS_KEY="k2", QDRANT_API_KEY="k3", VELLUM_BUCKET="b")
    assert repr(binding) == (
        "Binding(AWS_ACCESS_KEY_ID=***, AWS_SECRET_ACCESS_KEY=***, VELLUM_BUCKET='b', QDRANT_API_KEY=***, source='code')"
    )


def test_other_things_in_a_mounted_folder_are_not_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A projected volume may hold certificates, and a volume's root has ``lost+found``."""
    folder = mount(tmp_path / "mounted", VELLUM_BUCKET="b", PATH="/bad", PYTHONPATH="/bad", LD_PRELOAD="bad.so")
    (folder / "lost+found").mkdir()
    (folder / "SUB_FOLDER").mkdir()
    (folder / "cert.p12").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("VELLUM_BINDING_DIR", str(folder))
    assert vellum.connect().as_env() == {"VELLUM_BUCKET": "b"}
    assert len({vellum.connect(), vellum.connect()}) == 1


def test_the_keys_of_an_unknown_part_are_attributes_and_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = mount(tmp_path / "mounted", VELLUM_BUCKET="b", TRACKING_PASSWORD="secret")
    monkeypatch.setenv("VELLUM_BINDING_DIR", str(folder))
    binding = vellum.connect().require("TRACKING_PASSWORD")
    assert (binding.TRACKING_PASSWORD, binding.as_env()) == (
        "secret",
        {"VELLUM_BUCKET": "b", "TRACKING_PASSWORD": "secret"},
    )
    assert repr(binding) == f"Binding(VELLUM_BUCKET='b', TRACKING_PASSWORD=***, source={str(folder)!r})"
    with pytest.raises(AttributeError, match="the binding has no TRACKING_URI"):
        _ = binding.TRACKING_URI


def test_the_module_of_that_name_can_be_called_however_it_was_imported(state: Path) -> None:
    add_team(state, "team-a/research", "ns-a")
    program = (
        "import vellum.connect, vellum; print(vellum.connect().VELLUM_BUCKET, vellum.connect('research').VELLUM_BUCKET)"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        == "ns-a ns-a\n"
    )


def test_connecting_needs_the_standard_library_only() -> None:
    program = (
        "import sys; before = set(sys.modules); import vellum; vellum.connect; "
        "new = {m.partition('.')[0] for m in set(sys.modules) - before}; "
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        == "['vellum']\n"
    )


def test_the_clients_reach_the_addresses_of_the_binding() -> None:
    binding = vellum.Binding(
        AWS_ACCESS_KEY_ID="k", AWS_SECRET_ACCESS_KEY="s", AWS_ENDPOINT_URL="http://127.0.0.1:1", VELLUM_BUCKET="b"
    )
    client = binding.s3()
    assert client.meta.endpoint_url == "http://127.0.0.1:1"
    assert "X-Amz-Signature=" in client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})


def test_the_client_of_the_vectors_does_not_warn_of_http_on_loopback() -> None:
    binding = vellum.Binding(QDRANT_URL="http://127.0.0.1:1/qdrant/team", QDRANT_API_KEY="a key", source="here")
    before = set(threading.enumerate())
    with warnings.catch_warnings(record=True) as text:
        warnings.simplefilter("always")
        binding.qdrant().close()
        # It also asks for the server's version, and warns that no server answers.
        for thread in set(threading.enumerate()) - before:
            thread.join()
    assert [item for item in text if "insecure" in str(item.message)] == []


def test_it_reads_a_laptops_state_and_its_supervisors_lock(state: Path) -> None:
    """It looks in the default state directory and checks the lock of the supervisor."""
    assert (state_root(), MARK) == (state, ".vellum")


@pytest.mark.parametrize("kubelet", [False, True])
def test_keys_that_are_replaced_thousands_of_times_are_never_mixed(tmp_path: Path, *, kubelet: bool) -> None:
    """Both readers: ``vellum.connect``, and the launcher, which makes environment variables of the keys."""
    state, done = State(tmp_path), threading.Event()
    folder = state.secrets("team") / "vellum-binding"
    put = as_a_kubelet if kubelet else as_the_laptop
    put(state, 0)

    def replace() -> None:
        for number in range(1, 2001):
            put(state, number)
        done.set()

    writer = threading.Thread(target=replace)
    writer.start()
    pairs = set()
    while not done.is_set():
        binding, environment = sources.read_folder(folder), launch.variables(str(folder))
        pairs.add((binding.AWS_ACCESS_KEY_ID, binding.AWS_SECRET_ACCESS_KEY))
        pairs.add((environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")))
    writer.join()
    assert sources.read_folder(folder).AWS_ACCESS_KEY_ID == "2000"
    assert len(pairs) > 5
    assert [pair for pair in pairs if pair[0] is None or pair[0] != pair[1]] == []


def as_the_laptop(state: State, number: int) -> None:
    values = {name: str(number) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    mounts.mount(state, secret("vellum-binding", "team", values))


def as_a_kubelet(state: State, number: int) -> None:
    folder, values = state.secrets("team") / "vellum-binding", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    fresh = mount(folder / f"..{number}", **dict.fromkeys(values, str(number)))
    (folder / "..data_tmp").symlink_to(fresh.name)
    (folder / "..data_tmp").replace(folder / "..data")
    if number:
        shutil.rmtree(folder / f"..{number - 1}")


def test_a_link_to_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "..data").symlink_to("..gone")
    with pytest.raises(BindingError, match="VEL603"):
        sources.read_folder(tmp_path)
    assert launch.variables(str(tmp_path)) == {}
