"""Check the fields of a workload against each other and against a cluster's admission rules; report all mistakes.

The models of ``workloads.py`` judge each field by itself and stop at a wrong one. These checks read the data as it was
written, even where it is malformed, so that one mistake does not hide another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from vellum.api import resources
from vellum.api.envelope import repaired
from vellum.api.messages import flow
from vellum.api.yaml_reader import Mistake, Path, shown
from vellum.components.training_runtimes import JOB_RESOURCES, MODEL_RESOURCES
from vellum.kube.names import LABEL_LIMIT, is_dns_label
from vellum.kube.objects import DOMAIN, Json
from vellum.model.training import INFERENCE_SERVICE, LONGEST_JOB, TRAIN_JOB

USUAL_NAMESPACE = 27
"""Length of the namespace of default/team-a; the checks assume it for a file without a namespace."""
_BETWEEN = len("-predictor-")
_LONGEST_KEY = 1024
_FLAG = "--model"
_KEY = re.compile(r"[\w!\-.()/ +=@,:]+")
_ALLOWED_CLASSES = ("none", "hpa", "keda", "external")
_MODES = ("Standard", "RawDeployment")
_AUTOSCALER, _MODE = "serving.kserve.io/autoscalerClass", "serving.kserve.io/deploymentMode"
OWN = f"{DOMAIN}/"
NO_COMMAND = "the command is missing, and a laptop cannot take one from an image"


def between(kind: str, spec: Json, metadata: Json, team: str) -> Iterator[Mistake]:
    """Yield conflicts between fields, and values that the schema allows but a cluster's admission refuses.

    ``team`` is the namespace of an object without one; empty where it is not known.
    """
    spec, metadata = _fields(spec), _fields(metadata)
    yield from _long_name(kind, metadata.get("name"), metadata.get("namespace", team))
    yield from _marks(metadata.get("labels"), "labels")
    yield from _marks(metadata.get("annotations"), "annotations")
    if kind == TRAIN_JOB.kind:
        yield from _trainer(_fields(spec.get("trainer")), ("spec", "trainer"), written="trainer" in spec)
    elif kind == INFERENCE_SERVICE.kind:
        yield from _annotated(_fields(metadata.get("annotations")))
        yield from _predictor(_fields(spec.get("predictor")), ("spec", "predictor"))


def _long_name(kind: str, name: Json, namespace: Json) -> Iterator[Mistake]:
    if not isinstance(name, str) or not is_dns_label(name):
        return
    most, why = LONGEST_JOB, "because pods add to it"
    if kind == INFERENCE_SERVICE.kind:
        # KServe makes one host label, NAME-predictor-NAMESPACE, of at most 63 characters (0.20, Standard mode).
        known = namespace if isinstance(namespace, str) and is_dns_label(namespace) else ""
        most = max(1, min(LONGEST_JOB, LABEL_LIMIT - _BETWEEN - (len(known) or USUAL_NAMESPACE)))
        if most < LONGEST_JOB:
            where = f"the namespace {known}" if known else "the namespace of a team such as default/team-a"
            why = f"because KServe appends {where}, in {LABEL_LIMIT} characters"
    if not name[0].isalpha() or len(name) > most:
        what = f"{shown(name)} cannot be used here: a letter first, and at most {most} characters, {why}"
        fix = f"write name: {repaired(name, letter=True)[:most].rstrip('-')}"
        yield Mistake("VEL116", what, ("metadata", "name"), fix)


def _fields(value: Json) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Any]:
    return value if isinstance(value, list) else []


def _marks(texts: Json, field: str) -> Iterator[Mistake]:
    """Refuse the platform's own marks: with one, a user's object would count as part of the platform."""
    for name in _fields(texts):
        if name.startswith(OWN):
            what = f"{shown(name)} is reserved for the platform"
            yield Mistake("VEL117", what, ("metadata", field, name), f"delete {shown(name)}")


def _annotated(annotations: dict[str, Any]) -> Iterator[Mistake]:
    for name, allowed in ((_AUTOSCALER, _ALLOWED_CLASSES), (_MODE, _MODES)):
        value = annotations.get(name, allowed[0])
        if isinstance(value, str) and value not in allowed:
            what = f"KServe on this platform refuses {shown(value)} (allowed: {', '.join(allowed)})"
            yield Mistake("VEL117", what, ("metadata", "annotations", name), f"write {name}: {allowed[0]}")


def _trainer(trainer: dict[str, Any], path: Path, *, written: bool) -> Iterator[Mistake]:
    command = trainer.get("command", [])
    if command == [] or (isinstance(command, list) and command[0] == ""):
        here = (*path, "command") if written else path
        fix = "write command: [python, -m, MODULE]"
        yield Mistake(
            "VEL115", NO_COMMAND, here, fix if written else f"write trainer: {{{fix.removeprefix('write ')}}}"
        )
    yield from _environment(_list(trainer.get("env")), (*path, "env"))
    yield from _shown_values(trainer, path)
    yield from resources.check(trainer.get("resourcesPerNode"), (*path, "resourcesPerNode"), JOB_RESOURCES)


def _environment(env: list[Any], path: Path) -> Iterator[Mistake]:
    seen: set[str] = set()
    for number, entry in enumerate(map(_fields, env)):
        name = entry.get("name")
        if not isinstance(name, str):
            continue
        if name in seen:
            yield Mistake("VEL115", f"{shown(name)} is written twice", (*path, number), "keep one of the two")
        elif entry.get("value") and entry.get("valueFrom"):
            what = f"{shown(name)} has both value and valueFrom"
            yield Mistake("VEL115", what, (*path, number), "keep one of the two: delete value")
        seen.add(name)


def _shown_values(trainer: dict[str, Any], path: Path) -> Iterator[Mistake]:
    """Refuse $(NAME): a kubelet expands it, but a laptop would show the value to every user in the process list."""
    names = [entry.get("name") for entry in map(_fields, _list(trainer.get("env")))]
    known = "|".join(re.escape(name) for name in names if isinstance(name, str) and name)
    for field in ("command", "args") if known else ():
        for number, word in enumerate(_list(trainer.get(field))):
            if isinstance(word, str) and (match := re.search(rf"\$\(({known})\)", word)):
                what = f"{match[0]} would show the value of a variable in the process list"
                yield Mistake("VEL115", what, (*path, field, number), "read the variable in the program")


def _predictor(predictor: dict[str, Any], path: Path) -> Iterator[Mistake]:
    least, most = predictor.get("minReplicas"), predictor.get("maxReplicas")
    if type(least) is int and type(most) is int and least > most:
        what = f"minReplicas {least} is more than maxReplicas {most}"
        yield Mistake("VEL115", what, (*path, "minReplicas"), f"write minReplicas: {most}")
    model, here = predictor.get("model"), (*path, "model")
    if isinstance(model, dict):
        if isinstance(model.get("args"), list):
            yield from _arguments(model["args"], (*here, "args"))
        yield from resources.check(model.get("resources"), (*here, "resources"), MODEL_RESOURCES)


def _arguments(args: list[Any], path: Path) -> Iterator[Mistake]:
    """Yield what is wrong with the arguments: they may name one model and nothing else."""
    words = [word for word in args if isinstance(word, str)]
    if len(words) != len(args):
        return
    keys = [word.partition("=")[2] for word in words if word.startswith(f"{_FLAG}=")]
    if len(words) == 2 and words[0] == _FLAG:  # noqa: PLR2004  # the flag and its value
        keys = words[1:]
    elif others := [word for word in words if not word.startswith(f"{_FLAG}=")]:
        what = f"the model server does not have the argument {shown(others[0])}"
        yield Mistake("VEL115", what, path, f"write args: {_args(next(iter(keys), ''))}")
        return
    if len(keys) != 1:
        what = "args name two models" if keys else "args do not name a model"
        yield Mistake("VEL115", what, path, f"write args: {_args(next(iter(keys), ''))}")
    elif why := _wrong_key(keys[0]):
        yield Mistake("VEL115", why, path, f"write args: {_args(keys[0])}")


def _wrong_key(key: str) -> str:
    """Return what is wrong with the key of a model; empty if nothing is."""
    if not key:
        return "the model has no key"
    if "://" in key:
        return f"{shown(key)} is an address, but a laptop reads only the team's own bucket"
    if key.startswith("/"):
        return f"{shown(key)} is a path of a machine, not a key of the team's bucket"
    if any(part in ("", ".", "..") for part in key.split("/")):
        return f"{shown(key)} is not a key of the bucket: it has an empty part, or . or .."
    if len(key.encode()) > _LONGEST_KEY:
        return f"the key has more than {_LONGEST_KEY} bytes"
    if not _KEY.fullmatch(key) or key != key.strip():
        return f"{shown(key)} has characters that a model's key may not have"
    return ""


def _args(key: str) -> str:
    """Return arguments with the key that the user most likely meant."""
    address = re.fullmatch(r"[a-z0-9]+://[^/]*/*(.*)", key)
    plain = address[1] if address else key
    parts = [re.sub(r"[^\w!\-.()+=@,:]+", "-", part)[:200] for part in plain.split("/")]
    made = "/".join(part for part in parts if part.strip("-") not in ("", ".", ".."))
    usable = made if made and not _wrong_key(made) else "models/documents.skops"
    return flow([f"{_FLAG}={usable}"])
