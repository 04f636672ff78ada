"""The strict loader: bytes of YAML or JSON become valid claims and platforms, or errors with line and field.

All bytes give values or a ``ClaimError``, in time linear in their number.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path as File
from typing import Any, TypeAlias

from pydantic import ValidationError

from vellum.api import admission, claim, elsewhere, platform, workloads
from vellum.api.claim import CROSSPLANE_DEFAULTS, CROSSPLANE_FIELDS, Claim
from vellum.api.envelope import API_VERSIONS, IGNORED, envelope, written
from vellum.api.messages import advice, mistakes
from vellum.api.platform import Platform
from vellum.api.schema import nearest
from vellum.api.workloads import Workload
from vellum.api.yaml_reader import MOST_BYTES, ODD_VALUES, Document, Mistake, documents, refused, shown
from vellum.errors import ClaimError, VellumError
from vellum.kube.objects import Json, Obj

Written: TypeAlias = Claim | Platform | Workload
STANDARD_INPUT = "-"
_OPENED = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
_IDENTITY = frozenset({("apiVersion",), ("kind",), ("metadata",), ("metadata", "name"), ("metadata", "namespace")})
_OF_A_FIELD = ODD_VALUES | {"VEL107"}
"""Mistakes of one field that leave the rest of the file readable."""


class MistakesError(ClaimError):
    """All mistakes of the files, in the order of the lines; the error's own text is that of the first."""

    def __init__(self, problems: Iterable[ClaimError]) -> None:
        self.problems: tuple[ClaimError, ...] = tuple(problems)
        first = self.problems[0]
        super().__init__(first.code, first.what, where=first.where, fix=first.fix)

    def every(self) -> tuple[VellumError, ...]:
        """Return all mistakes."""
        return self.problems


def load(data: bytes, source: str, namespace: str = "") -> list[Written]:
    """Return the objects of one file in their order.

    Args:
        data: the file's content.
        source: the name of the file in messages.
        namespace: the team's namespace for workloads without one; empty where it is not known.

    Raises:
        MistakesError: a ClaimError of code VEL102 to VEL125 whose ``problems`` are all mistakes.
    """
    return _valid(_parsed(data, source), namespace)


def admit(obj: Obj) -> Written:
    """Return an object that did not come from a file, with the checks of one that did.

    Raises:
        MistakesError: as ``load``.
    """
    return _valid([Document("the object", obj)])[0]


def read(*paths: str | File, namespace: str = "") -> list[Written]:
    """Return the objects of files, of folders' ``*.yaml`` and ``*.yml`` in name order, or of standard input (``-``).

    ``namespace`` is that of ``load``.

    Raises:
        MistakesError: as ``load``, for all files together; VEL101 if a file cannot be read.
    """
    return _valid(_files(paths), namespace)


def named(*paths: str | File) -> list[Obj]:
    """Return ``apiVersion``, ``kind``, name and namespace of the objects of files; nothing else is checked.

    ``paths`` are those of ``read``. So a file that only an earlier version accepts can still delete its objects.

    Raises:
        MistakesError: as ``read``, for what is wrong with these four fields or with the file.
    """
    parsed = _files(paths)
    identities = [obj for document in parsed if (obj := _identity(document))]
    _refuse(parsed)
    return identities


def _files(paths: Iterable[str | File]) -> list[Document]:
    """Return the documents of files and folders; a file that cannot be read is one document with the reason."""
    parsed: list[Document] = []
    for path in map(str, paths):
        files = [path]
        if path != STANDARD_INPUT and File(path).is_dir():
            # The user did not name a pipe that is in the folder, so the loader skips it.
            files = [
                str(file)
                for file in sorted(File(path).iterdir())
                if file.suffix in (".yaml", ".yml") and not file.name.startswith(".") and not file.is_fifo()
            ]
        for file in files:
            parsed += _file(file)
        if not files:
            what = "the folder has no *.yaml and no *.yml"
            parsed.append(refused(path, "VEL101", what, "name a file, or another folder"))
    return parsed


def _file(path: str) -> list[Document]:
    try:
        if path == STANDARD_INPUT:
            return _parsed(sys.stdin.buffer.read(MOST_BYTES + 1), "standard input")
        # A pipe that the shell opened, as <(...) does, is like standard input. Any other pipe may have no writer.
        is_open = path.startswith(_OPENED)
        flags = os.O_RDONLY | os.O_CLOEXEC | (0 if is_open else os.O_NONBLOCK)
        with os.fdopen(os.open(path, flags), "rb") as stream:
            if is_open or stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return _parsed(stream.read(MOST_BYTES + 1), path)
        what = "this is not a file but a pipe, a socket or a device"
        fix = "name a file, or send it to standard input: vellum ... - < FILE"
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or "not a path"
        what, fix = f"cannot be read: {reason.lower()}", "check the path: ls -l"
    return [refused(path[:300], "VEL101", what, fix)]


def _parsed(data: bytes, source: str) -> list[Document]:
    fix = "see examples/02-minimal/claim.yaml"
    return documents(data, source) or [refused(source, "VEL102", "the file does not have an object", fix)]


