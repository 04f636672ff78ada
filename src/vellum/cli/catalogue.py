"""Read the error pages of docs/errors: from the checkout, or from their copy in a wheel."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vellum.errors import UsageError

CODE = re.compile(r"VEL[0-9]{3}", re.IGNORECASE)
_HERE = Path(__file__).resolve()
_IN_WHEEL, _IN_CHECKOUT = _HERE.parents[1] / "pages/errors", _HERE.parents[3] / "docs/errors"
FOLDER = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
_HEADING = re.compile(r"^## (VEL[0-9]{3}) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


@dataclass(frozen=True, slots=True)
class Page:
    """The documentation of one error code."""

    code: str
    title: str
    text: str

    def as_dict(self) -> dict[str, str]:
        """Return plain data."""
        return {"code": self.code, "title": self.title, "text": self.text}

    def __str__(self) -> str:
        return f"{self.code}: {self.title}\n\n{self.text}"


def page(code: str) -> Page:
    """Return the page of a code, without links.

    Raises:
        UsageError: the code does not exist (VEL745).
    """
    wanted, known = code.upper(), []
    for file in sorted(FOLDER.glob("*.md")):
        text = file.read_text(encoding="utf-8")
        heads = list(_HEADING.finditer(text))
        known += [head[1] for head in heads]
        for head, following in zip(heads, [*heads[1:], None], strict=True):
            if head[1] == wanted:
                body = text[head.end() : following.start() if following else len(text)]
                return Page(wanted, head[2], _LINK.sub(r"\1", body).replace("**", "").strip())
    first, last = min(known, default="none"), max(known, default="none")
    raise UsageError(
        "VEL745", f"error {wanted} does not exist", where=code, fix=f"choose one of {first} to {last}; see docs/errors"
    )
