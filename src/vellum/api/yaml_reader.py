"""Parse bytes to plain data with the line of every field: UTF-8 YAML without anchors, aliases, tags and merges.

The reader takes libyaml's events one by one and stops at the first event that breaks a limit. So a hostile file, such
as a mebibyte of ``[``, costs milliseconds. PyYAML's nodes would nest as deep as the file before any check.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import yaml

from vellum.api.scalars import Surprise, meaning
from vellum.errors import ClaimError
from vellum.kube.objects import Json

Path: TypeAlias = tuple[str | int, ...]
"""The place of a value in its document: field names and list positions."""
Event: TypeAlias = Any
"""An event of PyYAML; its stubs have no common type."""
MOST_BYTES = 1 << 20
"""1 MiB: etcd's largest object is of this size, and a claim has a few hundred bytes."""
MOST_DEPTH = 32
MOST_DOCUMENTS = 100
MOST_VALUES = 5_000
MOST_MISTAKES = 20
"""Users do not read more, and every further mistake costs a search for the nearest name."""
ODD_VALUES = frozenset({"VEL108", "VEL109"})
"""The codes of words that YAML readers disagree on, and of ``null``: some fields allow both."""
_BESIDE = {"VEL107": {"VEL107", "VEL108", "VEL109", "VEL110"}, "VEL112": {"VEL107", "VEL108", "VEL109"}}
"""A mistake in a field's name, and the mistakes of the same field that do not explain it."""
_ANCHOR, _ALIAS = "Vellum does not read anchors (&)", "Vellum does not read aliases (*)"
_WIDEST = 60
_PLAIN_FIELD = re.compile(r"[A-Za-z0-9_-]{1,63}")
_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # C0 and C1 controls: they steer a terminal
    "\u2028\u2029"  # line breaks for some YAML readers and letters for others
    "\u202a-\u202e\u2066-\u2069"  # direction marks: the text reads in another order than it is stored
    "\ufeff\ufffe\uffff]"
)
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)


class Mistake(NamedTuple):
    """One mistake: its code, what is wrong, at which field, and what to write there."""

    code: str
    what: str
    path: Path
    fix: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.what}; {self.fix}"


@dataclass(slots=True)
class Document:
    """One YAML document: its data, the line (from 1) and the unquoted word of each field, and its mistakes by line."""

    source: str
    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    words: dict[Path, str] = field(default_factory=dict)
    mistakes: list[tuple[int, Mistake]] = field(default_factory=list)

    def add(self, *mistakes: Mistake) -> None:
        """Record mistakes; skip a field that already has one, because the second follows from the first.

        Nothing follows from an anchor.
        """
        for mistake in mistakes:
            at_field = [other for _, other in self.mistakes if other.path == mistake.path and mistake.path]
            others = {other.code for other in at_field if other.what != _ANCHOR}
            if not others - _BESIDE.get(mistake.code, set()):
                near = (mistake.path[:end] for end in range(len(mistake.path), -1, -1))
                self.mistakes.append((next(filter(None, map(self.lines.get, near)), 0), mistake))

    def errors(self) -> list[ClaimError]:
        """Return the mistakes in the order of their lines; an object that did not come from a file has no lines."""
        return [
            ClaimError(
                item.code,
                item.what,
                fix=item.fix,
                where=self.source + (f":{line}" if line else "") + (f": {dotted(item.path)}" if item.path else ""),
            )
            for line, item in sorted(self.mistakes, key=itemgetter(0))
        ]


def refused(source: str, code: str, what: str, fix: str, line: int = 0) -> Document:
    """Return a document that cannot be read, with the reason as its only mistake."""
    return Document(source, mistakes=[(line, Mistake(code, what, (), fix))])


def dotted(path: Path) -> str:
    """Return the path as people write it: ``spec.notebooks``, ``items[2]``, ``metadata.labels['a/b']``."""
    parts = (
        f"[{part}]" if isinstance(part, int) else f".{part}" if _PLAIN_FIELD.fullmatch(part) else f"[{shown(part)}]"
        for part in path
    )
    return "".join(parts).removeprefix(".")


def shown(value: object) -> str:
    """Return a value in quotes for a message: one line, at most 60 characters, without terminal controls."""
    text = repr(value[: _WIDEST + 1]) if isinstance(value, str) else str(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 4]}...'"


class _StopError(Exception):
    """The reader stops at this line, because the rest is ambiguous."""

    def __init__(self, line: int, code: str, what: str, fix: str, path: Path = ()) -> None:
        super().__init__(what)
        self.line, self.mistake = line, Mistake(code, what, path, fix)


def documents(data: bytes | str, source: str) -> list[Document]:
    """Return the documents of a file that are not empty; if a mistake stops the reader, it is the last one."""
    reader = _Reader(source)
    try:
        reader.read(_text(data) if isinstance(data, bytes) else data)
    except _StopError as stop:
        reader.now.mistakes.append((stop.line, stop.mistake))
    except yaml.YAMLError as error:
        what = getattr(error, "problem", "") or getattr(error, "context", "") or "not YAML"
        mark, fix = getattr(error, "problem_mark", None), "indentation, colons, quotes, tabs"
        mistake = Mistake("VEL105", f"not YAML: {what}", (), f"look at this line and the one before: {fix}")
        reader.now.mistakes.append((mark.line + 1 if mark else 1, mistake))
    return [document for document in reader.documents if document.value is not None or document.mistakes]


