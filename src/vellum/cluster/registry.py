"""Check that Vellum's own charts can be pulled from the platform's registry, as Helm pulls them without a login.

Vellum gives provider-helm no login, so it cannot pull from a registry that requires one.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import yaml

from vellum.api.platform import Platform
from vellum.cluster import finding
from vellum.cluster.finding import FAILED, WARNING, Finding
from vellum.components import platform_components
from vellum.errors import UsageError
from vellum.model.release import Chart, ReleaseComponent
from vellum.oci.registry import FORBIDDEN, MISSING, OK, UNAUTHORIZED, Registry, why

_SECONDS, _MOST_BYTES = 10.0, 32 * 2**20
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
    results = list(_wrong(where, own, plain=charts.plain_http))
    return results or [Finding("charts", finding.OK, f"{len(own)} of Vellum's own in {where}")]


def _wrong(where: str, own: list[Chart], *, plain: bool) -> Iterator[Finding]:
    from urllib3.exceptions import HTTPError

    for chart in own:
        name = f"chart {chart.name} {chart.version}"
        try:
            status = _asked(where, chart, plain=plain)
        except (UsageError, HTTPError, OSError, ValueError) as silent:
            says = f"{where} does not answer here, so Vellum cannot check for {name}: {why(silent)}"
            yield Finding("charts", WARNING, says, "check spec.charts.own, and that the cluster reaches the registry")
            return
        if status in (UNAUTHORIZED, FORBIDDEN):
            says = f"{where} requires a login for {name}, and provider-helm has none"
            yield Finding("charts", FAILED, says, "allow reading that registry without a login, as for a public chart")
        elif status == MISSING:
            yield Finding("charts", FAILED, f"{where} has no {name}", _PUSH.format(where=where))
        elif status != OK:
            says = f"{where} answers {status} for {name}"
            yield Finding("charts", WARNING, says, "read that registry's log")


def _asked(where: str, chart: Chart, *, plain: bool) -> int:
    if where.startswith("oci://"):
        return _of_a_registry(where, chart, plain=plain)
    return _of_an_index(where, chart)


def _of_a_registry(where: str, chart: Chart, *, plain: bool) -> int:
    host, _, path = where.removeprefix("oci://").partition("/")
    repository = "/".join(filter(None, (path.strip("/"), chart.name)))
    # Helm writes the + of a version as _ (3.21).
    return Registry(host, plain=plain, seconds=_SECONDS, tries=0).status(repository, chart.version.replace("+", "_"))


def _of_an_index(where: str, chart: Chart) -> int:
    status, data = _read(f"{where.rstrip('/')}/index.yaml")
    if status != OK:
        return status
    try:
        index = yaml.load(data, yaml.CSafeLoader)
        versions = {str(item["version"]) for item in index["entries"].get(chart.name) or ()}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise ValueError("its index.yaml is not valid") from None
    return OK if chart.version in versions else MISSING


def _read(url: str) -> tuple[int, bytes]:
    import urllib3

    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"not a valid address: {url[:100]}")
    # Without a total, which would also count redirects.
    tries = urllib3.Retry(None, connect=0, read=0, other=0, redirect=3, raise_on_redirect=False)
    answer = urllib3.request("GET", url, timeout=_SECONDS, retries=tries, preload_content=False)
    try:
        return answer.status, answer.read(_MOST_BYTES)
    finally:
        answer.close()
