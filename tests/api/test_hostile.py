"""Whatever the bytes are, the loader answers with values or a ClaimError, and soon."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import CLAIMS

from vellum.api import loader
from vellum.api.claim import Claim

MEBIBYTE = 1 << 20
HEAD = b"apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlatform\nmetadata: {name: a}\nspec:\n"


def _filled(piece: bytes) -> bytes:
    return (piece * (MEBIBYTE // len(piece) + 1))[:MEBIBYTE]


HOSTILE = {
    "brackets": _filled(b"["),
    "braces": _filled(b"{"),
    "anchors": _filled(b"&a "),
    "anchor chain": _filled(b"- &a\n"),
    "sequences": _filled(b"- "),
    "questions": _filled(b"? "),
    "question marks": _filled(b"?"),
    "colons": _filled(b": "),
    "one word": _filled(b"a"),
    "one number": _filled(b"1"),
    "same key": _filled(b"a: b\n"),
    "items": _filled(b"[1,")[:-1],
    "flat items": b"[" + _filled(b"1,")[:-2] + b"]",
    "documents": _filled(b"---\n"),
    "quotes": _filled(b"'a' "),
    "open quote": b'"' + _filled(b"a\n")[:-1],
    "newlines": _filled(b"\n"),
    "spaces": _filled(b" "),
    "comments": _filled(b"#\n"),
    "block scalar": b"a: |\n" + _filled(b" b\n")[:-5],
    "tags": _filled(b"!a "),
    "aliases": _filled(b"- *a\n"),
    "plain lines": b"a: b" + _filled(b"\n b")[:-4],
    "surprises": _filled(b"- yes\n"),
    "nothing": _filled(b"- ~\n"),
    "directives": b"".join(b"%%TAG !a%d! x\n" % number for number in range(70_000)),
    "indentation": b"".join(b" " * depth + b"a:\n" for depth in range(1_400)),
    "many keys": b"".join(b"a%d: 1\n" % number for number in range(80_000)),
    "many unknown": HEAD + b"".join(b"  x%d: 1\n" % number for number in range(2_000)),
    "long name": HEAD + b"  " + b"n" * 1_000_000 + b": 1\n",
    "long quoted name": HEAD + b'  ? "' + b"n" * 1_000_000 + b'"\n  : 1\n',
    "long value": HEAD + b"  size: " + b"s" * 1_000_000,
    "long number": HEAD + b"  size: " + b"9" * 1_000_000,
    "long quantity": HEAD + b'  notebook: {storage: "' + b"9" * 1_000_000 + b'"}',
    "long owner": HEAD + b"  owner: " + b"a.-" * 300_000,
    "long cost": HEAD + b"  costCenter: " + b"a-" * 500_000,
    "underscores": HEAD + b"  size: 1" + b"_" * 60,
    "base 60": HEAD + b"  size: 1" + b":1" * 30,
    "too much": b" " * (MEBIBYTE + 1),
    "zeros": bytes(MEBIBYTE),
    "not text": b"\xff" * MEBIBYTE,
}


@pytest.mark.timeout(5)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_mebibyte_of_malice_is_refused_at_once(name: str) -> None:
    with pytest.raises(loader.MistakesError) as caught:
        loader.load(HOSTILE[name], "claim.yaml")
    assert len(caught.value.problems) <= 22
    for error in caught.value.problems:
        assert len(f"{error}{error.fix}") < 1_000, "a message repeats at most a little of what was written"


def _only_claim_errors(data: bytes) -> None:
    try:
        loader.load(data, "claim.yaml")
    except loader.MistakesError as error:
        assert all(problem.code.startswith("VEL1") and problem.fix for problem in error.problems)  # noqa: PT017
        assert f"{error.problems}{error.fix}".isprintable()  # noqa: PT017


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_values_or_claim_errors(data: bytes) -> None:
    _only_claim_errors(data)


YAML_ISH = st.text(st.sampled_from("[]{}:,-?&*!|>'\"%@`#~<= \n\tab01yn._/\\ux\u2028é"), max_size=80)


@settings(max_examples=150, deadline=None)
@given(YAML_ISH, st.sampled_from([b"", HEAD, HEAD + b"  owner: ", HEAD + b"  notebook:\n    "]))
def test_anything_that_looks_like_yaml_gives_values_or_claim_errors(text: str, before: bytes) -> None:
    _only_claim_errors(before + text.encode())


WORDS = st.sampled_from(["", "a", "on", "1", "name", "\u00e9", "\x7f", "\0", "a b", "replicas", "storage", "<<"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([0.5, 1e300]) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
TOP = st.sampled_from(["apiVersion", "kind", "metadata", "spec", "status"])
SPEC = st.sampled_from(["owner", "size", "notebook", "search", "notebooks", "claimRef"])


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(TOP, JSON), st.dictionaries(SPEC, JSON), st.booleans())
def test_any_json_in_the_place_of_a_claim_gives_values_or_claim_errors(top: object, spec: object, ours: bool) -> None:
    claim = {
        "apiVersion": "platform.vellum.dev/v1alpha1",
        "kind": "MLOpsPlatform",
        "metadata": {"name": "a"},
        "spec": spec,
    }
    _only_claim_errors(json.dumps(claim if ours else top).encode())


class Quoting(yaml.SafeDumper):
    """Quotes every text: PyYAML leaves ``09`` and ``1e3`` bare, which other readers take for numbers."""


Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


@settings(max_examples=100, deadline=None)
@given(CLAIMS)
def test_a_claim_survives_the_way_through_manifest_and_yaml(claim: Claim) -> None:
    for text in (yaml.dump(claim.manifest(), Dumper=Quoting), json.dumps(claim.manifest(), ensure_ascii=False)):
        assert loader.load(text.encode(), "claim.yaml") == [claim]


@settings(max_examples=100, deadline=None)
@given(CLAIMS)
def test_a_careless_writer_is_refused_and_never_misread(claim: Claim) -> None:
    try:
        assert loader.load(yaml.safe_dump(claim.manifest()).encode(), "claim.yaml") == [claim]
    except loader.MistakesError as error:
        assert {problem.code for problem in error.problems} <= {"VEL108", "VEL110"}  # noqa: PT017
