"""The results of the last rendering of the real charts, stored in found.yaml and shown in docs/charts.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.charts.facts import Facts
from tests.charts.keys import Keys

from vellum.kube.objects import Obj

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "tests/charts/found.yaml"
PAGE = ROOT / "docs/charts.md"
BEGIN, END = "<!-- what follows is written by tests/charts/render.py -->\n", "<!-- up to here -->\n"
SECRET_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StandIn:
    """The parts that the bench's stand-in omits on purpose."""

    lacks: list[str]
    ignores: list[str]


@dataclass(frozen=True, slots=True)
class Part:
    """One release, rendered."""

    name: str
    profiles: list[str]
    chart: dict[str, str]
    source: str
    """The source of the archive, as a text."""
    namespace: str
    pod_security: str
    values: Obj
    keys: Keys
    facts: Facts
    record_bytes: int
    stand_in: StandIn | None
    """None where the bench has the real chart."""


@dataclass(frozen=True, slots=True)
class Record:
    """All charts, and the tools that rendered them."""

    date: str
    helm: str
    kubernetes: list[str]
    parts: list[Part]

    def text(self) -> str:
        """Return it as YAML."""
        return yaml.safe_dump(asdict(self), sort_keys=False, width=1000, allow_unicode=True)


def kept() -> Record:
    """Return the stored results."""
    output: dict[str, Any] = yaml.safe_load(KEPT.read_text(encoding="utf-8"))
    parts = [
        Part(
            **{
                **part,
                "keys": Keys(**part["keys"]),
                "facts": Facts(**part["facts"]),
                "stand_in": StandIn(**part["stand_in"]) if part["stand_in"] else None,
            }
        )
        for part in output["parts"]
    ]
    return Record(**{**output, "parts": parts})


def page(record: Record) -> str:
    """Return docs/charts.md with the record's tables; the words around them are written by hand."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n".join(_tables(record))
    return f"{before}{BEGIN}\n{tables}\n\n{END}{after}"


def _tables(record: Record) -> Iterator[str]:
    same = " and ".join(record.kubernetes)
    yield f"Rendered on {record.date} by Helm {record.helm.lstrip('v')} for Kubernetes {same}, with the same result."
    for title, (head, rows) in {
        "What each chart makes": _makes(record.parts),
        "Services, kinds and webhooks": _meets(record.parts),
        "How the bench's stand-ins differ": _differ(record.parts),
    }.items():
        yield f"\n## {title}\n"
        yield from map(_row, (head, ("---",) * len(head), *rows))


Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


def _makes(parts: list[Part]) -> Table:
    head = (
        "Part",
        "Chart",
        "Profiles",
        "Workloads, and what each container requests",
        "Pod Security",
        "Helm's record, of 1 MiB",
    )
    return head, [
        (
            part.name,
            f"{part.chart['name']} {part.chart['version']}",
            ", ".join(part.profiles),
            _lines(map(_without_account, part.facts.workloads)),
            _verdict(part),
            f"{part.record_bytes / SECRET_BYTES:.0%}",
        )
        for part in parts
    ]


def _meets(parts: list[Part]) -> Table:
    rows = [
        (
            part.name,
            _lines(part.facts.services),
            _lines(_kinds(part.facts)),
            _lines(_webhooks(part.facts)),
            _counted(part.facts.hooks),
        )
        for part in parts
    ]
    return ("Part", "Services", "Kinds", "Webhooks", "Hooks"), [row for row in rows if any(row[1:])]


def _differ(parts: list[Part]) -> Table:
    return ("Part", "Not in the stand-in", "Values without an effect there"), [
        (part.name, _counted(part.stand_in.lacks), _codes(part.stand_in.ignores)) for part in parts if part.stand_in
    ]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _lines(lines: Iterable[str]) -> str:
    return "<br>".join(lines)


def _codes(paths: list[str]) -> str:
    return ", ".join(f"`{path}`" for path in paths)


def _without_account(workload: str) -> str:
    named, _, rest = workload.partition(", account ")
    return f"{named}: {rest.partition(': ')[2]}"


def _verdict(part: Part) -> str:
    faults = sorted({fault for result in part.facts.pod_security.values() for fault in result})
    if faults:
        return f"{part.pod_security}, for {', '.join(faults)}"
    return "restricted" if part.facts.pod_security else ""


def _kinds(facts: Facts) -> Iterator[str]:
    """Yield the kinds of each group in one line."""
    groups: dict[str, list[str]] = {}
    for line in facts.kinds:
        kind, _, rest = line.partition(" ")
        groups.setdefault(rest.partition("/")[0], []).append(kind)
    yield from (f"{group}: {', '.join(kinds)}" for group, kinds in sorted(groups.items()))
    if facts.kinds and not any(line.endswith("kept") for line in facts.kinds):
        yield (f"all but {', '.join(facts.apart)} go with the release" if facts.apart else "all go with the release")


def _webhooks(facts: Facts) -> Iterator[str]:
    """Yield each webhook configuration once, with the Service and what happens without an answer."""
    seen: Counter[str] = Counter()
    for line in facts.webhooks:
        named, _, rest = line.partition(": ")
        service, _, policy = rest.partition(" by ")[2].partition(", ")
        kind = "mutating" if named.startswith("Mutating") else "validating"
        seen[f"{kind} {named.partition(' ')[2]}, by {service}, {policy}"] += 1
    yield from (f"{words} ({times})" if times > 1 else words for words, times in seen.items())


def _counted(lines: list[str]) -> str:
    """Return how many objects of each kind there are; a webhook configuration may have several lines."""
    objects = {line.partition(": ")[0]: line for line in lines}
    kinds = Counter(f"{name.partition(' ')[0]}{_hook(line)}" for name, line in objects.items())
    return ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))


def _hook(line: str) -> str:
    text = line.partition(": ")[2]
    return f" ({text})" if text and " by " not in text else ""
