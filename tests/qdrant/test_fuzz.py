"""A million mutated bodies: each is answered with 200, a 4xx or 501, never with a 500.

A failure names the seed and the body; ``VELLUM_FUZZ`` says how many bodies.
"""

from __future__ import annotations

import copy
import http.client
import json
import os
import random
from typing import Any

import pytest
from tests.fuzzing import counted
from tests.qdrant.conftest import KEY, Server
from tests.qdrant.test_refusals import BODIES

pytestmark = [pytest.mark.laptop, pytest.mark.nightly, pytest.mark.timeout(7200)]

ROUNDS = int(os.environ.get("VELLUM_FUZZ", "1000000"))
ANSWERS = {200, 400, 404, 409, 413}
PARTS: tuple[Any, ...] = (
    None,
    True,
    0,
    1,
    -1,
    2.5,
    2**32,
    2**64,
    1e39,
    "",
    "a",
    "a[].b",
    "a[0",
    '"',
    "2024-01-01T00:00:00Z",
    [],
    {},
    [1.0, 0.0],
    [1],
    {"must": []},
    {"key": "a"},
    {"nearest": [1.0, 0.0]},
    {"indices": [1], "values": [1.0]},
    {"fusion": "rrf"},
    {"sample": "random"},
    {"order_by": "a"},
    {"has_id": [1]},
    {"key": "a", "range": {"gt": 0}},
    {"key": "a", "match": {"any": []}},
    {"nested": {"key": "a", "filter": {}}},
    {"is_null": {"key": "a"}},
    {"key": "a", "values_count": {"lt": 1}},
    {"min_should": {"conditions": [], "min_count": 0}},
    {"key": "g", "geo_radius": {"center": {"lon": 1e9, "lat": -91}, "radius": -1}},
    {"mmr": {}, "nearest": 1},
)
NAMES = sorted(
    {name for body in BODIES.values() for name in json.dumps(body).split('"')[1::2]}
    | {"mmr", "nested", "min_should", "has_id", "values_count"}
)


def mutated(dice: random.Random, body: Any, depth: int = 0) -> Any:
    """Return the body with a few values replaced, added or taken away."""
    if dice.random() < 0.08 or depth > 12:
        return copy.deepcopy(dice.choice(PARTS))
    if isinstance(body, dict):
        changed = {name: mutated(dice, item, depth + 1) for name, item in body.items() if dice.random() > 0.03}
        if dice.random() < 0.2:
            changed[dice.choice(NAMES)] = mutated(dice, dice.choice(PARTS), depth + 1)
        return changed
    if isinstance(body, list):
        grown = [mutated(dice, item, depth + 1) for item in body]
        return [*grown, copy.deepcopy(dice.choice(PARTS))] if dice.random() < 0.1 else grown
    return body


def broken(dice: random.Random, raw: bytes) -> bytes:
    """Return the bytes with one of them changed, once in a while."""
    if not raw or dice.random() > 0.1:
        return raw
    at = dice.randrange(len(raw))
    return raw[:at] + bytes([dice.randrange(256)]) + raw[at + dice.randrange(2) :]


def test_no_body_breaks_the_parser(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.send("PUT", "/collections/one", {"vectors": {"size": 2, "distance": "Dot"}})
    seed = int(os.environ.get("VELLUM_FUZZ_SEED", str(random.SystemRandom().randrange(2**32))))
    dice, tally, routes = random.Random(seed), dict.fromkeys(ANSWERS, 0), sorted(BODIES)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for _ in counted(ROUNDS, capsys):
        method, path = dice.choice(routes)
        raw = broken(dice, json.dumps(mutated(dice, BODIES[method, path])).encode())
        connection.request(method, path, raw, {"api-key": KEY})
        answer = connection.getresponse()
        output = answer.read()
        assert answer.status in ANSWERS, (seed, method, path, raw, output)
        tally[answer.status] += 1
    connection.close()
    with capsys.disabled():
        print(f"\nqdrant fuzz: {ROUNDS} bodies, seed {seed}, {tally}")  # noqa: T201  # the figures
    assert tally[200] > ROUNDS / 100
