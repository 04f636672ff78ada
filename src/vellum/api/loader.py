"""The strict loader: bytes of YAML or JSON become valid claims and platforms, or errors with line and field.

All bytes give values or a ``ClaimError``, in time linear in their number.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path as File
from typing import TypeAlias

from pydantic import ValidationError

from vellum.api import admission, claim, elsewhere, metadata, platform, workloads
from vellum.api.claim import CROSSPLANE_DEFAULTS, CROSSPLANE_FIELDS, Claim
from vellum.api.documents import Document, documents, shown
from vellum.api.platform import Platform
from vellum.api.schema import API_VERSIONS, nearest, node_at
from vellum.api.text import MOST_BYTES, text
from vellum.api.words import advice, example_of, flow, mistakes, unknown, write
from vellum.api.workloads import Workload
from vellum.errors import ClaimError, VellumError
from vellum.kube.objects import Obj
from vellum.model.component import Spec

Written: TypeAlias = Claim | Platform | Workload
STANDARD_INPUT = "-"
_OPENED = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
_RENAME = "write {} instead"
"""The fix for a misspelt field; the loader then does not also report that field as missing."""
_IDENTITY = frozenset({
    ("apiVersion",), ("kind",), ("metadata",), ("metadata", "name"), ("metadata", "namespace"),
})  # fmt: skip
_OF_A_FIELD = frozenset({"VEL107", "VEL108", "VEL109"})
"""Mistakes of one field that leave the rest of the file readable."""
_TOP = dict.fromkeys(("apiVersion", "kind", "metadata", "spec", "status"))


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
    found, problems = _checked(data, source, namespace)
    if problems:
        raise MistakesError(problems)
    return found


def admit(obj: Obj) -> Written:
    """Return an object that did not come from a file, with the checks of one that did.

    Raises:
        MistakesError: as ``load``.
    """
    document = Document(source="the object", value=obj)
    written = _object(document, "")
    if written is None:
        raise MistakesError(document.mistakes())
    return written


def read(*paths: str | File, namespace: str = "") -> list[Written]:
    """Return the objects of files, of folders' ``*.yaml`` and ``*.yml`` in name order, or of standard input (``-``).

    ``namespace`` is that of ``load``.

    Raises:
        MistakesError: as ``load``, for all files together; VEL101 if a file cannot be read.
    """
    found: list[tuple[str, Written]] = []
    problems: list[ClaimError] = []
    for path in paths:
        try:
            files = _files(str(path))
        except MistakesError as error:
            problems += error.problems
            continue
        for source, data in files:
            objects, wrong = _checked(data, source, namespace)
            found += [(source, one) for one in objects]
            problems += wrong
    problems += _twice(found)
    if problems:
        raise MistakesError(problems)
    return [one for _, one in found]


def named(*paths: str | File) -> list[Obj]:
    """Return ``apiVersion``, ``kind``, name and namespace of the objects of files; nothing else is checked.

    ``paths`` are those of ``read``. So a file that only an earlier version accepts can still delete its objects.

    Raises:
        MistakesError: as ``read``, for what is wrong with these four fields or with the file.
    """
    found: list[Obj] = []
    problems: list[ClaimError] = []
    for path in paths:
        try:
            for source, data in _files(str(path)):
                parsed = _parsed(data, source)
                found += [obj for document in parsed if (obj := _identity(document)) is not None]
                problems += [problem for document in parsed for problem in document.mistakes()]
        except MistakesError as error:
            problems += error.problems
        except ClaimError as error:
            problems.append(error)
    if problems:
        raise MistakesError(problems)
    return found


def _identity(document: Document) -> Obj | None:
    """Return the identity of a document's object; drop mistakes in other fields."""
    document.problems[:] = [
        one for one in document.problems
        if not one.path or one.path in _IDENTITY or one.error.code not in _OF_A_FIELD
    ]  # fmt: skip
    value = document.value
    if not isinstance(value, dict):
        if not document.problems:
            fix = "write apiVersion, kind and metadata"
            document.problem("VEL111", "the document is not an object", (), fix)
        return None
    kind, meta = _kind(document, value), value.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    for field in ("name", "namespace"):
        said, path = meta.get(field), ("metadata", field)
        is_text = isinstance(said, str) and said.isprintable() and said
        if not is_text and path not in document.doubtful and (field == "name" or field in meta):
            document.problem("VEL113", f"{field} is missing", path, f"write the {field} as text")
    if document.problems:
        return None
    place = {field: meta[field] for field in ("name", "namespace") if field in meta}
    return {"apiVersion": value["apiVersion"], "kind": kind, "metadata": place}


