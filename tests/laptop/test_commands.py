"""What commands do before anything runs: asked of a real socket behind which nothing is started."""

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
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from vellum.api import claim
from vellum.cli import claims, options, teams
from vellum.components import platform_components
from vellum.components.notebook import HOME
from vellum.connect.installation import MARK
from vellum.errors import UsageError, VellumError
from vellum.host import control
from vellum.host.client import Client
from vellum.host.ports import release
from vellum.host.state import State
from vellum.kube.objects import KEEP_FOLDER, Key, Obj, make
from vellum.laptop.daemon import Commands
from vellum.laptop.installation import Installation, clock
from vellum.laptop.mounts import VolumeController
from vellum.model.platform import PLATFORM
from vellum.model.team import CLAIM, Team

CLAIMS = ["default/both", "default/here", "other/both", "other/there"]
BUCKET_VOLUME = "vellum-storage/seaweed-store/data/vellum-default-gone-c25esaspfur2_7.dat"


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """Return an installation with four claims that answers on its socket and composes nothing."""
    folder = Path(tempfile.mkdtemp(prefix="vellum-test-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("VELLUM_STATE", str(folder / "state"))
    result = Installation(State.open(folder / "state"))
    for name in CLAIMS:
        namespace, _, last = name.partition("/")
        result.apply(claim.Claim(namespace, last, claim.claim_spec()()).manifest())
    server = control.serve(result.state.socket, Commands(result, threading.Event()).answer)
    yield result
    server.close()
    result.supervisor.close()
    result.store.close()
    release(result.state.root)
    shutil.rmtree(folder)


def vellum(*arguments: str) -> tuple[int, str]:
    argv = [sys.executable, "-m", "vellum.cli", *arguments]
    done = subprocess.run(
        argv, env=dict(os.environ), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def stored(installation: Installation) -> list[str]:
    result = (obj["metadata"] for obj in installation.store.list(*CLAIM))
    return [f"{meta['namespace']}/{meta['name']}" for meta in result]


@pytest.mark.parametrize(
    ("team", "gone"),
    [
        ("here", "default/here"),
        ("there", "other/there"),
        ("default/both", "default/both"),
        ("other/both", "other/both"),
    ],
)
def test_delete_takes_the_one_claim_that_is_meant(installation: Installation, team: str, gone: str) -> None:
    status, output = vellum("delete", team, "--yes")
    assert (status, output.splitlines()[-1]) == (0, f"{gone} is gone.")
    assert stored(installation) == [name for name in CLAIMS if name != gone]


def test_an_installation_without_an_object_is_not_ready(installation: Installation) -> None:
    """Ctrl-C may end `up` after the supervisor starts and before the claim is stored."""
    for kind in (CLAIM, PLATFORM.gvk):
        for obj in installation.store.list(*kind):
            installation.store.delete(Key.of(obj))
    status, output = vellum("status")
    assert (status, output.splitlines()[-1]) == (
        3,
        "This installation does not have a claim yet. Run `vellum up FILE`.",
    )


def test_validate_refuses_one_claim_in_two_files_as_up_does(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(
            "apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlatform\nmetadata: {name: t}\nspec: {}\n"
        )
    first, second = str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")
    wrong = {
        "code": "VEL118",
        "what": "default/t is written twice",
        "where": f"{first} and {second}",
        "fix": "delete one of the two",
    }
    status, output = vellum("validate", first, second, "--output", "json")
    assert (status, json.loads(output)) == (
        1,
        [{"file": first, "objects": ["MLOpsPlatform t"]}, {"file": second, "error": wrong, "errors": [wrong]}],
    )


def test_validate_of_a_folder_names_the_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    place = "  where: a.yaml\n  next:  see examples/02-minimal/claim.yaml\n"
    assert vellum("validate", ".") == (1, f"VEL102: the file does not have an object\n{place}")


def test_retain_blocks_a_deletion_while_the_data_still_says_delete(installation: Installation) -> None:
    key = Key(CLAIM.api_version, CLAIM.kind, "default", "here")
    live = installation.store.get(key) or {}
    installation.store.patch_status(key, live["metadata"]["uid"], {"deletionPolicy": "Delete"})
    status, output = vellum("delete", "here", "--yes")
    assert (status, "VEL417" in output, stored(installation)) == (1, True, CLAIMS)

    installation.store.patch_status(key, live["metadata"]["uid"], {"deletionPolicy": "Retain"})
    assert vellum("delete", "here", "--yes")[0] == 0


@pytest.mark.parametrize(("policy", "word", "kept"), [("Retain", "stays", True), ("Delete", "goes", False)])
@pytest.mark.parametrize("before", [{}, {KEEP_FOLDER: "yes"}, {KEEP_FOLDER: "no"}])
def test_the_home_stays_or_goes_as_delete_prints(
    installation: Installation, policy: str, word: str, kept: bool, before: dict[str, str]
) -> None:
    """A claim that cannot be composed has a volume of an earlier version, or of its former deletionPolicy."""
    store, state = installation.store, installation.state
    key = Key(CLAIM.api_version, CLAIM.kind, "default", "here")
    owner = store.put({**(store.get(key) or {}), "spec": {"deletionPolicy": policy}})
    space = Team("default", "here", "").namespace
    volume = make("v1", "PersistentVolumeClaim", HOME, space, annotations=before, spec={"accessModes": []})
    store.ensure(make("v1", "Namespace", space))
    store.apply(volume, owner=owner, resource="notebook-home")
    controller = VolumeController(state)
    controller.reconcile(store, Key.of(volume), clock())
    (state.data(space, HOME) / "thesis.ipynb").write_text("{}")

    status, output = vellum("delete", "here", "--yes")
    assert status == 0, output
    assert f"{word:5}" in next(line for line in output.splitlines() if "home" in line)
    store.delete(Key.of(volume))
    controller.reconcile(store, Key.of(volume), clock())
    assert store.get(Key.of(volume)) is None
    assert (state.data(space, HOME) / "thesis.ipynb").exists() is kept


def on_a_terminal(answer: str, *arguments: str) -> tuple[int, str]:
    """Run a command on a terminal and answer its question."""
    ours, its = os.openpty()
    argv = [sys.executable, "-m", "vellum.cli", *arguments]
    with subprocess.Popen(argv, stdin=its, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        os.close(its)
        os.write(ours, answer.encode())
        text = running.communicate(timeout=30)[0]
    os.close(ours)
    return running.returncode, text


@pytest.mark.parametrize("words", [("here",), ("--team", "here"), ("default/here", "-t", "default/here")])
def test_delete_asks_and_a_no_changes_nothing(installation: Installation, words: tuple[str, ...]) -> None:
    """However the team is named, nothing is deleted before a person or ``--yes`` confirms."""
    what = "VEL712: the team default/here would be deleted, but no terminal is attached to confirm it"
    before = installation.store.version
    status, output = vellum("delete", *words)
    assert (status, output.endswith(refused(what, "this installation", "pass --yes")[1])) == (1, True)
    for answer in ("\n", "n\n", "no\n"):
        status, output = on_a_terminal(answer, "delete", *words)
        assert (status, "Delete the team default/here? [y/N]" in output) == (130, True)
    assert (installation.store.version, stored(installation)) == (before, CLAIMS)

    assert on_a_terminal("y\n", "delete", *words)[0] == 0
    assert stored(installation) == [name for name in CLAIMS if name != "default/here"]


@pytest.mark.parametrize(("policy", "word"), [("Retain", "stays"), ("Delete", "goes ")])
def test_delete_says_what_goes_and_what_stays(installation: Installation, policy: str, word: str) -> None:
    """The notebook's home, the vectors and the bucket go or stay together; each line has its size."""
    spec = claim.claim_spec().model_validate({"deletionPolicy": policy})
    installation.apply(claim.Claim("default", "here", spec).manifest())
    team = Team("default", "here", "")
    for folder in (
        installation.state.data(team.namespace, HOME),
        installation.state.data("vellum-vectors", f"data-{team.qdrant}-0"),
    ):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x" * 4096)
    messages = [line.split() for line in vellum("delete", "here")[1].splitlines()]
    named = {" ".join(words[1:-4] if words[-1] == "KiB" else words[1:3]): words for words in messages}
    assert named[f"notebook's home {HOME}"][:1] + named[f"notebook's home {HOME}"][-4:] == [
        word.strip(),
        "1",
        "file,",
        "4.0",
        "KiB",
    ]
    assert named[f"vectors {team.qdrant}"][:1] + named[f"vectors {team.qdrant}"][-4:] == [
        word.strip(),
        "1",
        "file,",
        "4.0",
        "KiB",
    ]
    assert named[f"bucket {team.bucket}"][0] == word.strip()
    assert named[f"namespace {team.namespace}"][0] == "goes"


def test_a_team_is_named_in_one_way_at_a_time(installation: Installation) -> None:
    status, output = vellum("delete", "here", "--team", "there", "--yes")
    assert (status, "TEAM is 'here', but --team is 'there'." in output) == (2, True)
    assert stored(installation) == CLAIMS


@pytest.mark.parametrize("words", [("here",), ("default/here",), ("--team", "here")])
def test_status_of_a_team_is_of_that_team_alone(installation: Installation, words: tuple[str, ...]) -> None:
    """The exit code is that of the one team, whatever the others wait for."""
    key = Key(CLAIM.api_version, CLAIM.kind, "default", "here")
    live = installation.store.get(key)
    assert live is not None
    status, output = vellum("status", *words)
    assert (status, output.splitlines()) == (3, ["here: not ready", "processes"])
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "observedGeneration": live["metadata"]["generation"]}
    installation.store.patch_status(key, live["metadata"]["uid"], ready)
    status, output = vellum("status", *words, "--output", "json")
    result = json.loads(output)
    assert (status, result["ready"], [obj["metadata"]["name"] for obj in result["objects"]]) == (0, True, ["here"])
    assert vellum("status")[0] == 3


def test_explain_of_a_team_says_its_parts_and_what_a_deletion_takes(installation: Installation) -> None:
    key = Key(CLAIM.api_version, CLAIM.kind, "default", "here")
    live = installation.store.get(key)
    assert live is not None
    parts = [{"name": "qdrant", "ready": False, "reason": "the pod starts", "actor": "the kubelet"}]
    status = {"components": parts, "endpoints": {"s3": "http://127.0.0.1:1"}}
    installation.store.patch_status(key, live["metadata"]["uid"], status)
    team = Team("default", "here", "")
    done, output = vellum("explain", "here")
    assert (done, output.splitlines()) == (
        0,
        [
            "PART    STATE  WHAT IT IS",
            "qdrant  waits  The team's vector database with its own keys",
            "  the pod starts; next: the kubelet",
            "",
            "ADDRESS",
            "s3       http://127.0.0.1:1",
            "",
            "WHEN THE CLAIM IS DELETED (deletionPolicy: Retain)",
            f"  goes   namespace        {team.namespace}         with its keys, jobs, models and settings",
            f"  stays  notebook's home  {HOME}",
            f"  stays  bucket           {team.bucket}",
            f"  stays  vectors          {team.qdrant}",
        ],
    )
    done, output = vellum("explain", "default/here", "--output", "json")
    assert (done, json.loads(output)["deletion"][1]) == (0, {"what": "notebook's home", "name": HOME, "stays": True})


@pytest.mark.parametrize("command", ["status", "explain"])
def test_an_unknown_team_is_answered_with_the_teams(installation: Installation, command: str) -> None:
    what = "VEL704: claim 'team-z' does not exist"
    assert vellum(command, "team-z") == refused(what, "this installation", f"known: {', '.join(CLAIMS)}")
    what = "VEL705: 'both' names 2 claims"
    fix = "name one as NAMESPACE/NAME: default/both, other/both"
    assert vellum(command, "both") == refused(what, "this installation", fix)


@pytest.mark.parametrize(
    ("team", "code", "fix"),
    [
        ("both", "VEL705", "name one as NAMESPACE/NAME: default/both, other/both"),
        ("team-z", "VEL704", f"known: {', '.join(CLAIMS)}"),
        ("default/there", "VEL704", f"known: {', '.join(CLAIMS)}"),
    ],
)
def test_delete_takes_nothing_where_it_is_unclear(installation: Installation, team: str, code: str, fix: str) -> None:
    status, output = vellum("delete", team)
    assert (status, code in output, fix in output) == (1, True, True)
    assert stored(installation) == CLAIMS


@pytest.mark.parametrize(
    ("team", "known", "code", "what"),
    [
        (None, [], "VEL704", "this installation does not have a claim yet"),
        (None, CLAIMS, "VEL705", "4 claims exist"),
        ("both", CLAIMS, "VEL705", "'both' names 2 claims"),
        ("team-z", CLAIMS, "VEL704", "claim 'team-z' does not exist"),
    ],
)
def test_what_is_unclear_is_said(team: str | None, known: list[str], code: str, what: str) -> None:
    with pytest.raises(UsageError) as error:
        teams.one_team(team, known)
    assert (error.value.code, error.value.what) == (code, what)


def test_the_only_claim_needs_no_name() -> None:
    assert teams.one_team(None, ["other/there"]) == "other/there"


@pytest.mark.parametrize("words", ["delete", "status", "explain", "delete --team", "status -t", "connect"])
def test_completion_offers_what_is_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """A team's name alone is offered where no other team has it."""
    monkeypatch.setenv("VELLUM_STATE", str(tmp_path))
    (tmp_path / "teams.json").write_text(json.dumps({name: {"namespace": name} for name in CLAIMS}))
    monkeypatch.setenv("_VELLUM_COMPLETE", "bash_complete")
    offered = {}
    for word in ("", "th", "other/"):
        monkeypatch.setenv("COMP_WORDS", f"vellum {words} {word}")
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) + 1))
        program = str(Path(sys.executable).with_name("vellum"))
        done = subprocess.run([program], capture_output=True, text=True, check=False)
        offered[word] = [line.partition(",")[2] for line in done.stdout.splitlines()]
    assert offered == {
        "": ["default/both", "here", "other/both", "there"],
        "th": ["there"],
        "other/": ["other/both", "other/there"],
    }


def test_explain_of_a_field_needs_no_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of a field means the field, unless a team has that name."""
    monkeypatch.setenv("VELLUM_STATE", str(tmp_path))
    assert vellum("explain", "size") == vellum("explain", "spec.size")
    assert vellum("explain", "size")[0] == 0
    (tmp_path / MARK).touch()
    tmp_path.chmod(0o700)
    (tmp_path / "teams.json").write_text('{"default/size": {"namespace": "x"}}')
    assert "VEL406: the platform is not running" in vellum("explain", "size")[1]


def refused(what: str, where: object, fix: str) -> tuple[int, str]:
    """Return the exit code and the text of a refusal."""
    return 1, f"error {what}\n  where: {where}\n  next:  {fix}\n"


def test_a_documents_name_can_not_write_to_the_terminal_as_it_likes() -> None:
    name = "x\x1b[31mred\x1b]0;title\x07\rspoof\nok  ü 字.pdf"
    assert options.printable(name) == "x\\x1b[31mred\\x1b]0;title\\x07\\rspoof\\nok  ü 字.pdf"


def test_nothing_is_deleted_where_nobody_can_be_asked(installation: Installation) -> None:
    what = "VEL712: everything would be deleted, but no terminal is attached to confirm it"
    installation.state.data("gone-team", HOME).mkdir(parents=True)
    (installation.state.data("gone-team", HOME) / "file").write_bytes(b"x" * 4096)
    status, output = vellum("down", "--delete-data")
    assert (status, output.endswith(refused(what, installation.state.root, "pass --yes")[1])) == (1, True)
    assert "1 file, 4.0 KiB" in output


@pytest.mark.parametrize("place", ["gone-team/notebook-workspace", "vellum-vectors/data-qdrant-gone-0", BUCKET_VOLUME])
def test_down_names_the_data_of_deleted_teams_if_there_is_any(installation: Installation, place: str) -> None:
    known = {item: Team(item.partition("/")[0], item.partition("/")[2], "") for item in CLAIMS}
    record = {item: {"namespace": team.namespace} for item, team in known.items()}
    (installation.state.root / "teams.json").write_text(json.dumps(record))
    (installation.state.root / "data" / "vellum-storage/seaweed-store/data/vellum-artifacts_3.dat").mkdir(parents=True)
    for team in known.values():
        for folder in (f"{team.namespace}/{HOME}", f"vellum-vectors/data-{team.qdrant}-0"):
            (installation.state.root / "data" / folder).mkdir(parents=True)
    line = "goes   data of teams that were deleted before"
    assert line not in vellum("down", "--delete-data")[1]
    (installation.state.root / "data" / place).mkdir(parents=True)
    assert line in vellum("down", "--delete-data")[1]


def test_nothing_is_broken_where_nobody_can_be_asked(installation: Installation) -> None:
    what = "VEL712: the command would break parts on purpose, but no terminal is attached to confirm it"
    assert vellum("verify", "repair") == refused(what, "this machine", "pass --yes")


def test_nothing_is_broken_where_a_release_is_not_known(installation: Installation) -> None:
    what = "VEL713: the platform has no Helm release 'kserve'"
    output = vellum("verify", "repair", "--yes", "--release", "kserve")
    assert output == refused(what, "this machine", "known: none")


@pytest.mark.parametrize("command", ["verify repair --yes", "explain platform", "explain platform -o svg"])
def test_where_nothing_runs_the_next_command_is_said(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("VELLUM_STATE", str(tmp_path / "state"))
    fix = "start it with `vellum up claim.yaml`; what it holds is kept"
    output = vellum(*command.split())
    assert output == refused("VEL406: the platform is not running", tmp_path / "state", fix)


def test_where_no_platform_is_stored_the_next_command_is_said(installation: Installation) -> None:
    installation.store.delete(PLATFORM)
    what = "VEL710: KubeflowPlatform kubeflow does not exist"
    assert vellum("explain", "platform") == refused(what, "this machine", "vellum up CLAIM")


def test_the_platform_is_explained_as_a_table(installation: Installation) -> None:
    status, output = vellum("explain", "platform")
    waits = "  it is not composed yet; next: the control plane"
    assert (status, output.splitlines()) == (
        0,
        [
            "PART               STATE  AFTER",
            "storage            waits",
            waits,
            "gateway            waits",
            waits,
            "training-runtimes  waits",
            waits,
            "vector-storage     waits",
            waits,
            "storefront         waits  storage",
            waits,
            "artifacts          waits  storefront",
            waits,
        ],
    )


def test_the_platform_is_explained_as_data(installation: Installation) -> None:
    status, output = vellum("explain", "platform", "--output", "json")
    parts = {part.pop("name"): part for part in json.loads(output)["parts"]}
    waits = {"ready": False, "reason": "it is not composed yet", "actor": "the control plane"}
    assert (status, sorted(parts)) == (
        0,
        ["artifacts", "gateway", "storage", "storefront", "training-runtimes", "vector-storage"],
    )
    assert parts["artifacts"] == {
        **waits,
        "after": ["storage", "storefront"],
        "summary": platform_components()["artifacts"].summary,
    }


def test_the_platform_is_explained_as_a_picture(installation: Installation) -> None:
    status, output = vellum("explain", "platform", "--output", "svg")
    texts = [text.text for text in ET.fromstring(output).iter("{http://www.w3.org/2000/svg}text")]
    assert status == 0
    assert {"artifacts", "gateway", "storage", "vector-storage"} <= set(texts)


def test_the_socket_edits_and_deletes_composed_objects_only(installation: Installation) -> None:
    """The socket refuses to edit any other object."""
    client, claim = Client(installation.state), installation.store.list(*CLAIM)[0]
    wanted = make("v1", "ConfigMap", "settings", "default", data={"ours": "yes"})
    installation.store.apply(wanted, owner=claim, resource="settings")
    edited = {**wanted, "data": {"ours": "no"}}
    wrong = {**claim, "spec": {"notebooks": "perhaps"}}
    nowhere = make("v1", "ConfigMap", "nowhere", "default")

    done = [client.ask("edit", manifest=manifest) for manifest in (edited, wrong, nowhere)]

    assert done == [True, False, False]
    live = [installation.store.get(Key.of(obj)) for obj in (edited, wrong, nowhere)]
    assert [(obj or {}).get("data") for obj in live] == [{"ours": "no"}, None, None]
    assert (live[1], live[2]) == (claim, None)
    assert client.ask("delete", kind=["v1", "ConfigMap"], namespace="default", name="settings") is True
    assert installation.store.get(Key.of(edited)) is None


def test_a_file_deletes_a_teams_own_objects_only(installation: Installation, tmp_path: Path) -> None:
    """`delete --file` refuses objects that the team's claim composed."""
    owner, kind = installation.store.list(*CLAIM)[0], "InferenceService"
    search, own = (
        make(
            "serving.kserve.io/v1beta1",
            kind,
            name,
            "team",
            labels={"networking.kserve.io/visibility": "cluster-local"},
            spec={
                "predictor": {
                    "model": {"modelFormat": {"name": "skops"}, "runtime": "vellum-skops", "args": ["--model=m"]}
                }
            },
        )
        for name in ("search", "own")
    )
    installation.store.put(make("v1", "Namespace", "team"))
    installation.store.apply(search, owner=owner, resource="search")
    installation.store.put(own)
    files = [tmp_path / f"{item['metadata']['name']}.json" for item in (search, own)]
    for file, item in zip(files, (search, own), strict=True):
        file.write_text(json.dumps(item))

    asked = vellum("delete", "--file", str(files[1]))
    assert (asked[0], "VEL712: InferenceService own would be deleted" in asked[1]) == (1, True)
    assert installation.store.get(Key.of(own))
    done = [vellum("delete", "--file", str(file), "--yes") for file in files]

    assert (done[0][0], "VEL416: InferenceService search belongs to a part of the platform" in done[0][1]) == (1, True)
    assert (done[1][0], done[1][1].splitlines()[-1]) == (0, "InferenceService own is gone.")
    assert [installation.store.get(Key.of(item)) is None for item in (search, own)] == [False, True]
    assert vellum("delete", "--file", str(files[1])) == (0, "InferenceService team/own was not there.\n")


def test_what_an_earlier_version_took_is_deleted_by_its_file(installation: Installation, tmp_path: Path) -> None:
    """Its name is too long by now, a field is not known any more, and another is written twice."""
    old = make("serving.kserve.io/v1beta1", "InferenceService", "m" * 63, "team", spec={"predictor": {"gone": {}}})
    installation.store.put(make("v1", "Namespace", "team"))
    installation.store.put(old)
    file = tmp_path / "old.yaml"
    head = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n"
    rest = "spec: {predictor: {gone: {}, gone: on}}\nspeck: 1\n"
    file.write_text(f"{head}metadata: {{name: {'m' * 63}, namespace: team, generation: x}}\n{rest}")
    assert vellum("apply", str(file))[0] == 1
    status, output = vellum("delete", "--file", str(file), "--yes")
    assert (status, output.splitlines()[-1]) == (0, f"InferenceService {'m' * 63} is gone.")
    assert installation.store.get(Key.of(old)) is None


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("", "VEL102"),
        ("- a\n", "VEL111"),
        ("kind: Pod\napiVersion: v1\nmetadata: {name: x}\n", "VEL120"),
        ("HEADmetadata: {}\n", "VEL113"),
        ("HEADmetadata: {name: 7}\n", "VEL113"),
        ('HEADmetadata: {name: "\\e[2J"}\n', "VEL113"),
        ("HEAD", "VEL113"),
        ("HEADmetadata: {name: a, name: b}\n", "VEL107"),
        ("HEADmetadata: {name: a, namespace: }\n", "VEL109"),
        ("HEADmetadata: {name: a}\nspec: &x {}\n", "VEL106"),
        ("HEADmetadata: {name: a}\nspec: {\n", "VEL105"),
        ("HEADmetadata: {name: a}\n---\n7\n", "VEL111"),
        ("apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlatform\nmetadata: {name: a}\n", "VEL722"),
    ],
)
def test_a_file_that_does_not_name_what_to_delete_is_refused(tmp_path: Path, words: str, code: str) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(words.replace("HEAD", "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n"))
    with pytest.raises(VellumError) as error:
        claims.only_workloads((str(file),))
    assert error.value.code == code


