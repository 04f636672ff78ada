"""Hostile requests to the Qdrant stand-in: none ends it, none gets a 500, none sees another team's data or a secret."""

from __future__ import annotations

import copy
import http.client
import json
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.attack.conftest import Attacked
from tests.qdrant.conftest import KEY, READ_ONLY, Server, running
from tests.qdrant.test_refusals import BODIES

pytestmark = [pytest.mark.attack, pytest.mark.timeout(120)]

Row = tuple[str, str, bytes]
ANSWERS = {200, 400, 401, 403, 404, 409, 413, 501}
CANARY = {"points": [{"id": 1, "vector": [1.0], "payload": {"secret": "canary"}}]}
SHALLOW, DEEP = b"[" * 100 + b"]" * 100, b"[" * 200_000 + b"]" * 200_000
HOSTILE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    2**64,
    10**400,
    1e308,
    -1e39,
    0.5,
    "",
    "\x00",
    "../../etc/passwd",
    "a" * 5000,
    "\U0001d54f\u202e\ufeff",
    [],
    {},
    [[]],
    [None],
    {"": {}},
    {"a": {"b": []}},
    [{"key": "a"}],
    ["a", 1],
    "1" * 40,
    "550e8400-e29b-41d4-a716-446655440000",
)
TOKENS = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"-1e999",
    b"1e-400",
    b"-0",
    b"9" * 5000,
    b"0x10",
    b"1_0",
    b"'a'",
    b'"\\ud800"',
)


@pytest.fixture(scope="module")
def teams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Two teams' servers; the second has other keys, as ``vellum`` derives them."""
    folder = tmp_path_factory.mktemp("attack")
    with running(folder / "one") as item, running(folder / "two", keys=("two-writes", "two-reads")) as two:
        for server, key in ((item, KEY), (two, "two-writes")):
            headers = {"api-key": key}
            for name, size in (("canary", 1), ("one", 2)):
                body = {"vectors": {"size": size, "distance": "Dot"}}
                assert server.send("PUT", f"/collections/{name}", body, headers=headers)[0] == 200
            assert server.send("PUT", "/collections/canary/points", CANARY, headers=headers)[0] == 200
        yield [item, two]


