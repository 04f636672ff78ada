"""Changes that the real API server makes to a manifest do not count as edits; other changes do.

An API server rewrites what it is given: quantities, nulls, empty maps, zeros, fields with defaults. The guard would
repair each rewrite for ever that it does not know.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest
import yaml
from tests.bench import drawn
from tests.bench.drawn import KINDS, Change
from tests.bench.real import Bench

from vellum.compose.helm.diff import differences
from vellum.compose.helm.records import Rendered, _Loader
from vellum.kube.objects import Kind, Obj

AT_ONCE = 500
SAMPLE = 12
"""Manifests of each kind that are tried for every change; at night all are."""


@dataclass(frozen=True)
class Case:
    """A manifest that is sent, and the one that the chart rendered."""

    kind: str
    name: str
    changes: str
    rendered: Obj
    sent: Obj

    def faults(self, live: Obj) -> list[str]:
        # Helm's record is text, which is read by a loader of its own.
        manifest = yaml.load(yaml.dump(self.rendered, Dumper=yaml.CSafeDumper), _Loader)  # a safe loader of our own
        item = Rendered(Kind(manifest["apiVersion"], self.kind), "default", self.name, manifest)
        return [str(difference) for difference in differences(item, live)]


Stored = list[tuple[Case, Obj]]
"""Cases that the API server took, with what it would store."""


def stored(bench: Bench, cases: list[Case]) -> Stored:
    return [pair for chunk in batched(cases) for pair in _stored(bench, chunk)]


def batched(cases: list[Case]) -> Iterator[list[Case]]:
    """Yield what one kubectl can send in a minute."""
    yield from (cases[start : start + AT_ONCE] for start in range(0, len(cases), AT_ONCE))


def _stored(bench: Bench, cases: list[Case]) -> Stored:
    text = "---\n".join(f"{json.dumps(case.sent)}\n" for case in cases)
    output = bench.kubectl(
        "create", "--dry-run=server", "--validate=ignore", "-o", "json", "-f", "-", given=text, check=False
    )
    reader, result, place = json.JSONDecoder(), {}, 0
    while (place := output.find("{\n", place)) >= 0:
        obj, place = reader.raw_decode(output, place)
        result[obj["kind"], obj["metadata"]["name"]] = obj
    return [(case, result[case.kind, case.name]) for case in cases if (case.kind, case.name) in result]


@cache
def schemas(bench: Bench, api_version: str) -> drawn.Schemas:
    path = f"apis/{api_version}" if "/" in api_version else f"api/{api_version}"
    output = bench.kubectl("get", "--raw", f"/openapi/v3/{path}")
    result: drawn.Schemas = json.loads(output)["components"]["schemas"]
    return result


def harmless(bench: Bench, kind: str, *, together: int) -> list[Case]:
    changes = drawn.harmless(kind, schemas(bench, KINDS[kind][0]))
    return [
        Case(kind, name, str(batch), sent, sent)
        for name, batch in named(kind, "same", changes, together)
        for sent in [drawn.changed(drawn.base(kind, name), batch)]
    ]


def harmful(kind: str) -> list[Case]:
    return [
        Case(kind, name, str(batch), drawn.base(kind, name), drawn.changed(drawn.base(kind, name), batch))
        for name, batch in named(kind, "other", drawn.harmful(kind), 1)
    ]


def named(kind: str, word: str, changes: list[Change], together: int) -> Iterator[tuple[str, list[Change]]]:
    dice = random.Random(zlib.crc32(kind.encode()))
    for number, batch in enumerate(drawn.batches(changes, dice, together)):
        yield f"{word}-{number}", batch


def wrong(result: Stored) -> dict[str, list[str]]:
    return {f"{case.kind} {case.changes}": faults for case, live in result if (faults := case.faults(live))}


def unseen(result: Stored) -> list[str]:
    return [f"{case.kind} {case.changes}" for case, live in result if not case.faults(live)]


def test_a_sample_of_rewrites_is_no_difference_and_other_values_are(bench: Bench) -> None:
    same = [case for kind in KINDS for case in harmless(bench, kind, together=3)[:SAMPLE]]
    other = [case for kind in KINDS for case in harmful(kind)[:SAMPLE]]
    result = stored(bench, same + other)
    taken = [pair for pair in result if pair[0] in same]
    assert len(taken) > len(same) / 4
    assert wrong(taken) == {}
    changed = [pair for pair in result if pair[0] not in same]
    assert len(changed) > len(other) / 4
    assert unseen(changed) == []


@pytest.mark.nightly
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_the_api_server_rewrites_is_no_difference(bench: Bench, kind: str) -> None:
    cases = harmless(bench, kind, together=1)
    result = stored(bench, cases)
    # Alone, four of five fields are refused when they are empty (measured on 1.36 for HorizontalPodAutoscaler).
    assert len(result) > len(cases) / 8
    assert wrong(result) == {}


@pytest.mark.nightly
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_somebody_else_writes_is_a_difference(bench: Bench, kind: str) -> None:
    result = stored(bench, harmful(kind))
    assert result
    assert unseen(result) == []