@pytest.mark.parametrize("verb", ["up", "apply"])
def test_a_platform_of_a_cluster_is_refused_and_not_stored(
    installation: Installation, tmp_path: Path, verb: str
) -> None:
    file = tmp_path / "platform.yaml"
    file.write_text(
        "apiVersion: platform.vellum.dev/v1alpha1\nkind: KubeflowPlatform\nmetadata: {name: kubeflow}\nspec: {profile: standard}\n"
    )
    before = installation.store.version
    what = "VEL714: Crossplane installs a platform of profile standard, on a cluster"
    fix = "write profile: local; or look at Crossplane doing it: vellum bench up FILE"
    assert vellum(verb, str(file)) == refused(what, "KubeflowPlatform kubeflow", fix)
    assert installation.store.version == before


def test_status_and_drills_say_that_the_platform_is_not_composed(installation: Installation) -> None:
    """The table is marked as the earlier state, and no drill breaks a part."""
    live = installation.store.get(PLATFORM)
    assert live is not None
    message = "the platform was installed as light, but its spec.profile is local"
    status = {
        "observedGeneration": 1,
        "conditions": [
            {"type": "Synced", "status": "False", "reason": "ReconcileError", "message": "pipeline step failed"},
            {"type": "PartsReady", "status": "False", "reason": "ProfileChanged", "message": message},
        ],
    }
    installation.store.patch_status(PLATFORM, live["metadata"]["uid"], status)
    what = f"VEL715: nothing would be repaired: the platform is not composed any more: {message}"
    fix = "run `vellum explain platform`, and follow its advice"
    assert vellum("verify", "repair", "--yes") == refused(what, "this machine", fix)
    done, output = vellum("explain", "platform")
    assert (done, output.splitlines()[0]) == (
        0,
        f"The platform is not composed any more, so the table is stale: {message}",
    )


