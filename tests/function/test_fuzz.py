"""The function answers every request, whatever its bytes; on an error it changes nothing."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from tests.compose.world import NOW
from tests.function.requests import looked, platform_world, team_world
from tests.fuzzing import counted

from vellum.function.answer import answer, answer_bytes

EXECUTIONS = int(os.environ.get("VELLUM_FUZZ", "1000000"))


def recorded() -> list[bytes]:
    """Return every request of a claim's and a platform's first passes, as bytes."""
    results: list[bytes] = []

    def ask(request: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
        results.append(request.SerializeToString(deterministic=True))
        return answer(request, NOW)[0]

    for world in (team_world(), platform_world()):
        for _ in range(3):
            looked(world, ask)
            world.step()
    return results


def spoiled(seeds: list[bytes], dice: random.Random) -> bytes:
    """Return a request with a few bytes flipped, cut out, repeated, or taken from another request."""
    raw = bytearray(dice.choice(seeds))
    for _ in range(dice.choice((1, 1, 2, 4, 16))):
        at, length = dice.randrange(len(raw) or 1), dice.choice((1, 1, 2, 8, 64))
        kind = dice.randrange(5)
        if kind == 0:
            raw[at : at + 1] = dice.randbytes(1)
        elif kind == 1:
            del raw[at : at + length]
        elif kind == 2:
            raw[at:at] = raw[at : at + length] * dice.choice((1, 2, 100))
        elif kind == 3:
            other = dice.choice(seeds)
            start = dice.randrange(len(other))
            raw[at : at + length] = other[start : start + length]
        else:
            raw[at : at + length] = dice.randbytes(length)
    return bytes(raw)


def twisted(seeds: list[bytes], dice: random.Random) -> bytes:
    """Return a request in which some values of observed objects are others, or are gone: bytes that can be read."""
    request = fnv1.RunFunctionRequest()
    request.ParseFromString(dice.choice(seeds))
    structs = [request.observed.composite.resource]
    structs += [resource.resource for resource in request.observed.resources.values()]
    structs += [item.resource for resource in request.required_resources.values() for item in resource.items]
    for _ in range(dice.choice((1, 1, 2, 8))):
        struct = dice.choice(structs)
        while struct.fields:
            name = dice.choice(sorted(struct.fields))
            value = struct.fields[name]
            if value.HasField("struct_value") and value.struct_value.fields and dice.random() < 0.8:
                struct = value.struct_value
                continue
            other: Any = dice.choice((None, True, "", "x" * 300, -1, 1e300, [], [None], {}, {"a": {}}, "\u0000"))
            if dice.random() < 0.2:
                del struct.fields[name]
            else:
                struct.update({name: other})
            break
    return bytes(request.SerializeToString())


def judged(raw: bytes) -> str:
    """Return the kind of the answer: objects, requirements, or a refusal with a text."""
    response, _ = answer_bytes(raw, NOW)
    assert response.SerializeToString(deterministic=True)
    assert response.meta.ttl.ToTimedelta().total_seconds() > 0
    if any(result.severity == fnv1.SEVERITY_FATAL for result in response.results):
        assert not response.desired.resources
        assert all(condition.message for condition in response.conditions)
        assert all(
            "VEL804" in condition.message for condition in response.conditions if condition.reason == "FunctionError"
        )
        return str(response.conditions[0].reason) if response.conditions else "asked"
    return "answered"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Log nothing: pytest keeps every record with its traceback, which is 50 GB for a million executions."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def swept(executions: int, seed: int, capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    dice, seeds, count = random.Random(seed), recorded(), dict[str, int]()
    for number in counted(executions, capsys):
        how = judged((spoiled, twisted)[number % 2](seeds, dice))
        count[how] = count.get(how, 0) + 1
    return count


def test_two_hundred_spoiled_requests_are_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert sum(swept(200, 7, capsys).values()) == 200


@pytest.mark.nightly
@pytest.mark.timeout(6 * 3600)
def test_a_million_spoiled_requests_are_answered(capsys: pytest.CaptureFixture[str]) -> None:
    """VELLUM_FUZZ sets another number."""
    count = swept(EXECUTIONS, 20261129, capsys)
    with capsys.disabled():
        print(f"\nfunction: {count}")  # noqa: T201  # the figures
    assert sum(count.values()) == EXECUTIONS
