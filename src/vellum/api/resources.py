"""Check a container's requests and limits by the rules of an API server for pods."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from vellum.api.yaml_reader import Mistake, Path, shown
from vellum.kube import quantity

PATTERN = r"^\+?([0-9]{1,18}(\.[0-9]{0,9})?|\.[0-9]{1,9})([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$"
"""A quantity as the API server reads it, without a minus sign: a reservation cannot be negative."""
_QUANTITY = re.compile(PATTERN)
_SMALL = {"n": Decimal("1e-9"), "u": Decimal("1e-6")}
_MOST = Decimal(2**63)
_PLAIN = ("cpu", "memory", "ephemeral-storage")
_BYTES = ("memory", "ephemeral-storage")
_LEAST_BYTES = Decimal(2**20)
_FIELDS = ("requests", "limits")
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_EXTENDED = re.compile(rf"({_LABEL}\.)+{_LABEL}/[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?")
_HUGE = re.compile(r"hugepages-[1-9][0-9]*[KMG]i")
_MISSPELT = re.compile(r"[-+]?\s*([0-9]+(?:[.,][0-9]+)?|[.,][0-9]+)\s*([a-zA-Z]*)")
_WORDS = {"kilo": "k", "mega": "M", "giga": "G", "tera": "T", "kibi": "Ki", "mebi": "Mi", "gibi": "Gi", "tebi": "Ti"}
_UNITS = {
    **dict.fromkeys(("k", "kb"), "k"),
    **{f"{unit}{end}": unit.upper() for unit in "mgtpe" for end in ("", "b")},
    **{f"{unit}i{end}": f"{unit.upper()}i" for unit in "kmgtpe" for end in ("", "b")},
    **{f"{word}byte{end}": unit for word, unit in _WORDS.items() for end in ("", "s")},
}
"""Common wrong spellings of units in lower case, to Kubernetes' unit."""