def test_what_is_no_kubeconfig_is_refused_by_name(tmp_path: Path) -> None:
    for number, text in enumerate(("", "just words", "a: [", "clusters: 5\n")):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        status, output = vellum("explain", "platform", "--kubeconfig", str(file))
        assert (status, output.partition(" kubeconfig")[0]) == (1, "error VEL718: the file is not a usable")


def test_where_nothing_can_be_written_is_said_in_words(tmp_path: Path) -> None:
    file = tmp_path / "claim.yaml"
    file.write_text("apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlatform\nmetadata: {name: a}\nspec: {}\n")
    folder = tmp_path / "claim.yaml" / "below-a-file"
    expected = refused("VEL720: cannot write to the folder: Not a directory", folder, "name another folder")
    assert vellum("render", str(file), "--output", str(folder)) == expected


def test_a_laptops_platform_is_not_rendered_for_a_cluster(tmp_path: Path) -> None:
    file = tmp_path / "platform.yaml"
    file.write_text(
        "apiVersion: platform.vellum.dev/v1alpha1\nkind: KubeflowPlatform\nmetadata: {name: kubeflow}\nspec: {}\n"
    )
    fix = "write profile: light, or profile: standard, which brings Istio"
    what = "VEL716: a platform of profile local runs only on a laptop"
    assert vellum("render", str(file)) == refused(what, "KubeflowPlatform kubeflow", fix)


