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
_BOOLEANS = {**dict.fromkeys(("y", "yes", "on", "true"), "true"), **dict.fromkeys(("n", "no", "off", "false"), "false")}
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_SURPRISES = {
    "an octal number": r"[-+]?0[0-9_]+|[-+]?0o[0-7_]+",
    "a number that does not fit 64 bits": r"-?[0-9]+",
    "a hexadecimal number": r"[-+]?0[xX][0-9a-fA-F_]+",
    "a binary number": r"[-+]?0[bB][01_]+",
    "a number of base 60": r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?",
    "a date": r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?",
    "infinity or not-a-number": r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "a number with an exponent": r"[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)[eE][-+]?[0-9]+",
    "a number with underscores": r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?",
    "a number": r"[-+]?[0-9]+\.|[-+]?\.[0-9]+|\+[0-9]+(\.[0-9]*)?",
    "a merge of another mapping": r"<<",
    "a default value": r"=",
}


def meaning(word: str) -> Scalar | Surprise | None:
    """Return the value of an unquoted word: text, number, true or false; None for "no value"; or a surprise."""
    lower = word.lower()
    if len(word) > _LONGEST_WORD:
        return word
    if word in ("true", "false"):
        return word == "true"
    if lower in ("", "~", "null"):
        return None
    if answer := _BOOLEANS.get(lower):
        return Surprise(answer, f'{answer}, or "{word}" in quotes')
    number = _NUMBER.fullmatch(word)
    if number and (number[2] or len(word) <= _LONGEST_NUMBER):
        return float(word) if number[2] else int(word)
    surprises = (what for what, pattern in _SURPRISES.items() if re.fullmatch(pattern, word, re.ASCII))
    return next((Surprise(what, f'"{word}" in quotes') for what in surprises), word)
