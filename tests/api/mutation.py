"""Fuzz the loader: randomly changed files of the corpus must give only values or ClaimErrors.

``python -m tests.api.mutation RUNS [PROCESSES] [--keep]`` runs it by hand; ``--keep`` adds files with
a new answer to the corpus. An answer is its set of (code, field), so the corpus grows with the loader's distinctions.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from tests.api.broken import BROKEN

from vellum.api import loader
from vellum.errors import ClaimError

CORPUS = Path(__file__).with_name("corpus")
LONGEST = 4096
MOST_KEPT = 150
SLOWEST_SECONDS = 2.0
WORDS = (
    b"null", b"~", b"on", b"0x1f", b"1e3", b"-1", b"[]", b"{}", b"''", b'"', b"'", b"<<: *a", b"&a ", b"*a", b"!!python/name:os.system ",
    b"---\n", b"...\n", b"\t", b"\r\n", b"\xef\xbb\xbf", b"\xff", b"\x00", b"\xe2\x80\xae", b"../../etc/passwd", b"s3://a/b", b"4GB", b"1500m",
    b"9" * 30, b"a" * 300, b"metadata:", b"spec:", b"kind: Secret\n", b"kind: TrainJob\n", b"kind: InferenceService\n", b"apiVersion: v1\n",
    b"runtimeRef: {name: vellum}", b"trainer:", b"command: [x]", b"env: [{name: A, value: b}]", b"resourcesPerNode:", b"limits: {cpu: 1}",
    b"requests: {memory: 4Gi}", b"predictor:", b"model:", b"modelFormat: {name: skops}", b"args: [--model=a]", b"storageUri: gs://a",
    b"labels: {platform.vellum.dev/component: search}", b"annotations: {a/b: c}", b"valueFrom: {secretKeyRef: {name: a, key: b}}",
    b"[[[[[[[[", b"{{{{{{{{", b"? ", b": ", b"- ", b"|\n", b">-\n", b"#", b"%YAML 1.1\n", b"\\u0000", b"\\ud800", b"=", b"<<",
)  # fmt: skip
"""Text that users and attackers write."""
ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    1e300,
    2**63,
    10**40,
    "",
    "a",
    "4GB",
    "../..",
    "\u202e",
    "x" * 300,
    [],
    {},
    [[]],
    [{}],
    {"": ""},
    {"a": {"b": {"c": []}}},
    ["--model=/etc/passwd"],
    {"memory": "-1Gi", "cpu": "two"},
    [{"name": "A"}, {"name": "A"}],
    "\ud800",
    "$(A)",
)


def seeds() -> list[bytes]:
    """Return the files to begin with: the corpus, files with the usual mistakes, the examples."""
    examples = (Path(__file__).parents[2] / "examples").glob("*/*.yaml")
    kept = sorted(CORPUS.glob("*"))
    texts = [*(path.read_bytes() for path in (*kept, *sorted(examples))), *(text.encode() for text in BROKEN.values())]
    return [text for text in texts if len(text) <= LONGEST]


def mutated(chance: random.Random, known: list[bytes]) -> bytes:
    """Return a changed file: as data every third time, else as bytes."""
    data = chance.choice(known)
    if chance.randrange(3) == 0 and (changed := _as_data(chance, data)) is not None:
        return changed
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        data = _as_bytes(chance, data, known)
    return data[:LONGEST]


def _as_bytes(chance: random.Random, data: bytes, known: list[bytes]) -> bytes:
    start = chance.randrange(len(data) + 1)
    end = min(len(data), start + chance.choice((0, 1, 1, 4, 16, 64)))
    match chance.randrange(6):
        case 0:
            return data[:start] + chance.choice(WORDS) + data[end:]
        case 1:
            return data[:start] + data[end:]
        case 2:
            return data[:start] + bytes([chance.randrange(256)]) + data[start + 1 :]
        case 3:
            other = chance.choice(known)
            return data[:start] + other[chance.randrange(len(other) + 1) :]
        case 4:
            return data[:end] + data[start:end] * chance.choice((1, 2, 30)) + data[end:]
        case _:
            lines = data.split(b"\n")
            chance.shuffle(lines)
            return b"\n".join(lines)


def _as_data(chance: random.Random, data: bytes) -> bytes | None:
    """Return the file with some values replaced, moved or renamed; None if it cannot be read as data."""
    try:
        value = next(iter(yaml.load_all(data, Loader=yaml.CSafeLoader)), None)
        if not isinstance(value, dict):
            return None
        for _ in range(chance.choice((1, 1, 2, 3))):
            places = list(_places(value))
            parent, key = chance.choice(places)
            match chance.randrange(4):
                case 0 if isinstance(parent, dict):
                    parent[chance.choice(("name", "env", "args", "zzz", "a.b/c", "nvidia.com/gpu"))] = chance.choice(
                        ODD
                    )
                case 1:
                    del parent[key]
                case 2:
                    there, other = chance.choice(places)
                    parent[key] = json.loads(json.dumps(there[other]))
                case _:
                    parent[key] = chance.choice(ODD)
        return json.dumps(value, ensure_ascii=chance.random() < 0.5).encode()  # half of the times
    except Exception:  # noqa: BLE001  # whatever the mutation broke: another kind of mutation is used instead
        return None


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, child in list(value.items()) if isinstance(value, dict) else list(enumerate(value)):
        yield value, key
        if isinstance(child, dict | list):
            yield from _places(child)


def way(data: bytes) -> frozenset[tuple[str, str]]:
    """Return how the loader answers: (code, field) of all that is wrong, or the kinds of what is right.

    Raises:
        Exception: what the loader must not raise.
        AssertionError: a message is unusable, or an answer took too long.
    """
    began = time.monotonic()
    try:
        result = loader.load(data, "file.yaml")
        answer = frozenset(("", type(item).__name__) for item in result)
        for item in result:
            again = loader.admit(item.manifest())
            if again.manifest() != item.manifest():
                raise AssertionError(f"admit returns another object: {item.manifest()}")
    except loader.MistakesError as error:
        for problem in error.every():
            _usable(problem)
        answer = frozenset((item.code, item.where.partition(": ")[2].partition("[")[0][:80]) for item in error.every())
    if time.monotonic() - began > SLOWEST_SECONDS:
        raise AssertionError(f"took {time.monotonic() - began:.1f} s")
    return answer


def _usable(problem: Any) -> None:
    text = f"{problem}{problem.fix}"
    if not isinstance(problem, ClaimError) or not problem.fix or not text.isprintable() or len(text) > 2500:
        raise AssertionError(f"a message that a user cannot act on: {text[:300]!r}")


def crashes(seed: int, runs: int) -> tuple[list[tuple[str, bytes]], list[bytes], int]:
    """Run one process's share; return the crashes (error, file), the files with a new answer, and the number of runs."""
    chance, known = random.Random(seed), seeds()  # no secret
    seen = {way(data) for data in known}
    results: list[tuple[str, bytes]] = []
    new: list[bytes] = []
    for _ in range(runs):
        data = mutated(chance, known)
        try:
            answer = way(data)
        except Exception as error:  # noqa: BLE001  # that is what is looked for
            results.append((f"{type(error).__name__}: {error}"[:300], data))
            continue
        if answer not in seen and len(answer) <= 3:  # few, so that a person can read it
            seen.add(answer)
            new.append(data)
            known.append(data)
    return results, new, runs


