"""Prose that readers must read twice: CONTRIBUTING.md has the style, this test has the words to avoid."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXEMPT = ("CHANGELOG.md", "CONTRIBUTING.md", "tests/shape/test_prose.py")

AVOID = {
    r"mend(?:s|ed|ing)?": "fix, repair",
    r"whoever|somebody|anybody|nobody": "name the actor: the user, the team, the operator, a client",
    r"of before|of after": "earlier, previous; later, new",
    r"without a word|by a word": "silently, by default; by a command, by a setting",
    r"so it is(?=[.;,\"]|$)": "say what is true",
    r"for want of": "because there is not",
    r"(?<!there )(?:is|are|was|were) no (?!longer\b|more\b)\w+": "is not a",
    r"takes? along": "also deletes, includes",
    r"(?:stands?|stood|lies?|lay) (?:in|on|at|under|beside)(?! for\b)": "is in",
    r"is (?:mine|ours|yours)": "belongs to",
    r"goes on by itself": "continues automatically",
    r"a way of its own": "its own way",
    r"what it says|as it says": "name the text",
}
"""A regular expression of whole words without groups, and what to write instead."""

_AVOIDED = re.compile(r"\b(?:" + "|".join(f"({rule})" for rule in AVOID) + r")\b", re.IGNORECASE)
_INSTEAD = tuple(AVOID.values())


def files() -> list[str]:
    """Return the Markdown and Python files of the repository, relative to its root."""
    listed = subprocess.run(["git", "ls-files", "*.md", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\n") if name and name not in EXEMPT]


def prose(name: str, text: str) -> Iterator[tuple[int, str]]:
    """Return (line number, text) of all prose: Markdown lines, or the comments and strings of Python.

    Code spans belong to other programs or to the code, so they are left out.
    """
    for number, line in _lines(name, text):
        yield number, re.sub(r"`+[^`]*`+", "", line)


def _lines(name: str, text: str) -> Iterator[tuple[int, str]]:
    if name.endswith(".md"):
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING) or token.type == _FSTRING:
            for offset, line in enumerate(token.string.splitlines()):
                yield token.start[0] + offset, line


# Python 3.12 splits f-strings into tokens; Python 3.11 returns each as one STRING.
_FSTRING = getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)


def findings(name: str) -> list[str]:
    """Return each place of a file that has words to avoid, with what to write instead."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [
        f"{name}:{line}: {match[0]!r}: write {_INSTEAD[(match.lastindex or 1) - 1]}"
        for line, sentence in prose(name, text)
        for match in _AVOIDED.finditer(sentence)
    ]


@pytest.mark.parametrize("folder", ["src", "tests", "docs", "."])
def test_prose_avoids_words_that_readers_trip_over(folder: str) -> None:
    """Each file belongs to one of src, tests and docs, or to the rest."""
    others = ("src/", "tests/", "docs/")
    names = [
        name for name in files() if (name.startswith(f"{folder}/") if folder != "." else not name.startswith(others))
    ]
    assert names
    assert [finding for name in names for finding in findings(name)] == []


def test_a_string_a_comment_and_a_docstring_are_read() -> None:
    """Code between them is not read, so a name of a variable is free."""
    text = '"""Whoever reads."""\nmend = f"nobody {x}"  # so it is\n'
    read = " ".join(sentence for _, sentence in prose("a.py", text))
    assert [match[0] for match in _AVOIDED.finditer(read)] == ["Whoever", "nobody", "so it is"]


def test_names_say_what_they_hold() -> None:
    """``one``, ``said`` and ``found`` could name anything."""
    vague = {"one", "said", "found"}
    wrong = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else ""
            wrong += [f"{path.relative_to(ROOT)}: {name}"] if name in vague else []
    assert wrong == []
