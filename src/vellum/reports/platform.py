"""The platform as a graph: its parts, what each waits for, since when, and who acts next. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from html import escape
from statistics import fmean
from typing import Any

from vellum.api import platform as platforms
from vellum.components import platform_components
from vellum.compose.order import in_order
from vellum.kube.objects import Obj, condition
from vellum.reports import table


@dataclass(frozen=True, slots=True)
class Node:
    """One part of the platform."""

    name: str
    summary: str
    after: tuple[str, ...]
    """Parts that must be ready before this part is made."""
    ready: bool
    reason: str = ""
    actor: str = ""
    since: str = ""
    version: str = ""
    revision: int = 0
    watched: int = 0
    """How many objects of its chart are compared with what Helm made."""
    repairs: int = 0

    def as_dict(self) -> Obj:
        """Return plain data without the fields that are unknown."""
        return {name: value for name, value in asdict(self).items() if value not in ("", 0, ()) or name == "ready"}


def nodes(platform: Obj) -> list[Node]:
    """Return the parts of the platform's profile, each after the parts that it comes after.

    Raises:
        pydantic.ValidationError: the stored spec does not fit the model.
    """
    live = platforms.from_live(platform)
    wanted = {name: part for name, part in platform_components().items() if live.wants(part)}
    results = []
    for name, part in in_order(wanted):
        entry: Mapping[str, Any] = live.status.entries.get(name) or {
            "reason": "it is not composed yet",
            "actor": "the control plane",
        }
        known = {
            word: entry[word]
            for word in ("reason", "actor", "since", "version", "revision", "watched", "repairs")
            if word in entry
        }
        before = tuple(fromkey for fromkey in dict.fromkeys((*part.needs, *part.after)) if fromkey in wanted)
        results.append(Node(name, part.summary, before, bool(entry.get("ready")), **known))
    return results


def breaker(platform: Obj) -> str:
    """Return a sentence if Crossplane dropped the platform's events for a while, else an empty string."""
    responsive = condition(platform, "Responsive") or {}
    if responsive.get("status") != "False":
        return ""
    reason = " ".join(filter(None, (f"({responsive.get('reason')})", responsive.get("message"))))
    return f"Crossplane's circuit breaker is open {reason}; events are dropped until it closes"


HEAD = ("PART", "STATE", "SINCE", "AFTER", "CHART", "WATCHED", "REPAIRED")


def text(parts: list[Node], now: datetime) -> str:
    """Return one line for each part; below each that is not ready, what it waits for and who acts next."""
    head, *rows = table.lines(HEAD, [_row(part, parts, now) for part in parts])
    lines = [head]
    for part, row in zip(parts, rows, strict=True):
        lines.append(row)
        if not part.ready:
            lines.append(f"{table.GAP}{part.reason}; next: {part.actor}")
    return "\n".join(lines)


def _row(part: Node, parts: list[Node], now: datetime) -> tuple[str, ...]:
    repaired = "" if not part.repairs else "once" if part.repairs == 1 else f"{part.repairs} times"
    after = ", ".join(_direct(part, parts))
    return (part.name, _state(part), _since(part.since, now), after, _chart(part), str(part.watched or ""), repaired)


def _state(part: Node) -> str:
    return "ready" if part.ready else "waits"


def _chart(part: Node) -> str:
    return f"{part.version}, revision {part.revision}" if part.revision else ""


def _since(since: str, now: datetime) -> str:
    if not since:
        return ""
    seconds = int((now - datetime.fromisoformat(since)) / timedelta(seconds=1))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{max(seconds, 0)} s"


WIDE, HIGH, RIGHT, DOWN, MARGIN = 284, 82, 24, 30, 20
_STYLE = """\
text { font: 12px system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; fill: #57606a }
.name { font-size: 14px; font-weight: 600; fill: #1f2328 }
.paper { fill: #ffffff }
.arrow { fill: none; stroke: #8c959f; stroke-width: 1.5 }
.tip { fill: #8c959f }
.ready rect { fill: #e9f7ec; stroke: #2da44e }
.ready .state { fill: #1a7f37 }
.waits rect { fill: #fff6dc; stroke: #bf8700; stroke-dasharray: 5 3 }
.waits .state { fill: #8a5a00 }
@media (prefers-color-scheme: dark) {
  text { fill: #a9b4c0 }
  .name { fill: #f0f3f6 }
  .paper { fill: #0d1117 }
  .ready rect { fill: #12261a; stroke: #3fb950 }
  .ready .state { fill: #56d364 }
  .waits rect { fill: #2b2210; stroke: #d29922 }
  .waits .state { fill: #e3b341 }
}"""