def _text(data: bytes) -> str:
    """Return the text of a file; every step is linear in its size."""
    if len(data) > MOST_BYTES:
        fix = "split it into one file per team; a folder may have any number of them"
        raise _StopError(0, "VEL103", f"the file has more than {MOST_BYTES} bytes", fix)
    if data.startswith(_BYTE_ORDER_MARKS):
        raise _StopError(1, "VEL104", "the file begins with a byte order mark", "save it as UTF-8 without BOM")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _StopError(line, "VEL104", f"byte {error.start} is not UTF-8", "save the file as UTF-8") from None
    if unseen := _UNSEEN.search(text):
        what = f"the text has an invisible character U+{ord(unseen[0]):04X}"
        line = text.count("\n", 0, unseen.start()) + 1
        raise _StopError(line, "VEL104", what, "delete the character; an editor shows it when asked to")
    # Thousands of %TAG lines cost libyaml quadratic time before the first event.
    if directive := _DIRECTIVE.search(text):
        what = "Vellum does not read YAML directives (lines that begin with %)"
        raise _StopError(text.count("\n", 0, directive.start()) + 1, "VEL106", what, "delete the line")
    return text


class _Reader:
    """One pass over the events of a text."""

    def __init__(self, source: str) -> None:
        self._values = 0
        # Holds mistakes that come before the first document.
        self.documents = [Document(source)]

    @property
    def now(self) -> Document:
        return self.documents[-1]

    def read(self, text: str) -> None:
        """Read all documents; stop with an exception at the first mistake after which reading is not safe."""
        self._events: Iterator[Event] = yaml.parse(text, Loader=yaml.CSafeLoader)
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if len(self.documents) > MOST_DOCUMENTS:
                    what = f"the file has more than {MOST_DOCUMENTS} documents"
                    raise _StopError(_line(event), "VEL103", what, "split the file")
                self.documents.append(Document(self.now.source))
                root = next(self._events)
                self.now.lines[()] = _line(root)
                if not _is_blank(root):
                    self.now.value = self._value(root, ())

    def _check(self, event: Event, path: Path, *, is_name: bool = False) -> None:
        """Refuse features that a claim does not need, and values beyond a limit."""
        self._values += 1
        is_text = isinstance(event, yaml.ScalarEvent)
        tag = getattr(event, "tag", None)
        shared = _ALIAS if isinstance(event, yaml.AliasEvent) else _ANCHOR if event.anchor is not None else ""
        fix = "split the file"
        if self._values > MOST_VALUES:
            code, what, path = "VEL103", f"the file has more than {MOST_VALUES} values", path[:1]
        elif len(self.now.mistakes) >= MOST_MISTAKES:
            code, what = "VEL103", f"more than {MOST_MISTAKES} mistakes: Vellum does not read the rest"
            fix = "fix these first"
        elif shared and is_name:
            code, what, fix = "VEL106", shared, "write the name out"
        elif tag is not None:
            code, what = "VEL106", f"Vellum does not read the tag {shown(tag)}"
            fix = "delete the word that begins with !"
        elif is_name and not is_text:
            code, what = "VEL110", "a field's name is a list or a mapping"
            fix = "names are text: write name: value"
        elif is_name and not event.style and event.value == "<<":
            code, what, fix = "VEL106", "Vellum does not read merge keys (<<)", "write the fields out"
        elif not is_text and len(path) >= MOST_DEPTH:
            code, what, path = "VEL103", f"nested deeper than {MOST_DEPTH} levels", path[:2]
            fix = "look for an unclosed bracket; a claim nests four deep"
        else:
            if shared:
                fix = f"delete &{event.anchor[:_WIDEST]}" if shared == _ANCHOR else "write the value out"
                self.now.add(Mistake("VEL106", shared, path, fix))
            return
        raise _StopError(self.now.lines.get(path) or _line(event), code, what, fix, path)

    def _value(self, event: Event, path: Path) -> Json:
        self._check(event, path)
        if isinstance(event, yaml.AliasEvent):
            # The value of its anchor could be huge; what is wrong with None here is not recorded again.
            return None
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._scalar(event, path)

    def _mapping(self, path: Path) -> dict[str, Any]:
        value: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            self._check(event, path, is_name=True)
            key: str = event.value
            here = (*path, key)
            first, self.now.lines[here] = self.now.lines.get(here), _line(event)
            if not event.style and not isinstance(meaning(key), str):
                fix = f'write "{key}" in quotes' if key else "write a name before the colon"
                what = f"some YAML readers do not read the name {shown(key)} as text"
                self.now.add(Mistake("VEL110", what, here, fix))
            if key in value:
                what = f"{shown(key)} is already written in line {first}"
                self.now.add(Mistake("VEL107", what, here, "keep one of the two"))
            value[key] = self._value(next(self._events), here)
        return value

    def _sequence(self, path: Path) -> list[Any]:
        value: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            here = (*path, len(value))
            self.now.lines[here] = _line(event)
            value.append(self._value(event, here))
        return value

    def _scalar(self, event: Event, path: Path) -> Json:
        self.now.words[path] = "" if event.style else event.value
        if event.style:
            return event.value
        value = meaning(event.value)
        if isinstance(value, Surprise):
            what = f"some YAML readers take {shown(event.value)} for {value.taken_for}"
            self.now.add(Mistake("VEL108", what, path, f"write {value.instead}"))
            return event.value
        if value is None:
            fix = "write a value, or delete the line to get the default"
            self.now.add(Mistake("VEL109", "the value is missing", path, fix))
        return value


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1


def _is_blank(event: Event) -> bool:
    """Tell whether a document has only comments, as between two ``---``; Kubernetes' tools skip those too."""
    is_text = isinstance(event, yaml.ScalarEvent)
    return is_text and not (event.value or event.style or event.anchor or event.tag)