def test_nothing_is_broken_that_the_guard_would_not_put_back(installation: Installation) -> None:
    live = installation.store.get(PLATFORM)
    assert live is not None
    status = {
        "components": [{"name": "kserve", "ready": True, "version": "v0.20.0"}],
        "guard": {"kserve": {"phase": "Off"}},
    }
    installation.store.patch_status(PLATFORM, live["metadata"]["uid"], status)
    what = "VEL715: the release guard would not repair kserve: it is Off there"
    fix = "write spec.repair: enabled, and wait until `vellum explain platform` shows ready"
    assert vellum("verify", "repair", "--yes", "--release", "kserve") == refused(what, "this machine", fix)


def rotated(installation: Installation, team: str = "here") -> Obj:
    key = Key(CLAIM.api_version, CLAIM.kind, "default", team)
    result = installation.store.get(key)
    assert result is not None
    keys: Obj = result["spec"]["keys"]
    return keys


def say_of_keys(installation: Installation, team: str = "here", **keys: Any) -> None:
    key = Key(CLAIM.api_version, CLAIM.kind, "default", team)
    result = installation.store.get(key) or {"metadata": {}}
    installation.store.patch_status(key, result["metadata"]["uid"], {**result.get("status", {}), "keys": keys})


def test_rotate_writes_the_next_generation_and_says_what_it_does(installation: Installation) -> None:
    say_of_keys(installation, generation=3)
    status, output = vellum("rotate", "here", "--overlap", "90m", "--output", "json")
    done = json.loads(output.splitlines()[0])
    assert (status, done["before"], done["generation"], done["overlap"]) == (0, 3, 4, "90m")
    assert "Write keys: {generation: 4} into the spec of the claim's file too" in output
    assert rotated(installation) == {"generation": 4, "overlap": "90m"}
    assert rotated(installation, "both") == {}


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"generation": 1, "coming": 2, "waits": ""}, "generation 2 of the keys is not in use yet"),
        (
            {
                "generation": 2,
                "previous": [{"generation": 1, "since": "2026-11-26T21:00:00Z", "until": "2026-11-26T22:00:00Z"}],
            },
            "the earlier keys are accepted until 2026-11-26T22:00:00Z",
        ),
    ],
)
def test_rotate_waits_for_an_earlier_rotation_by_default(
    installation: Installation, keys: dict[str, Any], what: str
) -> None:
    """An option turns the wait off."""
    say_of_keys(installation, **keys)
    status, output = vellum("rotate", "here")
    assert (status, f"VEL725: an earlier rotation is not over: {what}" in output) == (1, True)
    assert rotated(installation) == {}
    assert vellum("rotate", "here", "--again")[0] == 0
    assert rotated(installation) == {"generation": 3}


