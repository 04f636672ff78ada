"""What hypothesis may write into a claim: every field, every allowed value, and names of every shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from vellum.api.claim import Claim, claim_spec
from vellum.components import team_components
from vellum.model.component import AnyComponent

# Sampled by hand: a tenth of the time of from_regex, and all that matters here is length, hyphens and repetition.
_EDGE = st.sampled_from("az09")
_TEXT = "aZ0 -_.:/#'\"\\@\u00e9\u05d0\U0001f600{}[],&*!|>%"


def _name(inside: str, most: int) -> st.SearchStrategy[str]:
    middle = st.text(st.sampled_from(inside), max_size=most - 2)
    return _EDGE | st.builds(lambda first, rest, last: first + rest + last, _EDGE, middle, _EDGE)


NAMES = _name("ab9-", 63)
SWITCH = st.sampled_from(["enabled", "disabled"])
STORAGE = st.builds(
    lambda number, unit: f"{number}{unit}", st.integers(1, 999), st.sampled_from(["Mi", "Gi", "G", "Ti"])
)
LABEL_VALUES = st.just("") | _name("aB9-_.", 63)
LABEL_KEYS = st.builds(
    lambda prefix, name: prefix + name, st.sampled_from(["", "example.org/", "a/"]), _name("aB9-_.", 20)
)
OWNERS = st.text(st.sampled_from(_TEXT), max_size=60)
TEXT = st.text(st.sampled_from(_TEXT + "\n\t"), max_size=30)

_BLOCKS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "artifacts": {"quota": STORAGE},
    "notebook": {"storage": STORAGE},
    "search": {"replicas": st.integers(1, 5)},
    "vectors": {"storage": STORAGE},
}
"""Blocks with more values than the examples of their fields."""


def _block(part: AnyComponent) -> st.SearchStrategy[dict[str, Any]]:
    fields = part.spec.model_fields
    return _some(
        _BLOCKS.get(part.block)
        or {name: st.sampled_from(field.examples or [field.default]) for name, field in fields.items()}
    )


def _some(fields: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_PARTS = team_components().values()
SPECS: st.SearchStrategy[dict[str, Any]] = _some(
    {
        "owner": OWNERS,
        "costCenter": LABEL_VALUES,
        "size": st.sampled_from(["small", "medium", "large"]),
        "deletionPolicy": st.sampled_from(["Retain", "Delete"]),
        "keys": _some({"generation": st.integers(1, 9999), "overlap": st.sampled_from(["10s", "90m", "7d"])}),
        **{part.switch: SWITCH for part in _PARTS if part.switch},
        **{part.block: _block(part) for part in _PARTS if part.block},
    }
)
CLAIMS = st.builds(
    lambda namespace, name, spec, labels, annotations: Claim(
        namespace=namespace, name=name, spec=claim_spec().model_validate(spec), labels=labels, annotations=annotations
    ),
    NAMES,
    NAMES,
    SPECS,
    st.dictionaries(LABEL_KEYS, LABEL_VALUES, max_size=3),
    st.dictionaries(LABEL_KEYS, TEXT, max_size=3),
)
