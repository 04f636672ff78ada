"""Parse text to plain data with the line of every field: YAML without anchors, aliases, tags and merges.

The reader takes libyaml's events one by one and stops at the first event that breaks a limit. So a hostile file, such
as a mebibyte of ``[``, costs milliseconds. PyYAML's own constructor is not used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

import yaml

from vellum.api.scalars import Surprise, meaning
from vellum.errors import ClaimError

Path: TypeAlias = tuple[str | int, ...]
"""The place of a value in its document: field names and list positions."""
MOST_DEPTH = 32
MOST_DOCUMENTS = 100
MOST_VALUES = 5_000
MOST_PROBLEMS = 20
"""Users do not read more, and every further problem costs a search for the nearest name."""
_PLAIN_FIELD = re.compile(r"[A-Za-z0-9_-]{1,63}")
_WIDEST = 60
_ODD_VALUES = frozenset({"VEL108", "VEL109"})


@dataclass(frozen=True, slots=True)
class Place:
    """Line (from 1) of a field, and its unquoted word, if it has one."""

    line: int
    word: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake and its place."""

    line: int
    path: Path
    error: ClaimError


@dataclass(slots=True)
class Document:
    """One YAML document: its data, the place of each field, and the mistakes found so far."""

    source: str
    value: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    doubtful: set[Path] = field(default_factory=set)
    """Paths with a reported mistake: further mistakes there follow from the first."""

    def line(self, path: Path) -> int:
        """Return the line of the path, or of its nearest parent that was written."""
        known = (path[:end] for end in range(len(path), -1, -1) if path[:end] in self.places)
        return next((self.places[place].line for place in known), 1)

    def where(self, path: Path) -> str:
        """Return ``file:line: field`` of the path; an object that did not come from a file has no lines."""
        head = f"{self.source}:{self.line(path)}" if self.places else self.source
        return head + (f": {dotted(path)}" if path else "")

    def problem(self, code: str, what: str, path: Path, fix: str) -> None:
        """Record one mistake at the path."""
        self.doubtful.add(path)
        error = ClaimError(code, what, where=self.where(path), fix=fix)
        self.problems.append(Problem(self.line(path), path, error))

    def word(self, path: Path) -> str:
        """Return the unquoted word at the path; empty if there is none."""
        return self.places[path].word if path in self.places else ""

    def advise(self, advice: Callable[[Path, str], str]) -> None:
        """Replace the fix of words that only the field's own rules can explain: ``on`` may mean ``enabled``."""
        for index, problem in enumerate(self.problems):
            if problem.error.code in _ODD_VALUES and (fix := advice(problem.path, self.word(problem.path))):
                error = ClaimError(problem.error.code, problem.error.what, where=problem.error.where, fix=fix)
                self.problems[index] = Problem(problem.line, problem.path, error)

    def forgive(self, ignored: frozenset[Path]) -> None:
        """Drop mistakes about odd values under ignored fields, such as ``creationTimestamp: null``."""
        kept = [
            problem for problem in self.problems
            if problem.error.code not in _ODD_VALUES or not any(problem.path[:size] in ignored for size in (1, 2))
        ]  # fmt: skip
        self.problems[:] = kept

    def mistakes(self) -> list[ClaimError]:
        """Return the mistakes in the order of their lines."""
        return [problem.error for problem in sorted(self.problems, key=lambda problem: problem.line)]


def dotted(path: Path) -> str:
    """Return the path as people write it: ``spec.notebooks``, ``items[2]``, ``metadata.labels['a/b']``."""
    parts = []
    for part in path:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        else:
            parts.append(f".{part}" if _PLAIN_FIELD.fullmatch(part) else f"[{shown(part)}]")
    return "".join(parts).removeprefix(".")


def shown(value: object) -> str:
    """Return a value in quotes for a message: one line, at most 60 characters, without terminal controls."""
    text = repr(value[: _WIDEST + 1]) if isinstance(value, str) else str(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 4]}...'"


class _End(Exception):  # noqa: N818  # how the reader leaves the middle of a document
    """Reading ends here: the meaning of the rest of the file is not certain."""


def documents(text: str, source: str) -> list[Document]:
    """Return the non-empty documents of a text; a mistake that ends the reading is the last problem."""
    reader = _Reader(text, source)
    try:
        reader.read()
    except _End:
        pass
    except yaml.YAMLError as error:
        reader.documents[-1].problems.append(_syntax(error, source))
    return [document for document in reader.documents if document.value is not None or document.problems]


def _syntax(error: yaml.YAMLError, source: str) -> Problem:
    line, problem = 1, "not YAML"
    if isinstance(error, yaml.MarkedYAMLError):
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = error.problem or error.context or problem
    fix = "look at this line and the one before: indentation, colons, quotes, tabs"
    return Problem(line, (), ClaimError("VEL105", f"not YAML: {problem}", where=f"{source}:{line}", fix=fix))