def _files(path: str) -> list[tuple[str, bytes]]:
    if path == STANDARD_INPUT:
        return [("standard input", sys.stdin.buffer.read(MOST_BYTES + 1))]
    if not File(path).is_dir():
        return [(path, _bytes(File(path)))]
    # The user did not name a pipe that is in the folder, so the loader skips it.
    names = sorted(
        file for file in File(path).iterdir()
        if file.suffix in (".yaml", ".yml") and not file.name.startswith(".") and not file.is_fifo()
    )  # fmt: skip
    if not names:
        raise MistakesError([ClaimError(
            "VEL101", "the folder has no *.yaml and no *.yml", where=path, fix="name a file, or another folder",
        )])  # fmt: skip
    return [(str(file), _bytes(file)) for file in names]


def _bytes(file: File) -> bytes:
    try:
        # A pipe that the shell opened, as <(...) does, is like standard input. Any other pipe may have no writer.
        if str(file).startswith(_OPENED):
            with file.open("rb") as opened:
                return opened.read(MOST_BYTES + 1)
        with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:  # noqa: PTH123  # as said
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise MistakesError([ClaimError(
                    "VEL101", "this is not a file but a pipe, a socket or a device", where=str(file)[:300],
                    fix="name a file, or send it to standard input: vellum ... - < FILE",
                )])  # fmt: skip
            return stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or "not a path"
        raise MistakesError([ClaimError(
            "VEL101", f"cannot be read: {reason.lower()}", where=str(file)[:300], fix="check the path: ls -l",
        )]) from None  # fmt: skip


def _parsed(data: bytes, source: str) -> list[Document]:
    """Return the documents of a file, at least one.

    Raises:
        ClaimError: it is not text (VEL103, VEL104), or does not have an object (VEL102).
    """
    parsed = documents(text(data, source), source)
    if not parsed:
        raise ClaimError(
            "VEL102", "the file does not have an object", where=source, fix="see examples/02-minimal/claim.yaml",
        )  # fmt: skip
    return parsed


def _checked(data: bytes, source: str, namespace: str) -> tuple[list[Written], list[ClaimError]]:
    try:
        parsed = _parsed(data, source)
    except ClaimError as error:
        return [], [error]
    found = [written for document in parsed if (written := _object(document, namespace)) is not None]
    return found, [problem for document in parsed for problem in document.mistakes()]


def _object(document: Document, namespace: str) -> Written | None:
    """Return the object of a document, or None if it has a mistake; ``namespace`` is that of ``load``."""
    document.forgive(metadata.IGNORED)
    value = document.value
    if not isinstance(value, dict):
        if value is not None:
            document.problem(
                "VEL111", "the document is not an object", (), "write apiVersion, kind, metadata and spec"
            )
        return None
    kind = _kind(document, value)
    if not kind:
        return None
    document.advise(lambda path, word: advice(kind, path, word))
    _known_at_the_top(document, value)
    namespace, name, labels, annotations = metadata.check(document, kind, value.get("metadata"), namespace)
    if kind == claim.KIND:
        _not_crossplanes(document, value)
    if "spec" not in value and all(field in _TOP for field in value):
        # An API server requires it too, because Crossplane's definitions do.
        example = flow(example_of(node_at(kind, ("spec",)))) if kind in workloads.KINDS else "{}"
        document.problem("VEL114", "spec is missing", (), f"write spec: {example}")
        return None
    spec = _spec(document, kind, value.get("spec", {}))
    _between(document, kind, value)
    if spec is None or document.problems:
        return None
    if isinstance(spec, platform.PlatformWideSpec):
        return Platform(spec=spec, labels=labels, annotations=annotations)
    if isinstance(spec, claim.ClaimWideSpec):
        return Claim(namespace=namespace, name=name, spec=spec, labels=labels, annotations=annotations)
    return Workload(workloads.KINDS[kind], namespace, name, spec, labels, annotations)


