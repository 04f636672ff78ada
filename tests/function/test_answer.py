"""The function says what compose says, asks for the same in every pass, and changes nothing when in doubt."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from google.protobuf.struct_pb2 import Struct
from tests.compose.world import NOW, World
from tests.function.requests import desired, looked, platform_world, request, said, team_world

from vellum.function.answer import answer, answer_bytes
from vellum.function.struct import View, write
from vellum.kube.patch import copied, plain

WORLDS: dict[str, Callable[[], World]] = {
    "a claim before its namespace": team_world,
    "a settled claim": lambda: settled(team_world()),
    "a settled claim without anything": lambda: settled(
        team_world("spec: {pipelines: disabled, inference: disabled}\n")
    ),
    "a platform at its beginning": platform_world,
    "a settled platform": lambda: settled(platform_world()),
    "a settled claim on an external store": lambda: settled(team_world(place="external")),
    "a settled platform on an external store": lambda: settled(platform_world("external")),
}


def settled(world: World) -> World:
    assert world.settle().ready
    return world


@pytest.mark.parametrize("name", WORLDS)
def test_the_answer_is_what_compose_says(name: str) -> None:
    world = WORLDS[name]()
    composed = world.look()
    response, calls = looked(world)
    assert desired(response) == {name: item.obj for name, item in composed.objects.items()}
    assert {name: item.ready == fnv1.READY_TRUE for name, item in response.desired.resources.items()} == {
        name: item.ready for name, item in composed.objects.items()
    }
    assert plain(View(response.desired.composite.resource)) == {"status": composed.status}
    assert (response.desired.composite.ready == fnv1.READY_TRUE) == composed.ready
    assert said(response) == {
        condition.type: (condition.reason, condition.message) for condition in composed.conditions
    }
    assert {condition.target for condition in response.conditions} == {fnv1.TARGET_COMPOSITE_AND_CLAIM}
    assert set(response.requirements.resources) == set(composed.requirements)
    assert response.meta.ttl.seconds == composed.ttl_seconds
    assert response.meta.tag == "a tag"
    assert [(result.reason, result.message, result.target) for result in response.results] == [
        (event.reason, event.message, fnv1.TARGET_COMPOSITE_AND_CLAIM) for event in composed.events
    ]
    assert calls <= 5


def test_news_is_told_once_as_an_event_of_the_claim() -> None:
    world = team_world()
    told = []
    for _ in range(12):
        response, _ = looked(world)
        told += [(result.reason, result.message) for result in response.results]
        world.step()
    assert told[-1] == ("Available", "every part is ready")
    assert len(told) == len(set(told)) < 8


def test_every_pass_asks_for_the_same_once_everything_is_known() -> None:
    world = settled(team_world())
    first, _ = looked(world)
    second, _ = looked(world)
    assert first.requirements == second.requirements
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_a_given_key_is_required_copied_and_never_shown() -> None:
    world = settled(team_world(place="external"))
    secret = next(item for item in world.foreign if item["metadata"]["name"].startswith("s3-team-a"))
    before, _ = looked(world)
    asked = before.requirements.resources["bucket/given"]
    assert (asked.api_version, asked.kind, asked.namespace, asked.match_name) == (
        "v1",
        "Secret",
        "vellum-storage",
        secret["metadata"]["name"],
    )
    assert desired(before)["bucket-secret"]["data"].items() >= secret["data"].items()
    secret["data"] = {name: base64.b64encode(b"rotated").decode() for name in secret["data"]}
    after, _ = looked(world)
    assert desired(after)["bucket-secret"]["data"].items() >= secret["data"].items()
    assert desired(after)["binding"]["data"]["AWS_SECRET_ACCESS_KEY"] == secret["data"]["secretkey"]
    secret["data"] = {"accesskey": base64.b64encode(b"half a key").decode(), "secretkey": ""}
    broken, _ = looked(world)
    assert "has no secretkey" in said(broken)["PartsReady"][1]
    assert desired(broken)["bucket-secret"] == desired(before)["bucket-secret"], "what the API server has stays"
    for response in (before, after, broken):
        assert response.requirements == before.requirements
        told = f"{response.conditions}{response.results}{plain(View(response.desired.composite.resource))}"
        assert not any(word in told for word in ("given/secret", "rotated", "half a key"))


def test_a_missing_key_is_asked_for_in_every_pass() -> None:
    world = team_world(place="external")
    world.foreign.clear()
    for _ in range(8):
        response, calls = looked(world)
        assert ("bucket/given" in response.requirements.resources, calls <= 5) == (True, True)
        world.step()
    reason, message = said(response)["PartsReady"]
    assert (reason, "bucket: Secret vellum-storage/s3-team-a-research-" in message) == ("Creating", True)
    assert "bucket-secret" not in desired(response)


def test_what_is_missing_is_asked_for_and_nothing_is_decided_before() -> None:
    response, _ = answer(request(team_world(), {}), NOW)
    assert (list(response.requirements.resources), len(response.desired.resources), len(response.results)) == (
        ["platform"],
        0,
        0,
    )


def test_what_earlier_steps_want_stays_wanted() -> None:
    world = settled(platform_world())

    def ask(run_function_request: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
        write(run_function_request.desired.resources["theirs"].resource, {"kind": "ConfigMap"})
        return answer(run_function_request, NOW)[0]

    response, _ = looked(world, ask)
    assert "theirs" in desired(response)


DOUBTS: dict[str, tuple[Callable[[fnv1.RunFunctionRequest], object], str]] = {
    "no seed": (lambda item: item.credentials.clear(), "VEL803"),
    "half a seed": (lambda item: item.credentials["seed"].credential_data.data.update({"seed": b"short"}), "VEL803"),
    "generations that are none": (
        lambda item: item.credentials["seed"].credential_data.data.update({"generations": b"[]"}),
        "VEL803",
    ),
    "another seed": (
        lambda item: item.credentials["seed"].credential_data.data.update({"seed": b"x" * 40}),
        "the seed is not the one",
    ),
    "a strange kind": (lambda item: write_kind(item, "Mystery"), "VEL802"),
    "no composite": (lambda item: item.observed.composite.resource.Clear(), "KeyError"),
    "no metadata": (lambda item: item.observed.composite.resource.fields.pop("metadata"), "KeyError"),
    "a half where a whole belongs": (lambda item: set_spec(item, "search", {"replicas": 1.5}), "spec.search.replicas"),
    "a number where a word belongs": (lambda item: set_spec(item, "size", 3), "spec.size"),
    "a spec 40 deep": (lambda item: set_spec(item, "notebook", nested(25)), "spec.notebook"),
    "an observed object that is not an object": (lambda item: damage(item, "namespace"), "AttributeError"),
}


def write_kind(run_function_request: fnv1.RunFunctionRequest, kind: str) -> None:
    run_function_request.observed.composite.resource.fields["kind"].string_value = kind


def set_spec(run_function_request: fnv1.RunFunctionRequest, name: str, value: object) -> None:
    spec = run_function_request.observed.composite.resource.fields["spec"].struct_value
    spec.fields[name].Clear()
    changed = Struct()
    write(changed, {name: value})
    spec.fields[name].CopyFrom(changed.fields[name])


def damage(run_function_request: fnv1.RunFunctionRequest, name: str) -> None:
    run_function_request.observed.resources[name].resource.fields["metadata"].string_value = "no object"


def nested(depth: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(depth):
        value = {"deeper": value}
    return value


@pytest.mark.parametrize("doubt", DOUBTS)
def test_any_doubt_is_fatal_changes_nothing_and_is_said_in_words(doubt: str) -> None:
    spoil, words = DOUBTS[doubt]

    def ask(run_function_request: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
        spoil(run_function_request)
        return answer_bytes(run_function_request.SerializeToString(), NOW)[0]

    response, _ = looked(settled(team_world()), ask)
    told, result = response.results
    (condition,) = response.conditions
    assert (told.severity, result.severity) == (fnv1.SEVERITY_WARNING, fnv1.SEVERITY_FATAL)
    assert {told.target, result.target} == {fnv1.TARGET_COMPOSITE_AND_CLAIM}
    assert words in told.message
    assert words in result.message
    assert (condition.type, condition.status) == ("PartsReady", fnv1.STATUS_CONDITION_FALSE)
    assert words in condition.message
    assert (len(response.desired.resources), response.desired.HasField("composite")) == (0, False)
    assert response.meta.ttl.seconds == 15


@pytest.mark.parametrize("raw", [b"\xff" * 40, b"\x12\x05\x0a\x03\x0a\x01\xff"], ids=["noise", "no UTF-8"])
def test_bytes_that_cannot_be_read_are_said_and_change_nothing(raw: bytes) -> None:
    response, _ = answer_bytes(raw, NOW)
    _, result = response.results
    assert (result.severity, said(response)["PartsReady"][0]) == (fnv1.SEVERITY_FATAL, "Unreadable")


def test_a_request_deeper_than_protobuf_reads_is_said_and_changes_nothing() -> None:
    response, _ = answer_bytes(_deep(200), NOW)
    assert said(response)["PartsReady"][0] == "Unreadable"


def _deep(levels: int) -> bytes:
    """Return a request whose composite nests so deep; put together by hand, since protobuf does not write it either."""
    value = b"\x1a\x01x"
    for _ in range(levels):
        entry = b"\x0a\x01a\x12" + _length(value) + value
        struct = b"\x0a" + _length(entry) + entry
        value = b"\x2a" + _length(struct) + struct
    entry = b"\x0a\x01a\x12" + _length(value) + value
    struct = b"\x0a" + _length(entry) + entry
    resource = b"\x0a" + _length(struct) + struct
    state = b"\x0a" + _length(resource) + resource
    return b"\x12" + _length(state) + state


def _length(data: bytes) -> bytes:
    number, parts = len(data), []
    while True:
        low, number = number & 127, number >> 7
        parts.append(low | (128 if number else 0))
        if not number:
            return bytes(parts)


def test_what_is_observed_is_never_changed() -> None:
    world = settled(team_world())
    before = copied(world.resources)
    asked = request(world, {})
    raw = asked.SerializeToString(deterministic=True)
    answer(asked, NOW)
    assert (asked.SerializeToString(deterministic=True), world.resources) == (raw, before)
