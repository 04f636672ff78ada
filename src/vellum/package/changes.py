"""One change between two renders, its meaning, and the page of all changes. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from vellum.kube.objects import Obj

BEGIN, CHARTS, IMAGES = "Before you begin", "Charts", "Images"
DEFINITIONS, PLATFORM, CLAIMS = "Definitions", "The platform", "Claims"
COMPOSED, OTHERS = "Composed objects", "Other objects"
TOPICS = (BEGIN, CHARTS, IMAGES, DEFINITIONS, PLATFORM, CLAIMS, COMPOSED, OTHERS)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, and what it means."""

    topic: str
    what: str
    means: tuple[str, ...]
    grave: bool = False
    """Whether it affects data, removes something, or cannot be undone by rendering the earlier files."""

    def as_dict(self) -> Obj:
        """Return plain data."""
        return asdict(self)


def markdown(changes: list[Change]) -> str:
    """Return the page."""
    if not changes:
        return "# Upgrade\n\nNothing changes.\n"
    grave = sum(change.grave for change in changes)
    lines = ["# Upgrade", "", f"Changes: {len(changes)}; {grave} of them ask for care (**!**)."]
    for topic in TOPICS:
        of_topic = [change for change in changes if change.topic == topic]
        if of_topic:
            lines += ["", f"## {topic}", ""]
        for change in of_topic:
            lines.append(f"- {'**!** ' if change.grave else ''}{_escaped(change.what)}")
            lines += [f"  - {_escaped(means)}" for means in change.means]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Return the text escaped for Markdown, because it comes from a file in git."""
    return "".join(f"\\{item}" if item in "\\`*_[]<>|" else item for item in text if item.isprintable())