def _kind(document: Document, value: dict[str, object]) -> str:
    """Return the kind if the document is one of ours; record a mistake otherwise."""
    kind, version = value.get("kind"), value.get("apiVersion")
    versions = tuple(dict.fromkeys(API_VERSIONS.values()))
    if isinstance(kind, str) and kind in API_VERSIONS:
        versions = (API_VERSIONS[kind],)
    elif not _misspelt(kind, version) and (found := elsewhere.kind(version, kind)):
        document.problem("VEL120", found[0], ("kind",), found[1])
        return ""
    for field, allowed in (("apiVersion", versions), ("kind", tuple(API_VERSIONS))):
        given = value.get(field)
        if given in allowed or (field,) in document.doubtful:
            continue
        near = (nearest(given, dict.fromkeys(allowed)) if isinstance(given, str) else "") or allowed[0]
        what = f"{field} {shown(given)} is not known here" if field in value else f"{field} is missing"
        others = f" (allowed: {', '.join(allowed)})" if len(allowed) > 1 else ""
        document.problem("VEL111", what, (field,) if field in value else (), f"write {field}: {near}{others}")
    return kind if isinstance(kind, str) and kind in API_VERSIONS else ""


def _misspelt(kind: object, version: object) -> bool:
    """Tell whether an unknown kind is most likely a misspelt kind of its group."""
    known = [name for name, its in API_VERSIONS.items() if its == version and not elsewhere.known(kind)]
    return isinstance(kind, str) and bool(nearest(kind, dict.fromkeys(known)))


def _between(document: Document, kind: str, value: dict[str, object]) -> None:
    """Record conflicts between the fields of a workload, except where its own model already reported a mistake."""
    if kind not in workloads.KINDS:
        return
    meta = value.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    renamed = {problem.error.fix for problem in document.problems}
    for mistake in admission.between(kind, value.get("spec"), meta.get("annotations"), meta.get("labels")):
        misspelt = mistake.what == admission.NO_COMMAND and _RENAME.format("command") in renamed
        if mistake.path not in document.doubtful and not misspelt:
            document.problem(mistake.code, mistake.what, mistake.path, mistake.fix)


def _spec(document: Document, kind: str, spec: object) -> Spec | None:
    if not isinstance(spec, dict):
        if ("spec",) not in document.doubtful:
            document.problem(
                "VEL114",
                "spec is not a mapping",
                ("spec",),
                write(("spec",), node_at(kind, ("spec",)), kind=kind),
            )
        return None
    written = {name: value for name, value in spec.items() if name not in CROSSPLANE_FIELDS}
    model: type[Spec] = {
        claim.KIND: claim.claim_spec(),
        platform.KIND: platform.platform_spec(),
        **workloads.SPECS,
    }[kind]
    try:
        return model.model_validate(written)
    except ValidationError as error:
        found = mistakes(kind, error, document.word, document.places)
        renamed = {(*one.path[:-1], one.fix) for one in found if one.code == "VEL112"}
        for mistake in found:
            missing = (
                mistake.code == "VEL113" and (*mistake.path[:-1], _RENAME.format(mistake.path[-1])) in renamed
            )
            if mistake.path not in document.doubtful and not missing:
                document.problem(mistake.code, mistake.what, mistake.path, mistake.fix)
    return None


def _known_at_the_top(document: Document, value: dict[str, object]) -> None:
    for field in value:
        if field not in _TOP:
            mistake = unknown((field,), _TOP, written=document.places)
            document.problem(mistake.code, mistake.what, mistake.path, mistake.fix)


def _not_crossplanes(document: Document, value: dict[str, object]) -> None:
    """Refuse Crossplane's own fields in a claim without a uid; a claim that a control plane printed has one."""
    spec, meta = value.get("spec"), value.get("metadata")
    if not isinstance(spec, dict) or (isinstance(meta, dict) and "uid" in meta):
        return
    for field in sorted(CROSSPLANE_FIELDS & spec.keys()):
        if spec[field] != CROSSPLANE_DEFAULTS.get(field, spec):
            what = f"spec.{field} is Crossplane's own field, and a team may not set it"
            document.problem("VEL125", what, ("spec", field), f"delete spec.{field}")


def _name(written: Written) -> tuple[str, str, str]:
    if isinstance(written, Platform):
        return platform.KIND, "", platform.NAME
    kind = written.kind.kind if isinstance(written, Workload) else claim.KIND
    return kind, written.namespace, written.name


def _twice(found: list[tuple[str, Written]]) -> list[ClaimError]:
    seen: dict[tuple[str, str, str], str] = {}
    problems = []
    for source, written in found:
        name = _name(written)
        if name in seen:
            what = f"{'/'.join(filter(None, name[1:]))} is written twice"
            where = source if seen[name] == source else f"{seen[name]} and {source}"
            problems.append(ClaimError("VEL118", what, where=where, fix="delete one of the two"))
        seen[name] = source
    return problems
