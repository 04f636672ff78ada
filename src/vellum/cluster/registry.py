"""Check that Vellum's own charts can be pulled from the platform's registry, as Helm pulls them without a login.

Vellum gives provider-helm no login, so it cannot pull from a registry that requires one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import yaml

from vellum.api.platform import Platform
from vellum.cluster.finding import FAILED, OK, WARNING, Finding
from vellum.components import platform_components
from vellum.model.release import Chart, ReleaseComponent

_SECONDS, _MOST_BYTES = 10.0, 32 * 2**20
_FOUND, _UNAUTHORIZED, _FORBIDDEN, _MISSING = 200, 401, 403, 404
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_PUSH = "vellum package build; then vellum package push the registry of {where}"


def findings(wanted: Platform) -> list[Finding]:
    """Return a finding for each missing chart of Vellum; if none is missing, one finding that says so."""
    charts = wanted.charts
    where = charts.own or charts.repository
    own = [
        part.chart
        for part in platform_components().values()
        if isinstance(part, ReleaseComponent) and not part.chart.repository and wanted.wants(part)
    ]
    if not own:
        return []
    if not where:
        names = " and ".join(chart.name for chart in own)
        says = f"spec.charts.own names no registry, so {names} are not installed"
        fix = f"{_PUSH.format(where='oci://REGISTRY/PATH')}, and write spec.charts.own: oci://REGISTRY/PATH"
        return [Finding("charts", WARNING, says, fix)]
    found = list(_wrong(where, own, plain=charts.plain_http))
    return found or [Finding("charts", OK, f"{len(own)} of Vellum's own in {where}")]


def _wrong(where: str, own: list[Chart], *, plain: bool) -> Iterator[Finding]:
    from urllib3.exceptions import HTTPError

    for chart in own:
        name = f"chart {chart.name} {chart.version}"
        try:
            status = _asked(where, chart, plain=plain)
        except (HTTPError, OSError, ValueError) as silent:
            says = f"{where} does not answer here, so Vellum cannot check for {name}: {_why(silent)}"
            yield Finding("charts", WARNING, says, "check spec.charts.own, and that the cluster reaches the registry")
            return
        if status in (_UNAUTHORIZED, _FORBIDDEN):
            says = f"{where} wants a login for {name}, and provider-helm has none"
            yield Finding("charts", FAILED, says, "allow reading that registry without a login, as for a public chart")
        elif status == _MISSING:
            yield Finding("charts", FAILED, f"{where} has no {name}", _PUSH.format(where=where))
        elif status != _FOUND:
            says = f"{where} answers {status} for {name}"
            yield Finding("charts", WARNING, says, "read that registry's log")


def _why(silent: Exception) -> str:
    return str(getattr(silent, "reason", None) or silent).rpartition(": ")[2] or type(silent).__name__


def _asked(where: str, chart: Chart, *, plain: bool) -> int:
    if where.startswith("oci://"):
        return _of_a_registry(where, chart, plain=plain)
    return _of_an_index(where, chart)


def _of_a_registry(where: str, chart: Chart, *, plain: bool) -> int:
    """Request the manifest of the version; a public registry may first require the token that it gives to all."""
    host, _, path = where.removeprefix("oci://").partition("/")
    repository = "/".join(filter(None, (path.strip("/"), chart.name)))
    # Helm writes the + of a version as _ (3.21).
    tag = chart.version.replace("+", "_")
    url = f"{'http' if plain else 'https'}://{host}/v2/{repository}/manifests/{tag}"
    answer = _request(url, {"Accept": _MANIFEST})
    challenge = answer.headers.get("WWW-Authenticate", "")
    if answer.status != _UNAUTHORIZED or not challenge.lower().startswith("bearer "):
        return answer.status
    said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    query = urlencode({"service": said.get("service", ""), "scope": f"repository:{repository}:pull"})
    given = _request(f"{said.get('realm', '')}?{query}", {})
    if given.status != _FOUND:
        return _UNAUTHORIZED
    token = json.loads(given.data)
    bearer = token.get("token") or token.get("access_token") or ""
    return _request(url, {"Accept": _MANIFEST, "Authorization": f"Bearer {bearer}"}).status


def _of_an_index(where: str, chart: Chart) -> int:
    answer = _request(f"{where.rstrip('/')}/index.yaml", {})
    if answer.status != _FOUND:
        return answer.status
    try:
        index = yaml.load(answer.data, yaml.CSafeLoader)
        versions = {str(one["version"]) for one in index["entries"].get(chart.name) or ()}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise ValueError("its index.yaml is not valid") from None
    return _FOUND if chart.version in versions else _MISSING


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    data: bytes


def _request(url: str, headers: dict[str, str]) -> _Answer:
    import urllib3

    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"not a valid address: {url[:100]}")
    tries = urllib3.Retry(0, redirect=3, raise_on_redirect=False)
    answer = urllib3.request("GET", url, headers=headers, timeout=_SECONDS, retries=tries, preload_content=False)
    try:
        return _Answer(answer.status, answer.headers, answer.read(_MOST_BYTES))
    finally:
        answer.close()