def test_a_file_without_keys_keeps_them_and_a_lower_generation_is_refused(
    installation: Installation, tmp_path: Path
) -> None:
    head = "apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlatform\nmetadata: {name: here}\n"
    assert vellum("rotate", "here", "--overlap", "2h")[0] == 0
    file = tmp_path / "claim.yaml"
    for spec, expected in (
        ("{}", {"generation": 2, "overlap": "2h"}),
        ("{keys: {overlap: 10s}}", {"generation": 2, "overlap": "10s"}),
        ("{keys: {generation: 2}}", {"generation": 2, "overlap": "10s"}),
        ("{keys: {generation: 5}}", {"generation": 5, "overlap": "10s"}),
    ):
        file.write_text(f"{head}spec: {spec}\n")
        assert vellum("apply", str(file))[0] == 0
        assert rotated(installation) == expected
    file.write_text(f"{head}spec: {{keys: {{generation: 4}}}}\n")
    what = "VEL315: the keys are of generation 5, and the file says 4, whose keys were replaced"
    fix = "write keys: {generation: 5} into the file, or delete the line"
    assert vellum("apply", str(file)) == refused(what, "MLOpsPlatform default/here", fix)
    assert rotated(installation)["generation"] == 5


def test_the_platform_rotates_its_own_key_and_a_wrong_overlap_nothing(installation: Installation) -> None:
    status, output = vellum("rotate", "platform", "--overlap", "8d")
    assert (status, output.splitlines()[-1]) == (2, "Error: Invalid value for --overlap: '8d' is not from 10s to 7d")
    assert vellum("rotate", "platform")[0] == 0
    assert (installation.store.get(PLATFORM) or {})["spec"]["keys"] == {"generation": 2}