def _valid(parsed: list[Document], namespace: str = "") -> list[Written]:
    """Return the object of each document; ``namespace`` is that of ``load``."""
    valid = [(item.source, made) for item in parsed if (made := _object(item, namespace))]
    seen: dict[tuple[str, str, str], str] = {}
    for source, made in valid:
        obj = made.manifest()
        name = (obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        if name in seen:
            where = source if seen[name] == source else f"{seen[name]} and {source}"
            what = f"{'/'.join(filter(None, name[1:]))} is written twice"
            parsed.append(refused(where, "VEL118", what, "delete one of the two"))
        seen[name] = source
    _refuse(parsed)
    return [made for _, made in valid]


def _refuse(parsed: list[Document]) -> None:
    if problems := [error for document in parsed for error in document.errors()]:
        raise MistakesError(problems)


def _identity(document: Document) -> Obj | None:
    """Return the identity of a document's object; drop mistakes in other fields."""
    document.mistakes[:] = [
        (line, item)
        for line, item in document.mistakes
        if not item.path or item.path in _IDENTITY or item.code not in _OF_A_FIELD
    ]
    if not _is_mapping(document):
        return None
    value = document.value
    kind, meta = _kind(document, value), _metadata(value)
    place = {field: meta[field] for field in ("name", "namespace") if field in meta}
    for field, text in {"name": "", **place}.items():
        if not (isinstance(text, str) and text and text.isprintable()):
            fix = f"write the {field} as text"
            document.add(Mistake("VEL113", f"{field} is missing", ("metadata", field), fix))
    return None if document.mistakes else {"apiVersion": value["apiVersion"], "kind": kind, "metadata": place}


def _is_mapping(document: Document) -> bool:
    """Tell whether the document can be an object; record a mistake if it has something else."""
    if not isinstance(document.value, dict) and document.value is not None:
        fix = "write apiVersion, kind, metadata and spec"
        document.add(Mistake("VEL111", "the document is not an object", (), fix))
    return isinstance(document.value, dict)


def _kind(document: Document, value: Obj) -> str:
    """Return the kind, or the likely one if it is wrong, or ""; record a mistake if it is wrong."""
    given, version = value.get("kind"), value.get("apiVersion")
    word = given if isinstance(given, str) else ""
    kind = word if word in API_VERSIONS else nearest(word, API_VERSIONS)
    is_misspelt = API_VERSIONS.get(kind) == version and not elsewhere.known(word)
    if word not in API_VERSIONS and not is_misspelt and (other := elsewhere.kind(version, given)):
        document.add(Mistake("VEL120", other[0], ("kind",), other[1]))
        return ""
    of_its_group = [name for name, known in API_VERSIONS.items() if known == version]
    kind = kind or (of_its_group[0] if len(of_its_group) == 1 else "")
    versions = dict.fromkeys([API_VERSIONS[kind]] if kind else API_VERSIONS.values())
    for field, allowed, near in (
        ("apiVersion", versions, nearest(str(version), versions)),
        ("kind", API_VERSIONS, kind),
    ):
        if value.get(field) not in tuple(allowed):
            what = f"{field} {shown(value[field])} is not known here" if field in value else f"{field} is missing"
            others = f" (allowed: {', '.join(allowed)})" if len(allowed) > 1 else ""
            fix = f"write {field}: {near or next(iter(allowed))}{others}"
            document.add(Mistake("VEL111", what, (field,) if field in value else (), fix))
    return kind


def _metadata(value: Obj) -> Obj:
    return value["metadata"] if isinstance(value.get("metadata"), dict) else {}


def _settle(document: Document, kind: str) -> None:
    """Drop mistakes about values of ignored fields, such as ``creationTimestamp: null``; give others a specific fix."""
    for index, (line, item) in reversed([*enumerate(document.mistakes)]):
        if item.code in ODD_VALUES and any(item.path[:size] in IGNORED for size in (1, 2)):
            del document.mistakes[index]
        elif item.code in ODD_VALUES and kind and (fix := _advice(document, kind, item)):
            document.mistakes[index] = line, item._replace(fix=fix)


def _advice(document: Document, kind: str, mistake: Mistake) -> str:
    return (
        advice(kind, mistake.path, document.words[mistake.path], is_null=mistake.code == "VEL109")
        if mistake.path
        else ""
    )


def _object(document: Document, namespace: str) -> Written | None:
    """Return the object of a document, or None if it has a mistake; ``namespace`` is that of ``load``."""
    if not _is_mapping(document):
        return None
    kind, meta = _kind(document, document.value), _metadata(document.value)
    _settle(document, kind)
    if not kind:
        return None
    valid: Any = None
    wrong = list(_crossplanes(document.value.get("spec"))) if kind == claim.KIND and "uid" not in meta else []
    try:
        valid = envelope(kind).model_validate(written(kind, document.value))
    except ValidationError as error:
        wrong += mistakes(kind, error, document.words, document.lines)
    if kind in workloads.KINDS:
        wrong += admission.between(kind, document.value.get("spec"), meta, namespace)
    renamed = {(*item.path[:-1], item.fix) for item in wrong if item.code == "VEL112"}
    # A field whose misspelling is reported is not also reported as missing.
    document.add(*(item for item in wrong if (*item.path[:-1], f"write {item.path[-1]} instead") not in renamed))
    if document.mistakes:
        return None
    own = valid.metadata
    if kind == platform.KIND:
        return Platform(spec=valid.spec, labels=own.labels, annotations=own.annotations)
    if kind == claim.KIND:
        return Claim(own.namespace, own.name, valid.spec, labels=own.labels, annotations=own.annotations)
    return Workload(workloads.KINDS[kind], own.namespace, own.name, valid.spec, own.labels, own.annotations)


def _crossplanes(spec: Json) -> Iterator[Mistake]:
    """Refuse Crossplane's own fields in a claim that a control plane did not print, except with its defaults."""
    for field in sorted(CROSSPLANE_FIELDS & spec.keys()) if isinstance(spec, dict) else ():
        if field not in CROSSPLANE_DEFAULTS or spec[field] != CROSSPLANE_DEFAULTS[field]:
            what = f"spec.{field} is Crossplane's own field, and a team may not set it"
            yield Mistake("VEL125", what, ("spec", field), f"delete spec.{field}")
