"""The meaning of an unquoted word of YAML, and the words that YAML readers disagree on.

YAML 1.1 (PyYAML, Crossplane's older tools) and 1.2 (JSON, newer tools) disagree about ``on``, ``012`` and ``12:30``.
Vellum reads the words that both read alike and refuses the rest, so that two tools read a claim alike.
"""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

Scalar: TypeAlias = str | int | float | bool


class Surprise(NamedTuple):
    """A word that YAML readers disagree on: what some of them take it for, and what to write instead."""

    taken_for: str
    instead: str


_LONGEST_NUMBER = 18
"""Numbers of this many digits always fit 64 bits; Kubernetes stores no larger number."""
_LONGEST_WORD = 64
"""The longest surprising word has this length, so longer words are text without a check."""
_YES = frozenset({"y", "yes", "on", "true"})
_NO = frozenset({"n", "no", "off", "false"})
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_SURPRISES = tuple(
    (re.compile(pattern, re.ASCII), taken_for)
    for pattern, taken_for in (
        (r"[-+]?0[0-9_]+|[-+]?0o[0-7_]+", "an octal number"),
        (r"-?[0-9]+", "a number that does not fit 64 bits"),
        (r"[-+]?0[xX][0-9a-fA-F_]+", "a hexadecimal number"),
        (r"[-+]?0[bB][01_]+", "a binary number"),
        (r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?", "a number of base 60"),
        (r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?", "a date"),
        (r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "infinity or not-a-number"),
        (r"[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)[eE][-+]?[0-9]+", "a number with an exponent"),
        (r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?", "a number with underscores"),
        (r"[-+]?[0-9]+\.|[-+]?\.[0-9]+|\+[0-9]+(\.[0-9]*)?", "a number"),
        (r"<<", "a merge of another mapping"),
        (r"=", "a default value"),
    )
)


def meaning(word: str) -> Scalar | Surprise | None:
    """Return the value of an unquoted word: text, number, true or false; None for "no value"; or a surprise."""
    lower = word.lower()
    if len(word) > _LONGEST_WORD:
        return word
    if word in ("true", "false"):
        return word == "true"
    if lower in ("", "~", "null"):
        return None
    if lower in _YES | _NO:
        answer = "true" if lower in _YES else "false"
        return Surprise(answer, f'{answer}, or "{word}" in quotes')
    if number := _NUMBER.fullmatch(word):
        if number[2]:
            return float(word)
        if len(word) <= _LONGEST_NUMBER:
            return int(word)
    taken_for = next((taken_for for pattern, taken_for in _SURPRISES if pattern.fullmatch(word)), "")
    return Surprise(taken_for, f'"{word}" in quotes') if taken_for else word