def test_status_says_how_far_keys_are_on_their_way(installation: Installation) -> None:
    previous = {"generation": 1, "since": "2026-11-26T21:00:00Z", "until": "2026-11-26T22:00:00Z"}
    held = [{"by": "Notebook t/notebook", "generation": 1}, {"by": "Secret t/vellum-binding", "generation": 2}]
    say_of_keys(installation, generation=2, previous=[previous], held=held)
    line = "generation 2 is in use; generation 1 is accepted until 2026-11-26T22:00:00Z, and while Notebook t/notebook holds it"
    assert ["keys", line] in [output.split(maxsplit=1) for output in vellum("status")[1].splitlines()]


def test_a_full_disk_is_said_in_three_lines() -> None:
    with Path("/dev/full").open("wb") as full:
        argv = [sys.executable, "-m", "vellum.cli", "explain", "MLOpsPlatform"]
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        [
            "error VEL735: the system refuses: No space left on device",
            "  where: the output",
            "  next:  make room or grant the permission, then run the command again: it continues where it stopped",
        ],
    )


def test_a_wrong_seed_is_said_by_text_data_and_exit_code_alike(installation: Installation) -> None:
    key = Key(CLAIM.api_version, CLAIM.kind, "default", "here")
    live = installation.store.get(key)
    assert live is not None
    conditions = [
        {"type": "Ready", "status": "True", "observedGeneration": 1},
        {"type": "PartsReady", "status": "False", "reason": "WrongSeed", "message": "restore the seed"},
    ]
    status = {"conditions": conditions, "observedGeneration": 1, "components": [{"name": "bucket", "ready": True}]}
    installation.store.patch_status(key, live["metadata"]["uid"], status)
    code, output = vellum("status")
    assert code == 3
    assert "\nhere: not ready: WrongSeed: restore the seed\n  bucket  was ready\n" in output
    code, output = vellum("status", "--output", "json")
    results = {obj["metadata"]["name"]: obj for obj in json.loads(output)["objects"]}
    assert (code, json.loads(output)["ready"]) == (3, False)
    assert results["here"]["status"]["conditions"][1]["reason"] == "WrongSeed"


def test_what_the_supervisor_meets_again_and_again_is_said(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation.manager, "failing", lambda: {PLATFORM: "OSError: read-only"})
    code, output = vellum("status")
    assert (code, "installation: not ready: VEL422: KubeflowPlatform kubeflow cannot be" in output) == (3, True)


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "open --print",
        "connect",
        "search x",
        "logs",
        "explain team-a",
        "rotate keys",
        "verify repair --yes",
        "delete team-a",
        "down",
        "bench status",
    ],
)
def test_a_command_on_a_new_machine_creates_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    """`up` alone makes the state directory: a folder that a look left would be taken for an installation."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    for name in ("VELLUM_STATE", "VELLUM_BENCH"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    code, output = vellum(*command.split())
    assert (code, list(tmp_path.iterdir())) == (0 if command in ("down", "logs") else 1, []), output
