"""Check Kustomize patches, which provider-helm hands to kustomize as text, before they are stored.

Their form is that of ``patches`` in a kustomization (kustomize api v0.20, types.Patch): a list in which each entry has
the ``patch`` as text, and a ``target`` unless the patch names its object. A patch in a file is refused, because
provider-helm has only the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from vellum.api.yaml_reader import ODD_VALUES, documents
from vellum.model.types import Refused

START = r"^([ \t]*(#[^\n]*)?\n)*[ \t]*-[ \t\n]"
"""The start of a valid text: comments, then the first patch of a list. The API server checks only this."""
_NO_LIST = "it is not a list of kustomize patches"
_FIX = "write patches as in examples/bench/platform.yaml: `- target: ...` and `patch: |`"
_FIELDS = frozenset({"options", "patch", "target"})
_TARGET = frozenset({"annotationSelector", "group", "kind", "labelSelector", "name", "namespace", "version"})
_OPERATIONS = {"add": "value", "copy": "from", "move": "from", "remove": "", "replace": "value", "test": "value"}


class _WrongError(ValueError):
    """A mistake in a patch."""


def checked(text: str) -> str:
    """Return the text unchanged.

    Raises:
        Refused: the text is not a list of kustomize patches.
    """
    try:
        _check_all(text)
    except _WrongError as wrong:
        raise Refused(
            str(wrong), "write patches as in examples/bench/platform.yaml: `- target: ...` and `patch: |`"
        ) from None
    return text


def _check_all(text: str) -> None:
    parsed = _parsed(f"patches:\n{text}") if re.match(START, text) else []
    written = parsed[0] if len(parsed) == 1 else None
    if not isinstance(written, dict) or written.keys() != {"patches"} or not isinstance(written["patches"], list):
        raise _WrongError(_NO_LIST)
    for number, entry in enumerate(written["patches"], 1):
        try:
            _check(entry)
        except _WrongError as wrong:
            raise _WrongError(f"patch {number}: {wrong}") from None


def _parsed(text: str) -> list[Any]:
    parsed = documents(text, "patch")
    # A patch may contain null, and words that YAML readers disagree on.
    wrong = [error for document in parsed for error in document.errors() if error.code not in ODD_VALUES]
    if wrong:
        raise _WrongError(wrong[0].what)
    return [document.value for document in parsed]


def _check(entry: object) -> None:
    if not isinstance(entry, dict):
        raise _WrongError("it is not a mapping with `target` and `patch`")
    _only(entry, _FIELDS, "a patch here may have")
    if not isinstance(entry.get("patch"), str) or not entry["patch"].strip():
        raise _WrongError("its `patch` is not text: write `patch: |` and the patch below it")
    target = entry.get("target")
    if target is not None:
        _check_target(target)
    for patch in _parsed(entry["patch"]):
        _check_patch(patch, has_target=target is not None)


def _check_target(target: object) -> None:
    if not isinstance(target, dict) or not target:
        raise _WrongError("its `target` is not a mapping such as {kind: Deployment, name: kserve}")
    _only(target, _TARGET, "a target may have")
    for name, value in target.items():
        if not isinstance(value, str):
            raise _WrongError(f"its target's {name} is not text")


def _check_patch(patch: object, *, has_target: bool) -> None:
    if isinstance(patch, dict):
        meta = patch.get("metadata")
        named = "kind" in patch and "apiVersion" in patch and isinstance(meta, dict) and "name" in meta
        if not has_target and not named:
            raise _WrongError("it has no `target`, and its patch does not name apiVersion, kind and metadata.name")
    elif isinstance(patch, list):
        if not has_target:
            raise _WrongError("it has no `target`, which operations need")
        for operation in patch:
            _check_operation(operation)
    else:
        raise _WrongError("its patch is neither an object nor a list of operations")


def _check_operation(operation: object) -> None:
    if not isinstance(operation, dict) or operation.get("op") not in _OPERATIONS:
        raise _WrongError(f"an operation needs an `op`: {', '.join(_OPERATIONS)}")
    path = operation.get("path")
    if not isinstance(path, str) or not path.startswith("/"):
        raise _WrongError(f"the path of `{operation['op']}` is not text that begins with /")
    needs = _OPERATIONS[operation["op"]]
    if needs and needs not in operation:
        raise _WrongError(f"`{operation['op']}` needs a `{needs}`")


def _only(values: dict[str, Any], known: Iterable[str], words: str) -> None:
    for name in values:
        if name not in known:
            raise _WrongError(f"the field {name[:64]!r} is not known; {words}: {', '.join(sorted(known))}")
