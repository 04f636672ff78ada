"""The platform as a graph: its parts, what each waits for, since when, and who acts next. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any

from vellum.api import platform as platforms
from vellum.components import platform_components
from vellum.compose.order import in_order
from vellum.kube.objects import Obj, condition


@dataclass(frozen=True, slots=True)
class Node:
    """One part of the platform."""

    name: str
    summary: str
    after: tuple[str, ...]
    """Parts that must be ready before it is made."""
    ready: bool
    reason: str = ""
    actor: str = ""
    since: str = ""
    version: str = ""
    revision: int = 0
    repairs: int = 0

    def as_dict(self) -> Obj:
        """Return plain data; what is not known is left out."""
        return {
            name: value for name, value in asdict(self).items() if value not in ("", 0, ()) or name == "ready"
        }


def nodes(platform: Obj) -> list[Node]:
    """Return the parts of the platform's profile, each after those that it comes after.

    Raises:
        pydantic.ValidationError: the stored spec does not fit the model.
    """
    live = platforms.from_live(platform)
    wanted = {name: part for name, part in platform_components().items() if live.wants(part)}
    found = []
    for name, part in in_order(wanted, lambda one: (*one.needs, *one.after)):
        said: Mapping[str, Any] = live.said.get(name) or {
            "reason": "it is not composed yet",
            "actor": "the control plane",
        }
        known = {
            word: said[word]
            for word in ("reason", "actor", "since", "version", "revision", "repairs")
            if word in said
        }
        before = tuple(one for one in dict.fromkeys((*part.needs, *part.after)) if one in wanted)
        found.append(Node(name, part.summary, before, bool(said.get("ready")), **known))
    return found


def breaker(platform: Obj) -> str:
    """Return what Crossplane says if it dropped the platform's events for a while; empty otherwise."""
    responsive = condition(platform, "Responsive") or {}
    if responsive.get("status") != "False":
        return ""
    return f"Crossplane's circuit breaker is open ({responsive.get('reason')}); the platform is looked at by time alone"


def text(parts: list[Node], now: datetime) -> str:
    """Return one line for each part that is ready, and who must do what for each that is not."""
    width = max((len(part.name) for part in parts), default=0)
    lines = []
    for part in parts:
        head = f"{part.name:{width}}  {'ready' if part.ready else 'waits'}{_since(part.since, now):>8}"
        chart = f"  {part.version}, revision {part.revision}" if part.revision else ""
        repairs = f", repaired {part.repairs} times" if part.repairs else ""
        after = f"  after {', '.join(part.after)}" if part.after else ""
        lines.append(f"{head}{chart}{repairs}{after}".rstrip())
        if not part.ready:
            lines.append(f"{'':{width}}  {part.reason}; next: {part.actor}")
    return "\n".join(lines)


def _since(since: str, now: datetime) -> str:
    if not since:
        return ""
    seconds = int((now - datetime.fromisoformat(since)) / timedelta(seconds=1))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{max(seconds, 0)} s"


WIDE, HIGH, RIGHT, DOWN, MARGIN = 210, 52, 70, 22, 20
_GREEN, _YELLOW, _INK = "#d9f2dd", "#fdf0c8", "#24292f"


def svg(parts: list[Node]) -> str:
    """Return the graph as a picture: from left to right, each part in the first column after all that it follows."""
    columns = _columns(parts)
    places = {
        name: (MARGIN + column * (WIDE + RIGHT), MARGIN + row * (HIGH + DOWN))
        for column, names in enumerate(columns)
        for row, name in enumerate(names)
    }
    wide = MARGIN * 2 + len(columns) * (WIDE + RIGHT) - RIGHT
    high = MARGIN * 2 + max(map(len, columns), default=0) * (HIGH + DOWN) - DOWN
    drawn = [_arrow(places[before], places[part.name]) for part in parts for before in _direct(part, parts)]
    drawn += [_box(part, *places[part.name]) for part in parts]
    style = f"font-family:sans-serif;font-size:13px;fill:{_INK}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" style="{style}">'
    return "\n".join([head, f'<rect width="{wide}" height="{high}" fill="white"/>', *drawn, "</svg>", ""])


def _columns(parts: list[Node]) -> list[list[str]]:
    depth: dict[str, int] = {}
    for part in parts:
        depth[part.name] = max((depth[before] + 1 for before in part.after), default=0)
    return [
        [name for name, column in depth.items() if column == one]
        for one in range(max(depth.values(), default=-1) + 1)
    ]


def _direct(part: Node, parts: list[Node]) -> list[str]:
    """Return what it comes after, without what those come after themselves: fewer arrows say the same."""
    by_name = {one.name: one for one in parts}

    def behind(name: str) -> set[str]:
        return {name}.union(*(behind(before) for before in by_name[name].after))

    indirect = {name for before in part.after for name in behind(before) - {before}}
    return [before for before in part.after if before not in indirect]


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1, x2, y2 = start[0] + WIDE, start[1] + HIGH // 2, end[0], end[1] + HIGH // 2
    middle = x2 - RIGHT // 2
    line = f'<path d="M{x1},{y1} C{middle},{y1} {middle},{y2} {x2 - 5},{y2}" fill="none" stroke="#8c959f"/>'
    return f'{line}<path d="M{x2},{y2} l-7,-4 v8 z" fill="#8c959f"/>'


def _box(part: Node, x: int, y: int) -> str:
    below = (part.version or "ready") if part.ready else _short(part.reason)
    title = f"<title>{escape(part.summary if part.ready else f'{part.reason}; next: {part.actor}')}</title>"
    colour = _GREEN if part.ready else _YELLOW
    return (
        f'<g>{title}<rect x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" rx="6" fill="{colour}" stroke="{_INK}"/>'
        f'<text x="{x + 10}" y="{y + 21}" font-weight="bold">{escape(part.name)}</text>'
        f'<text x="{x + 10}" y="{y + 40}" font-size="11">{escape(below)}</text></g>'
    )


_WIDEST = 34


def _short(reason: str) -> str:
    return reason if len(reason) <= _WIDEST else f"{reason[: _WIDEST - 1]}…"