def parse(value: object) -> Decimal | None:
    """Return a quantity, written as text or number, in base units (cores, bytes); None if it is not a quantity."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = value if isinstance(value, str) else _plain(value)
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    number, suffix = Decimal(match[1]), match[3] or ""
    if suffix[:1] in ("e", "E") and suffix[1:] not in ("", "i"):
        number *= Decimal(10) ** int(suffix[1:])
    elif suffix in _SMALL:
        number *= _SMALL[suffix]
    else:
        number *= quantity.parse(f"1{suffix}")
    return number if number < _MOST else None


def _plain(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{Decimal(str(number)):f}"


def check(resources: object, path: Path, defaults: Mapping[str, Mapping[str, str]]) -> Iterator[Mistake]:
    """Yield the mistakes in ``requests`` and ``limits`` that an API server refuses.

    Args:
        resources: what was written, valid or not.
        path: its place in the document.
        defaults: the runtime's own ``requests`` and ``limits``, which apply where the file sets none.
    """
    if not isinstance(resources, dict):
        return
    amounts: dict[str, dict[str, Decimal]] = {}
    for field in _FIELDS:
        amounts[field] = {}
        written = resources.get(field)
        for name, value in written.items() if isinstance(written, dict) else ():
            here = (*path, field, name)
            if mistake := _wrong_name(here, name) or _wrong_amount(here, name, value):
                yield mistake
            elif (amount := parse(value)) is not None:
                amounts[field][name] = amount
    yield from _between(resources, amounts, path, defaults)


def _wrong_name(path: Path, name: str) -> Mistake | None:
    if name in _PLAIN or _HUGE.fullmatch(name):
        return None
    if _EXTENDED.fullmatch(name) and not name.startswith("requests.") and "kubernetes.io/" not in name:
        return None
    near = next((known for known in _PLAIN if known.startswith(name.lower()[:3])), "")
    if "gpu" in name.lower():
        near = "nvidia.com/gpu"
    what = f"{shown(name)} is not a resource of a container"
    fix = f"write {near} instead" if near else f"write {', '.join(_PLAIN)}, or a device such as nvidia.com/gpu"
    return Mistake("VEL115", what, path, fix)


def _wrong_amount(path: Path, name: str, value: object) -> Mistake | None:
    amount = parse(value)
    if amount is None:
        what = f"{shown(value)} is not a quantity of Kubernetes" if value is not None else "the quantity is missing"
        return Mistake("VEL115", what, path, f"write {name}: {_suggested(name, value)}")
    if name in _BYTES or _HUGE.fullmatch(name):
        if amount and (amount < _LEAST_BYTES or amount != int(amount)):
            what = f"{shown(value)} is less than 1Mi: the unit is missing or wrong"
            if amount >= _LEAST_BYTES:
                what = f"{shown(value)} is not a whole number of bytes"
            return Mistake("VEL115", what, path, f"write {name}: {_suggested(name, value)}")
    elif name not in _PLAIN and amount != int(amount):
        what = f"{shown(value)} of a device is not a whole number"
        return Mistake("VEL115", what, path, f"write {name}: {max(1, int(amount))}")
    return None


def _suggested(name: str, value: object) -> str:
    """Return the most likely intended quantity."""
    example = "1Gi" if name in _BYTES else '"1"'
    text = value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""
    match = _MISSPELT.fullmatch(text.strip()[:40])
    if isinstance(value, bool) or match is None:
        return example
    number = match[1].replace(",", ".")
    unit = _UNITS.get(match[2].lower(), "")
    if name in _BYTES and (not unit or match[2] == "m"):
        unit = "Mi"
    elif name == "cpu" and match[2].lower() in ("m", "mcpu", "millicores", "millicpu"):
        unit = "m"
    elif name not in _BYTES and unit:
        unit = ""
    made = f"{number}{unit}"
    if parse(made) is None or _is_odd(name, parse(made) or Decimal()):
        return example
    return made if unit else f'"{made}"'


def _is_odd(name: str, amount: Decimal) -> bool:
    """Tell whether an amount is implausible: a fraction of a byte or device, or less than 1Mi of bytes."""
    if name == "cpu":
        return False
    return amount != int(amount) or (name in _BYTES and 0 < amount < _LEAST_BYTES)


def _between(
    resources: Mapping[str, Any],
    amounts: Mapping[str, Mapping[str, Decimal]],
    path: Path,
    defaults: Mapping[str, Mapping[str, str]],
) -> Iterator[Mistake]:
    """Yield every request above its limit; if the file sets only one of the two, the runtime's own is the other."""
    requests, limits = amounts["requests"], amounts["limits"]
    for name in dict.fromkeys((*requests, *limits)):
        text, default = _written(resources, "requests", name), defaults["requests"].get(name)
        limit, default_limit = _written(resources, "limits", name), defaults["limits"].get(name)
        if name in requests and name in limits:
            yield from _pair((*path, "requests", name), (requests[name], text), (limits[name], limit))
        elif name in requests and limit is None and default_limit and requests[name] > (parse(default_limit) or 0):
            what = f"the request {shown(text)} is above the runtime's limit {default_limit}, and no limit is written"
            yield Mistake("VEL115", what, (*path, "requests", name), f"write {name}: {_quoted(text)} under limits too")
        elif name in limits and text is None and default and limits[name] < (parse(default) or 0):
            what = f"the limit {shown(limit)} is below the runtime's request {default}, and no request is written"
            yield Mistake("VEL115", what, (*path, "limits", name), f"write {name}: {_quoted(limit)} under requests too")
        elif name in requests and limit is None and name not in _PLAIN:
            what = f"{name} has a request but no limit, and for a device the two must be equal"
            yield Mistake("VEL115", what, (*path, "requests", name), f"write {name}: {_quoted(text)} under limits too")


def _pair(path: Path, request: tuple[Decimal, object], limit: tuple[Decimal, object]) -> Iterator[Mistake]:
    """Yield what is wrong with a request and its limit, each as a number and as written."""
    name, text, most = path[-1], request[1], limit[1]
    if name not in _PLAIN and request[0] != limit[0]:
        what = f"the request {shown(text)} is not the limit {shown(most)}, and for a device the two must be equal"
        yield Mistake("VEL115", what, path, f"write {name}: {_quoted(most)}")
    elif request[0] > limit[0]:
        what = f"the request {shown(text)} is above the limit {shown(most)}"
        yield Mistake("VEL115", what, path, f"write {name}: {_quoted(most)}, or a higher limit")


def _written(resources: Mapping[str, Any], field: str, name: str) -> object:
    written = resources.get(field)
    return written.get(name) if isinstance(written, dict) else None


def _quoted(value: object) -> str:
    """Return a quantity as it is written into YAML."""
    return f'"{value}"' if isinstance(value, str) and re.fullmatch(r"[-+0-9.eE]+", value) else str(value)
