"""The sources of a binding, in order: a named team, a mounted folder, the environment, the only team."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NoReturn

from vellum.connect.binding import BINDING_SECRET, KEYS, Binding, is_key
from vellum.connect.installation import is_held, matching, opened, state_root
from vellum.errors import BindingError

_MOST_BYTES = 4 * 2**20


def connect(team: str | None = None) -> Binding:
    """Return the binding of ``team``, or of the environment in which the code runs.

    The first source that exists is used alone:

    1. ``team``, "namespace/name", or "name" if only one team has it: a claim of this laptop;
    2. ``VELLUM_BINDING_DIR``: a folder with one file per key, as a kubelet mounts a Secret;
    3. environment variables of the same names, when ``VELLUM_BUCKET`` is among them;
    4. this laptop's team, when there is exactly one.

    Raises:
        BindingError: the team does not exist (VEL601), its name is ambiguous (VEL602), its folder or the state cannot
            be read (VEL603), no source exists (VEL604), or this laptop's platform does not run (VEL607).
    """
    if team is not None:
        return _of_team(team)
    if folder := os.environ.get("VELLUM_BINDING_DIR"):
        return read_folder(Path(folder))
    if os.environ.get("VELLUM_BUCKET"):
        return Binding.of({name: os.environ.get(name, "") for name in KEYS}, "the environment")
    return _of_only_team()


def read_folder(folder: Path) -> Binding:
    """Return the binding of a mounted Secret; keys that do not exist yet are None.

    Raises:
        BindingError: the folder does not exist or cannot be read (VEL603).
    """
    try:
        while (values := _read(folder)) is None:
            pass
    except (OSError, UnicodeDecodeError) as error:
        raise BindingError(
            "VEL603",
            f"the binding cannot be read: {error}",
            where=str(folder),
            fix="run `vellum status`; the folder appears once the team's namespace is ready",
        ) from error
    return Binding.of(values, str(folder))


def _read(folder: Path) -> dict[str, str] | None:
    """Return the keys, all old or all new; None if they were replaced meanwhile."""
    # All keys come from the one folder that the link stands for now. That folder never changes; it is removed once the
    # link stands for another.
    link = folder / "..data"
    if not link.is_symlink():
        return _keys_in(folder)
    place = link.resolve()
    try:
        values = _keys_in(place)
    except FileNotFoundError:
        if link.resolve() == place:
            raise
        return None
    return values if link.resolve() == place else None


def _keys_in(place: Path) -> dict[str, str]:
    # A folder that a person mounts may hold other things, such as certificates.
    names = [name for name in sorted(os.listdir(place)) if is_key(name) and (place / name).is_file()]  # noqa: PTH208  # names only
    return {name: _content(place / name) for name in names}


def _content(path: Path) -> str:
    """Read one key; a file that is replaced between listing and reading counts as absent."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def _teams() -> dict[str, str]:
    """Return "claim namespace/claim name" to team namespace; empty if the platform was never started."""
    path = state_root() / "teams.json"
    try:
        with opened(path) as file:
            read: Any = json.loads(file.read(_MOST_BYTES))
        return {str(claim): str(entry["namespace"]) for claim, entry in read.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BindingError(
            "VEL603",
            f"the list of teams cannot be read: {error}",
            where=str(path),
            fix="run `vellum up CLAIM`, which writes the list again",
        ) from error


def _of_team(team: str) -> Binding:
    teams = _teams()
    claims = matching(team, teams)
    if not claims:
        known = ", ".join(sorted(teams)) or "none"
        raise BindingError(
            "VEL601",
            f"team {team!r} does not exist here; known teams: {known}",
            where=str(state_root()),
            fix="run `vellum status` to see the teams, or `vellum up CLAIM` to start one",
        )
    if len(claims) > 1:
        _ambiguous(f"{team!r} names {len(claims)} teams", claims)
    root = state_root()
    # Without a supervisor another program may have the ports, and must not get a key.
    if not is_held(root):
        raise BindingError(
            "VEL607",
            "the platform is not running, and another program may have its port",
            where=str(root),
            fix="start it with `vellum up`; what it holds is kept",
        )
    return read_folder(root / "secrets" / teams[claims[0]] / BINDING_SECRET)


def _of_only_team() -> Binding:
    teams = _teams()
    if not teams:
        raise BindingError(
            "VEL604",
            "VELLUM_BINDING_DIR and VELLUM_BUCKET are not set, and this machine has no team",
            where=str(state_root()),
            fix="run `vellum up CLAIM`, or set VELLUM_BINDING_DIR to a mounted binding",
        )
    if len(teams) > 1:
        _ambiguous(f"this machine has {len(teams)} teams", list(teams))
    return _of_team(next(iter(teams)))


def _ambiguous(what: str, claims: list[str]) -> NoReturn:
    names = ", ".join(sorted(claims))
    raise BindingError(
        "VEL602",
        f"{what}: {names}",
        where=str(state_root()),
        fix=f"name one: `vellum connect {min(claims)}`, --team {min(claims)} for other commands, "
        f'vellum.connect("{min(claims)}") in Python',
    )