def sent(server: Server, row: Row, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Send one request as it is written: no client normalises path or body."""
    method, path, body = row
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in (headers or {"api-key": KEY}).items():
        connection.putheader(name, value)
    connection.putheader("content-length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    return answer.status, raw


def places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in a body."""
    yield path
    children: Iterable[tuple[Any, Any]] = ()
    if isinstance(body, dict):
        children = body.items()
    elif isinstance(body, list):
        children = enumerate(body)
    for name, item in children:
        yield from places(item, (*path, name))


def put(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return the body with another value at a path."""
    if not path:
        return value
    changed = copy.copy(body)
    changed[path[0]] = put(body[path[0]], path[1:], value)
    return changed


def types() -> Iterator[Row]:
    """Every value of every body that is served, replaced by every hostile one."""
    for (method, path), body in BODIES.items():
        for place in places(body):
            for value in HOSTILE:
                yield method, path, json.dumps(put(body, place, value)).encode()


def numbers() -> Iterator[Row]:
    for (method, path), body in BODIES.items():
        for place in places(body):
            text = json.dumps(put(body, place, "@")).encode()
            for token in TOKENS:
                yield method, path, text.replace(b'"@"', token, 1)


def shapes() -> Iterator[Row]:
    """Bodies that are not JSON, too deep, or too large."""
    broken = (
        b"",
        b"{",
        b"null",
        b"[]",
        b'"a"',
        b"\xff\xfe",
        b"\x00" * 100,
        SHALLOW,
        DEEP,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
    )
    for method, path in BODIES:
        for raw in broken:
            yield method, path, raw
        for field in ("filter", "prefetch", "query", "points", "operations", "payload", "vectors"):
            yield method, path, b'{"%s":' % field.encode() + SHALLOW + b"}"
            yield method, path, json.dumps({field: [{}] * 2000}).encode()


def sizes() -> Iterator[Row]:
    """Vectors of every wrong size, and points by the thousand with one wrong."""
    for size in (*range(12), 100, 65_536, 200_000):
        if size != 2:
            point = {"points": [{"id": 1, "vector": [0.5] * size}]}
            yield "PUT", "/collections/one/points", json.dumps(point).encode()
            yield "POST", "/collections/one/points/query", json.dumps({"query": [0.5] * size}).encode()
    for size in (0, 65_537, 2**31, 2**63, -1):
        yield "PUT", "/collections/big", json.dumps({"vectors": {"size": size, "distance": "Dot"}}).encode()
    for field, value in (("limit", 2**32 - 1), ("limit", 2**63), ("offset", 2**32 - 1), ("limit", -5)):
        body = {"query": [1.0, 0.0], field: value}
        yield "POST", "/collections/one/points/query", json.dumps(body).encode()


def paths() -> Iterator[Row]:
    """Names and paths that a disk, a proxy or a person could misread."""
    tricks = (
        "..", "%2e%2e", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%5c..", "a%2fb", "%00", "a%00.json", "%ff", "%", "%zz", "a;b", "a?b=c", "a%3fb", "a#b", "lock",
        "collection.json", "CON", "con.", "~", "$HOME", "%24%28id%29", "'%20OR%20'1'='1", "%3cscript%3e", "%E2%80%AE", "%F0%9F%98%80", "a" * 300, "%C3%A9" * 255,
        "-rf", "*", "%0d%0aSet-Cookie:%20a=b", ".", "%2f", "//", "canary/../canary", "canary%2f..%2fcanary", "%63anary%00",
    )  # fmt: skip
    body = json.dumps({"vectors": {"size": 1, "distance": "Dot"}}).encode()
    for trick in tricks:
        for method, rest, raw in (
            ("PUT", "", body),
            ("GET", "", b""),
            ("GET", "/points/1", b""),
            ("GET", "/exists", b""),
            ("GET", f"/points/{trick}", b""),
            ("POST", "/points/count", b"{}"),
            ("DELETE", f"/index/{trick}", b""),
            ("POST", f"/{trick}", b"{}"),
        ):
            yield method, f"/collections/{trick}{rest}", raw
        yield "GET", f"/{trick}", b""
        yield "POST", f"/collections/one/points/count?{trick}={trick}", b"{}"


CLASSES = {
    "Another type at every place of a body to Qdrant": types,
    "Numbers that JSON or a computer does not have, to Qdrant": numbers,
    "Bodies to Qdrant that are not JSON, too deep or too large": shapes,
    "Vectors of every wrong size to Qdrant": sizes,
    "Hostile names and paths to Qdrant": paths,
}


@pytest.mark.parametrize("name", CLASSES)
def test_a_hostile_request_is_answered_in_words(teams: list[Server], name: str, attacked: Attacked) -> None:
    team, _ = teams
    tally = Counter[int]()
    for row in CLASSES[name]():
        status, raw = sent(team, row)
        tally[status] += 1
        assert status in ANSWERS, (row, raw)
        assert KEY.encode() not in raw, row
        assert str(team.directory).encode() not in raw, row
    assert canary(team) == [{"id": 1, "payload": {"secret": "canary"}}]
    assert set(team.directory.parent.iterdir()) == {team.directory, team.directory.parent / "two"}
    attacked(name, tally.elements())


def canary(server: Server, key: str = KEY) -> Any:
    answer = server.send("POST", "/collections/canary/points/scroll", {}, headers={"api-key": key})
    return answer[1]["result"]["points"]


def test_no_key_of_another_team_is_accepted(teams: list[Server], attacked: Attacked) -> None:
    team, two = teams
    keys = (
        "",
        KEY[:-1],
        KEY + "x",
        KEY.upper(),
        "two-writes",
        "two-reads",
        "\xff",
        "a" * 10_000,
        "null",
        f"{KEY}, two-writes",
    )
    wrong = [{"api-key": key} for key in keys]
    wrong += [{"authorization": f"{word} {key}"} for key in keys for word in ("Bearer", "bearer", "Basic", "")]
    wrong += [
        {"Api-Key ": KEY},
        {"x-api-key": KEY},
        {"cookie": f"api-key={KEY}"},
        {"api-key": "two-writes", "authorization": f"Bearer {KEY}"},
    ]
    tally = Counter[int]()
    for method, path in [
        *BODIES,
        ("GET", "/collections"),
        ("GET", "/collections/canary"),
        ("DELETE", "/collections/canary"),
        ("GET", "/telemetry"),
    ]:
        body = json.dumps(BODIES.get((method, path), {})).encode() if method != "GET" else b""
        for headers in wrong:
            status, raw = sent(team, (method, path, body), headers)
            assert (status in (400, 401), b"canary" in raw) == (True, False), (method, path, headers, status)
            tally[status] += 1
        status, raw = sent(two, (method, path, body), {"api-key": KEY})
        assert status == 401
        tally[status] += 1
        reading = sent(team, (method, path, body), {"api-key": READ_ONLY})[0]
        assert (
            reading == 403
            or method == "GET"
            or path.endswith(("points", "query", "query/batch", "groups", "scroll", "count", "facet"))
        )
    assert canary(team) == canary(two, "two-writes") == [{"id": 1, "payload": {"secret": "canary"}}]
    attacked("Keys of another team, and damaged keys, at Qdrant", tally.elements())


def test_a_caller_that_leaves_or_lies_keeps_nobody_waiting(teams: list[Server], attacked: Attacked) -> None:
    team, _ = teams
    head = f"POST /collections/one/points/count HTTP/1.1\r\nhost: x\r\napi-key: {KEY}\r\n".encode()
    lies = (
        b"content-length: 10\r\n\r\n{}",
        b"content-length: -1\r\n\r\n{}",
        b"content-length: abc\r\n\r\n{}",
        b"content-length: 2\r\ncontent-length: 5\r\n\r\n{}",
        b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n",
        b"expect: 100-continue\r\ncontent-length: 99999999999\r\n\r\n",
        b"x: " + b"a" * 200_000 + b"\r\n\r\n",
        b"\r\n\r\n\r\n",
    )
    held = []
    for lie in lies:
        held.append(socket.create_connection(("127.0.0.1", team.port), timeout=5))
        held[-1].sendall(head + lie)
    assert canary(team)
    for connection in held:
        connection.close()
    assert Path(team.directory).exists()
    assert canary(team)
    attacked("Callers of Qdrant that lie about their body, or leave", len(lies) * ["others are answered"])
