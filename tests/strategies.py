"""What hypothesis may write into a claim: every field, every allowed value, and names of every shape."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from vellum.api.claim import Claim, claim_spec

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

SPECS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "owner": OWNERS,
        "costCenter": LABEL_VALUES,
        "size": st.sampled_from(["small", "medium", "large"]),
        "deletionPolicy": st.sampled_from(["Retain", "Delete"]),
        "artifacts": st.fixed_dictionaries({}, optional={"quota": STORAGE}),
        "notebooks": SWITCH,
        "notebook": st.fixed_dictionaries({}, optional={"storage": STORAGE}),
        "pipelines": SWITCH,
        "vectors": st.fixed_dictionaries({}, optional={"storage": STORAGE}),
        "inference": SWITCH,
        "search": st.fixed_dictionaries({}, optional={"replicas": st.integers(1, 5)}),
        "keys": st.fixed_dictionaries(
            {},
            optional={"generation": st.integers(1, 9999), "overlap": st.sampled_from(["10s", "90m", "7d"])},
        ),
    },
)
CLAIMS = st.builds(
    lambda namespace, name, spec, labels, annotations: Claim(
        namespace=namespace,
        name=name,
        spec=claim_spec().model_validate(spec),
        labels=labels,
        annotations=annotations,
    ),
    NAMES,
    NAMES,
    SPECS,
    st.dictionaries(LABEL_KEYS, LABEL_VALUES, max_size=3),
    st.dictionaries(LABEL_KEYS, TEXT, max_size=3),
)