def run(runs: int, processes: int = 2, seed: int = 0) -> tuple[list[tuple[str, bytes]], list[bytes], int]:
    """Run all shares; return as ``crashes`` does."""
    share = [runs // processes + (number < runs % processes) for number in range(processes)]
    with ProcessPoolExecutor(processes) as pool:
        parts = list(pool.map(crashes, range(seed, seed + processes), share))
    return (
        [item for part in parts for item in part[0]],
        [item for part in parts for item in part[1]],
        sum(part[2] for part in parts),
    )


def main(argv: list[str]) -> int:
    """Run by hand."""
    keep = "--keep" in argv
    numbers = [int(word) for word in argv if word.isdigit()]
    began = time.monotonic()
    result, new, ran = run(numbers[0], *numbers[1:])
    print(f"{ran} executions, {time.monotonic() - began:.0f} s, {len(result)} crashes, {len(new)} new ways")  # noqa: T201
    for error, data in result[:20]:
        print(error, data)  # noqa: T201
    if keep:
        seen = {way(data) for data in seeds()}
        for data in sorted(new, key=len)[: MOST_KEPT * 4]:
            if len(list(CORPUS.glob("*"))) < MOST_KEPT and (answer := way(data)) not in seen:
                seen.add(answer)
                (CORPUS / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    return bool(result)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
