"""Whether each value that Vellum sets has an effect: most charts ignore a wrong key silently."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from vellum.kube.objects import Key, Obj
from vellum.kube.patch import copied

Path = tuple[str, ...]
Render = Callable[[Obj], list[Obj]]
_NONSENSE = "thisKeyIsInNoChart"
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Keys:
    """The paths of the values, by their effect."""

    effect: list[str] = field(default_factory=list)
    """Without it something else is rendered."""
    passed_on: list[str] = field(default_factory=list)
    """The chart has the key, and hands it to its program with all values, as istiod's does for sidecars."""
    default: list[str] = field(default_factory=list)
    """The chart has the key and the same value: said so that another default cannot surprise."""
    nothing: list[str] = field(default_factory=list)
    """A fault: it could be left out, or it is spelled wrong."""


def of(values: Obj, defaults: Obj, render: Render) -> Keys:
    """Render with and without each value, and return its effect."""
    whole = _by_key(render(values))
    echo = _echo(values, whole, render)
    keys = Keys()
    for path in leaves(values):
        changed = _changed(whole, _rendered(render, without(values, path)))
        default = at(defaults, path)
        if changed - echo:
            keys.effect.append(".".join(path))
        elif changed and default is not _ABSENT:
            keys.passed_on.append(".".join(path))
        elif not changed and default == at(values, path):
            keys.default.append(".".join(path))
        else:
            keys.nothing.append(".".join(path))
    return keys


def _echo(values: Obj, whole: Mapping[Key, Obj], render: Render) -> set[Key]:
    """Return the objects that repeat all values, or all that Helm calls global: any key changes those."""
    wrong = {_NONSENSE: True, "global": {**values.get("global", {}), _NONSENSE: True}}
    try:
        return _changed(whole, _by_key(render({**values, **wrong})))
    except ValueError:
        return set()  # The chart has a closed schema.


def _rendered(render: Render, values: Obj) -> Mapping[Key, Obj]:
    try:
        return _by_key(render(values))
    except ValueError:
        return {}  # It does not even render without.


def _by_key(objects: list[Obj]) -> dict[Key, Obj]:
    return {Key.of(obj): obj for obj in objects}


def _changed(item: Mapping[Key, Obj], other: Mapping[Key, Obj]) -> set[Key]:
    return {key for key in item.keys() | other.keys() if item.get(key) != other.get(key)}


def leaves(values: Obj, above: Path = ()) -> Iterator[Path]:
    """Yield the path of every value that is not a map, or that is an empty map."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*above, name))
        else:
            yield (*above, name)


def at(values: Obj, path: Path) -> object:
    """Return the value at a path; a mark of its own where there is none, None below an open map such as resources."""
    result: object = values
    for step in path:
        if result is None or result == {}:
            return None
        if not isinstance(result, dict) or step not in result:
            return _ABSENT
        result = result[step]
    return result


def without(values: Obj, path: Path) -> Obj:
    """Return the values less one."""
    less: Obj = copied(values)
    inner = less
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return less
