"""What changes between the files of two rendered trees: definitions, platform, claims, and everything else. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vellum.api import claim, platform
from vellum.kube.objects import Key, Obj, annotations_of
from vellum.package.changes import CLAIMS, DEFINITIONS, OTHERS, PLATFORM, Change
from vellum.package.differences import NOT_SAID, by_field, differences, properties
from vellum.package.meanings import (
    BOUND,
    KEYS_UNSAID,
    OTHER,
    REFUSED,
    image_opens,
    lost_with_a_claim,
    of_claim,
    of_platform,
    switches,
)

_DEFINITION = "CompositeResourceDefinition"
_GENERATION = "keys.generation"
_HOLD = (
    _DEFINITION,
    "Provider",
    "Function",
    "Namespace",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)
"""Kinds whose removal stops something or removes a protection."""


def of_tree(before: Iterable[Obj], after: Iterable[Obj]) -> Iterator[Change]:
    """Yield the changes from one tree's objects to the other's."""
    old, new = ({Key.of(obj): _plain(obj) for obj in objects} for objects in (before, after))
    for key in dict.fromkeys((*old, *new)):
        was, now = old.get(key), new.get(key)
        if was == now:
            continue
        if key.kind == platform.KIND:
            yield from _platform(was, now)
        elif key.kind == claim.KIND:
            yield from _claim(key, was, now)
        elif key.kind == _DEFINITION and was and now:
            yield from _definition(key, was, now)
        else:
            yield _other(key, was, now)


def _plain(obj: Obj) -> Obj:
    """Return an object without what only sets its order in Argo CD."""
    meta = {name: value for name, value in obj["metadata"].items() if name != "annotations"}
    if kept := {name: text for name, text in annotations_of(obj).items() if not name.startswith("argocd.")}:
        meta["annotations"] = kept
    return {**obj, "metadata": meta}


def _definition(key: Key, was: Obj, now: Obj) -> Iterator[Change]:
    old, new = (properties(_schema(obj)) for obj in (was, now))
    results = [
        _field(f"{key.name}: {path}", old.get(path), new.get(path))
        for path in dict.fromkeys((*old, *new))
        if old.get(path) != new.get(path)
    ]
    yield from results
    rest = list(differences(_without_schema(was), _without_schema(now)))
    if rest or not results:
        means = "Crossplane changes the kind in place; objects stay"
        yield Change(DEFINITIONS, f"{key.name}: {'; '.join(rest) or 'other descriptions'}", (means,))


def _field(what: str, was: Obj | None, now: Obj | None) -> Change:
    if now is None:
        means = "a request with it is refused, and stored objects lose it when they are next written"
        return Change(DEFINITIONS, f"{what} is removed", (means,), grave=True)
    if was is None:
        means = "objects without it get its default, if it has one"
        return Change(DEFINITIONS, f"{what} is new", (means,))
    told = f"{what}: {'; '.join(differences(was, now))}"
    if was.get("default") != now.get("default"):
        means = "the new default applies to what is written from now on; stored objects keep the old one"
        return Change(DEFINITIONS, told, (means,))
    means = "stored objects that no longer fit stay, and are refused when they are next written"
    return Change(DEFINITIONS, told, (means,), grave=True)


def _schema(obj: Obj) -> Obj:
    schema: Obj = obj["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def _without_schema(obj: Obj) -> Obj:
    spec = obj["spec"]
    versions = [{name: value for name, value in version.items() if name != "schema"} for version in spec["versions"]]
    return {**obj, "spec": {**spec, "versions": versions}}


def _platform(was: Obj | None, now: Obj | None) -> Iterator[Change]:
    if was is None:
        yield Change(PLATFORM, "the platform is added", ("Crossplane installs all of its charts",))
    elif now is None:
        means = "the API server refuses to delete it until an annotation allows deleting the data of all teams"
        yield Change(PLATFORM, "the platform does not have a file any more", (means,), grave=True)
    else:
        yield from (_of_platform(path, line) for path, line in by_field(was["spec"], now["spec"]))
        yield from _metadata(PLATFORM, "the platform", was, now)


def _of_platform(path: str, line: str) -> Change:
    if path == _GENERATION and line.endswith(NOT_SAID):
        return Change(PLATFORM, line, (KEYS_UNSAID,))
    if path.startswith("images.") and line.startswith(f"{path}: {NOT_SAID}"):
        return Change(PLATFORM, line, ("the parts that run it are composed from now on",))
    if path.startswith("images.") and line.endswith(NOT_SAID):
        return Change(PLATFORM, line, ("parts that run it stay as they are, and no new ones are composed",))
    texts = of_platform()
    fits = [name for name in texts if path == name or path.startswith(f"{name}.")]
    means = [texts[max(fits, key=len)] if fits else "running parts change in place"]
    if data := image_opens(path):
        means.append(data)
    grave = path in (*REFUSED, _GENERATION) or bool(data) or line.startswith("training: enabled")
    return Change(PLATFORM, line, tuple(means), grave=grave)


def _claim(key: Key, was: Obj | None, now: Obj | None) -> Iterator[Change]:
    name = f"{key.namespace}/{key.name}"
    if was is None:
        means = "its namespace, bucket, keys and parts are created; other teams are not affected"
        yield Change(CLAIMS, f"{name} is added", (means,))
    elif now is None:
        yield Change(CLAIMS, f"{name} does not have a file any more", _without_file(was), grave=True)
    else:
        for path, line in by_field(was["spec"], now["spec"]):
            yield _of_claim(path, name, line)
        yield from _metadata(CLAIMS, name, was, now)


def _of_claim(path: str, name: str, line: str) -> Change:
    what = f"{name}: {line}"
    if path == _GENERATION and line.endswith(NOT_SAID):
        return Change(CLAIMS, what, (KEYS_UNSAID,))
    off = path in switches() and line.startswith(f"{path}: enabled")
    grave = off or path == _GENERATION or (path == "deletionPolicy" and line.endswith("→ Delete"))
    return Change(CLAIMS, what, (of_claim().get(path, "running parts change in place"),), grave=grave)


def _without_file(was: Obj) -> tuple[str, ...]:
    kept = was["spec"].get("deletionPolicy", "Retain") == "Retain"
    gone, follow = (" and ".join(names) for names in lost_with_a_claim())
    return (
        "it stays until a user deletes it, or a tool does that prunes by git",
        f"then its namespace is deleted, with {gone}; {follow} "
        + ("stay (Retain)" if kept else "are deleted too (Delete)"),
    )


def _metadata(topic: str, name: str, was: Obj, now: Obj) -> Iterator[Change]:
    for line in differences(was["metadata"], now["metadata"]):
        yield Change(topic, f"{name}: {line}", ("labels and annotations change in place",))


def _other(key: Key, was: Obj | None, now: Obj | None) -> Change:
    if was is None:
        return Change(OTHERS, f"{key} is added", (OTHER.get(key.kind, "it is created"),))
    if now is None:
        return Change(OTHERS, f"{key} is removed", (_gone(key.kind),), grave=key.kind in _HOLD)
    if was.get("roleRef") != now.get("roleRef"):
        return Change(OTHERS, f"{key}: {'; '.join(_told(was, now))}", (BOUND,), grave=True)
    return Change(OTHERS, f"{key}: {'; '.join(_told(was, now))}", (OTHER.get(key.kind, "it is changed in place"),))


def _gone(kind: str) -> str:
    if kind == _DEFINITION:
        return "deleting it also deletes every object of its kind, and with them the data of teams"
    return "it is not rendered any more, and it stays until a user deletes it, or a tool does that prunes by git"


def _told(was: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Return the first few differences: an object such as a role may have hundreds."""
    results = list(differences(was, now))
    few = 5
    return [*results[:few], f"and {len(results) - few} more"] if len(results) > few else results
