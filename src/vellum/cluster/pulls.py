"""Check that each image that the platform names is in its registry, with the pull secrets of Crossplane."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vellum.api.platform import Platform
from vellum.cluster.api import Api
from vellum.cluster.finding import FAILED, OK, WARNING, Finding
from vellum.errors import UsageError
from vellum.kube.objects import Kind, Obj
from vellum.model.release import SYSTEM
from vellum.oci.credentials import Login, of_settings
from vellum.oci.reference import Reference, is_loopback, is_private, parsed
from vellum.oci.registry import FORBIDDEN, MISSING, UNAUTHORIZED, Registry
from vellum.oci.registry import OK as FOUND

NAME = "registry"
_SECONDS = 10.0
_TYPE, _KEY = "kubernetes.io/dockerconfigjson", ".dockerconfigjson"


def pull_secrets(api: Api) -> list[Mapping[str, Any]]:
    """Return the settings in the pull secrets of Crossplane's namespace; damaged ones are left out."""
    secrets, _ = api.list(Kind("v1", "Secret"), namespace=SYSTEM)
    return [
        settings for secret in secrets if secret.get("type") == _TYPE and (settings := _settings(secret)) is not None
    ]


def _settings(secret: Obj) -> Mapping[str, Any] | None:
    try:
        settings = json.loads(base64.b64decode(secret["data"][_KEY]))
    except (KeyError, TypeError, ValueError):
        return None
    return settings if isinstance(settings, dict) else None


def findings(wanted: Platform, packages: Iterable[str], secrets: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Return a finding for each image that is missing or cannot be checked; without any, one finding that all exist.

    Args:
        wanted: the platform.
        packages: Crossplane's packages beside its images.
        secrets: Docker's settings from pull secrets.
    """
    names = sorted({*wanted.facts.images.values(), *packages})
    by_host: dict[str, list[Reference]] = {}
    for name in names:
        reference = parsed(name)
        by_host.setdefault(reference.host, []).append(reference)
    known = list(secrets)
    results = [
        finding
        for host, references in by_host.items()
        for finding in _of_a_host(host, references, known, plain=wanted.charts.plain_http)
    ]
    return results or [Finding(NAME, OK, f"all images are in their registries: {len(names)}")]


def _of_a_host(
    host: str, references: Iterable[Reference], secrets: Iterable[Mapping[str, Any]], *, plain: bool
) -> Iterator[Finding]:
    login: Login | None = next((given for secret in secrets if (given := of_settings(secret, host))), None)
    http = is_loopback(host) or (plain and is_private(host))
    registry = Registry(host, login, http, _SECONDS, tries=0)
    for reference in references:
        try:
            status = registry.status(reference.repository, reference.version)
        except UsageError as silent:
            says = f"{host} does not answer here, so Vellum cannot check for its images: {silent.what}"
            yield Finding(NAME, WARNING, says, "check that the cluster's nodes reach the registry")
            return
        if status == MISSING:
            fix = "push it, for Vellum's own images with `vellum package push`, or correct its name in spec.images"
            yield Finding(NAME, FAILED, f"{host} does not have {reference}", fix)
        elif status in (UNAUTHORIZED, FORBIDDEN):
            fix = f"kubectl create secret docker-registry NAME --namespace {SYSTEM} --docker-server {host} ..."
            yield Finding(NAME, WARNING, f"{host} requires a login for {reference}", fix)
        elif status != FOUND:
            yield Finding(NAME, WARNING, f"{host} answers {status} for {reference}", "read that registry's log")
