"""Make the library's PDFs from their sources, the same bytes on every run: ``python examples/library/build.py``.

Needs the ``typst`` wheel of the dev group, and nothing else: it brings its compiler and its fonts.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILT_WITH = "0.15.2"
"""The typst that made the committed PDFs. Another one may place a line elsewhere, and then pages move."""
_SHARED = "style"


def build(target: Path) -> list[Path]:
    """Compile every document of ``source/`` into ``target`` and return the PDFs, sorted by name.

    Two runs give equal bytes: the sources carry no date, and fonts of the machine are ignored.

    Raises:
        typst.TypstError: a source does not compile; the message names file and line.
    """
    import typst

    target.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    for source in sorted((HERE / "source").glob("*.typ")):
        if source.stem != _SHARED:
            pdf = target / f"{source.stem}.pdf"
            typst.compile(str(source), output=str(pdf), ignore_system_fonts=True)
            made.append(pdf)
    return made


if __name__ == "__main__":
    for path in build(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "pdf"):
        print(path)