def svg(parts: list[Node]) -> str:
    """Return the graph as a picture: each part is in the first row below all parts that it comes after."""
    rows = _rows(parts)
    wide = MARGIN * 2 + max(map(len, rows), default=1) * (WIDE + RIGHT) - RIGHT
    high = MARGIN * 2 + len(rows) * (HIGH + DOWN) - DOWN
    places = {
        name: (
            (wide - len(row) * (WIDE + RIGHT) + RIGHT) // 2 + column * (WIDE + RIGHT),
            MARGIN + number * (HIGH + DOWN),
        )
        for number, row in enumerate(rows)
        for column, name in enumerate(row)
    }
    ready = sum(part.ready for part in parts)
    title = f"The platform: {ready} of {len(parts)} parts are ready"
    size = f'width="{wide}" height="{high}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {wide} {high}" role="img">',
            f"<title>{title}</title>",
            f"<style>\n{_STYLE}\n</style>",
            f'<rect class="paper" {size} rx="12"/>',
            *(_arrow(places[before], places[part.name]) for part in parts for before in _direct(part, parts)),
            *(_box(part, *places[part.name]) for part in parts),
            "</svg>",
        ]
    )


def _rows(parts: list[Node]) -> list[list[str]]:
    """Return the names row by row; in a row, each part is as near as possible to the parts it comes after."""
    depth: dict[str, int] = {}
    for part in parts:
        depth[part.name] = max((depth[before] + 1 for before in part.after), default=0)
    rows: list[list[str]] = []
    column: dict[str, float] = {}
    for number in range(max(depth.values(), default=-1) + 1):
        above = {
            part.name: fmean([column[before] for before in _direct(part, parts)] or [0.0])
            for part in parts
            if depth[part.name] == number
        }
        rows.append(sorted(above, key=lambda name: above[name]))
        column |= {name: place - len(above) / 2 for place, name in enumerate(rows[-1])}
    return rows


def _direct(part: Node, parts: list[Node]) -> list[str]:
    """Return the parts it comes after, without those implied by others: fewer arrows have the same meaning."""
    by_name = {item.name: item for item in parts}

    def behind(name: str) -> set[str]:
        """Return a part with all parts that it comes after, directly or not."""
        return {name}.union(*(behind(before) for before in by_name[name].after))

    indirect = {name for before in part.after for name in behind(before) - {before}}
    return [before for before in part.after if before not in indirect]


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1, x2, y2 = start[0] + WIDE // 2, start[1] + HIGH, end[0] + WIDE // 2, end[1]
    middle = y2 - DOWN // 2
    line = f'<path class="arrow" d="M{x1},{y1} C{x1},{middle} {x2},{middle} {x2},{y2 - 7}"/>'
    return f'{line}<path class="tip" d="M{x2},{y2 - 1} l-5,-8 h10 z"/>'


def _box(part: Node, x: int, y: int) -> str:
    """Return a part's box: name and state, then its description, or what it waits for, who acts next and since when."""
    since = f"since {part.since[:16].replace('T', ' ')}" if part.since else ""
    details = (part.summary, _chart(part)) if part.ready else (part.reason, f"next: {part.actor}")
    whole = "; ".join(filter(None, (*details, since)))
    lines = [
        f'<text x="{x + 12}" y="{y + 41 + 16 * place}">{escape(_short(line))}</text>'
        for place, line in enumerate(filter(None, (*details, since)))
    ]
    state = _state(part)
    return (
        f'<g class="{state}"><title>{escape(whole)}</title>'
        f'<rect x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" rx="8"/>'
        f'<text class="name" x="{x + 12}" y="{y + 22}">{escape(part.name)}</text>'
        f'<text class="state" x="{x + WIDE - 12}" y="{y + 22}" text-anchor="end">{state}</text>'
        f"{''.join(lines)}</g>"
    )


_WIDEST = 39
"""How many letters fit a box in the widest of the fonts."""


def _short(line: str) -> str:
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"
