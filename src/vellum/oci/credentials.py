"""The login for a registry: from Docker's settings and its credential helpers, or from a pull secret."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vellum.errors import UsageError

_HUB = ("docker.io", "https://index.docker.io/v1/")
"""Docker Hub's name in references, and in settings."""
_TOKEN = "<token>"  # noqa: S105  # what helpers write as the user's name
_HELPER = re.compile(r"[A-Za-z0-9._-]+")
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Login:
    """A user and a password, or a token that the registry exchanges for others."""

    user: str = ""
    password: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of the header ``Authorization``."""
        return f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"


def of_docker(host: str) -> Login | None:
    """Return the login that ``docker login HOST`` stored, or None.

    Raises:
        UsageError: the settings are not JSON, or a credential helper fails (VEL758).
    """
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    path = folder / "config.json"
    try:
        settings = json.loads(path.read_bytes())
        helper = (settings.get("credHelpers") or {}).get(_key(host)) or settings.get("credsStore")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        what = "Docker's settings cannot be read"
        raise UsageError("VEL758", what, where=str(path), fix="repair the file, or log in again") from error
    return of_settings(settings, host) or (_helped(helper, host) if helper else None)


def of_settings(settings: Mapping[str, Any], host: str) -> Login | None:
    """Return the login for the host in ``auths``, as in Docker's settings or in a pull secret; None without one."""
    auths = settings.get("auths")
    for name, entry in auths.items() if isinstance(auths, dict) else ():
        if isinstance(entry, dict) and entry and _host(name) == _host(_key(host)):
            return _login(entry)
    return None


def _key(host: str) -> str:
    return _HUB[1] if host == _HUB[0] else host


def _host(name: str) -> str:
    return re.sub(r"^https?://", "", str(name)).partition("/")[0]


def _login(entry: Mapping[str, Any]) -> Login | None:
    user, password = entry.get("username", ""), entry.get("password", "")
    try:
        if entry.get("auth"):
            user, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    except (ValueError, binascii.Error):
        return None
    token = str(entry.get("identitytoken") or "")
    return Login(str(user), str(password), token) if user or token else None


def _helped(helper: str, host: str) -> Login | None:
    """Return the login that a credential helper gives; None if it has none for the host."""
    program = f"docker-credential-{helper}"
    fix = f"run it by hand: echo {_key(host)} | {program} get"
    if not _HELPER.fullmatch(helper):
        raise UsageError("VEL758", f"{helper[:80]!r} is not a credential helper", where="Docker's settings", fix=fix)
    try:
        done = subprocess.run(
            [program, "get"], input=_key(host), capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        if done.returncode:
            # Docker's own helpers print this text, and exit with 1.
            if "credentials not found" in done.stdout + done.stderr:
                return None
            raise OSError(done.stderr.strip() or done.stdout.strip())  # noqa: TRY301
        given = json.loads(done.stdout)
        user, secret = str(given["Username"]), str(given["Secret"])
    except (OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as error:
        raise UsageError("VEL758", f"{program} does not return a login", where=host, fix=fix) from error
    return Login(refresh_token=secret) if user == _TOKEN else Login(user, secret)