class _Reader:
    """One pass over the events of a text."""

    def __init__(self, text: str, source: str) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.CSafeLoader)
        self._values = 0
        # Holds mistakes that come before the first document.
        self.documents = [Document(source)]

    def read(self) -> None:
        """Read all documents; stop with an exception at the first mistake after which reading is not safe."""
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if len(self.documents) > MOST_DOCUMENTS:
                    self._stop(
                        "VEL103",
                        f"the file has more than {MOST_DOCUMENTS} documents",
                        event,
                        (),
                        "split the file",
                    )
                self._document()

    @property
    def _now(self) -> Document:
        return self.documents[-1]

    def _document(self) -> None:
        self.documents.append(Document(self._now.source))
        root = next(self._events)
        self._now.places[()] = Place(_line(root))
        if not _is_blank(root):
            self._now.value = self._value(root, ())

    def _stop(self, code: str, what: str, event: Any, path: Path, fix: str) -> NoReturn:  # noqa: ANN401
        self._now.places.setdefault(path, Place(_line(event)))
        self._now.problem(code, what, path, fix)
        raise _End

    def _checked(self, event: Any, path: Path) -> None:  # noqa: ANN401
        """Refuse features that a claim does not need, and values beyond a limit."""
        self._values += 1
        if self._values > MOST_VALUES:
            self._stop(
                "VEL103", f"the file has more than {MOST_VALUES} values", event, path[:1], "split the file"
            )
        if len(self._now.problems) >= MOST_PROBLEMS:
            self._stop(
                "VEL103",
                f"more than {MOST_PROBLEMS} mistakes: Vellum does not read the rest",
                event,
                path,
                "fix these first",
            )
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self._stop(
                "VEL106",
                "Vellum does not read anchors (&) and aliases (*)",
                event,
                path,
                "write the value out",
            )
        if getattr(event, "tag", None) is not None:
            self._stop(
                "VEL106",
                f"Vellum does not read the tag {shown(event.tag)}",
                event,
                path,
                "delete the word that begins with !",
            )
        if len(path) >= MOST_DEPTH and isinstance(event, yaml.CollectionStartEvent):
            self._stop(
                "VEL103",
                f"nested deeper than {MOST_DEPTH} levels",
                event,
                path[:2],
                "look for an unclosed bracket; a claim nests four deep",
            )

    def _value(self, event: Any, path: Path) -> Any:  # noqa: ANN401
        self._checked(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._scalar(event, path)

    def _mapping(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            here = (*path, key)
            if key in found:
                first = self._now.places[here].line
                self._now.places[here] = Place(_line(event))
                self._now.problem(
                    "VEL107", f"{shown(key)} is already written in line {first}", here, "keep one of the two"
                )
            self._now.places[here] = Place(_line(event))
            found[key] = self._value(next(self._events), here)
        return found

    def _key(self, event: Any, path: Path) -> str:  # noqa: ANN401
        if not isinstance(event, yaml.ScalarEvent):
            if isinstance(event, yaml.AliasEvent):
                self._checked(event, path)
            self._stop(
                "VEL110",
                "a field's name is a list or a mapping",
                event,
                path,
                "names are text: write name: value",
            )
        self._checked(event, path)
        word: str = event.value
        if not event.style and word == "<<":
            self._stop("VEL106", "Vellum does not read merge keys (<<)", event, path, "write the fields out")
        if not event.style and not isinstance(meaning(word), str):
            self._now.places[(*path, word)] = Place(_line(event))
            fix = f'write "{word}" in quotes' if word else "write a name before the colon"
            self._now.problem(
                "VEL110", f"some YAML readers do not read the name {shown(word)} as text", (*path, word), fix
            )
        return word

    def _sequence(self, path: Path) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            here = (*path, len(found))
            self._now.places[here] = Place(_line(event))
            found.append(self._value(event, here))
        return found

    def _scalar(self, event: Any, path: Path) -> Any:  # noqa: ANN401
        word: str = event.value
        if event.style:
            return word
        line = self._now.places[path].line if path in self._now.places else _line(event)
        self._now.places[path] = Place(line, word)
        value = meaning(word)
        if isinstance(value, Surprise):
            what = f"some YAML readers take {shown(word)} for {value.taken_for}"
            self._now.problem("VEL108", what, path, f"write {value.instead}")
            return word
        if value is None:
            self._now.problem(
                "VEL109", "the value is missing", path, "write a value, or delete the line to get the default"
            )
        return value


def _line(event: Any) -> int:  # noqa: ANN401  # PyYAML's stubs know no common event
    line: int = event.start_mark.line
    return line + 1


def _is_blank(event: Any) -> bool:  # noqa: ANN401
    """Tell whether a document has only comments, as between two ``---``; Kubernetes' tools skip those too."""
    return isinstance(event, yaml.ScalarEvent) and not (
        event.value or event.style or event.anchor or event.tag
    )
