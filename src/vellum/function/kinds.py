"""Ask the API server's discovery which kinds it serves now: one small request, which any account may make.

Crossplane can tell a function whether a group and version is served (by its APIService), but not a single kind. A CRD
is nested too deeply for protobuf, and listing a deleted kind freezes the composite. So the function asks discovery.
If it may not, for example because its pod has no account, it uses Crossplane's information.
"""

from __future__ import annotations

import base64
import http.client
import json
import logging
import os
import ssl
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LOG = logging.getLogger(__name__)
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
FRESH_SECONDS, TIMEOUT_SECONDS, PAUSE_SECONDS = 0.5, 1.0, 10.0
"""How old an answer may be; how long to wait for one; how long to pause after a failure."""
MOST_BYTES = 16 * 2**20


@dataclass
class Discovery:
    """An API server's discovery, asked at most twice a second; an unchanged answer comes without a body."""

    host: str
    port: int
    context: ssl.SSLContext
    token: Path | None = None
    _tag: str = ""
    _found: Mapping[str, bool] | None = None
    _next: float = 0.0
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> Mapping[str, bool] | None:
        """Return each kind as ``group/version/Kind``, and whether its objects can be made; None if this is unknown.

        A kind whose CRD is being deleted is listed, but its objects cannot be made.
        """
        with self._mutex:
            if time.monotonic() < self._next:
                return self._found
            try:
                self._found = self._ask()
                self._next = time.monotonic() + FRESH_SECONDS
            except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
                LOG.info("discovery does not answer: %s: %s", type(error).__name__, error)
                self._found, self._tag = None, ""
                self._next = time.monotonic() + PAUSE_SECONDS
            return self._found

    def _ask(self) -> Mapping[str, bool]:
        headers = {"Accept": ACCEPT}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token.read_text().strip()}"
        if self._tag and self._found is not None:
            headers["If-None-Match"] = self._tag
        line = http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT_SECONDS, context=self.context)
        try:
            line.request("GET", "/apis", headers=headers)
            answer = line.getresponse()
            if answer.status == http.HTTPStatus.NOT_MODIFIED and self._found is not None:
                return self._found
            if answer.status != http.HTTPStatus.OK:
                raise ValueError(f"HTTP {answer.status}")
            served = kinds(json.loads(answer.read(MOST_BYTES)))
            self._tag = answer.headers.get("ETag") or ""
            return served
        finally:
            line.close()


def kinds(discovery: Mapping[str, Any]) -> dict[str, bool]:
    """Return the kinds of an ``APIGroupDiscoveryList``, and whether objects of each can be made.

    Raises:
        ValueError: the data is not such a list, or is incomplete; then no kind may count as gone.
    """
    if discovery.get("kind") != "APIGroupDiscoveryList" or not discovery.get("items"):
        raise ValueError("it is not an APIGroupDiscoveryList")
    served: dict[str, bool] = {}
    for group in discovery["items"]:
        name = group["metadata"]["name"]
        for version in group.get("versions") or ():
            if version.get("freshness") == "Stale":
                raise ValueError(f"{name} is stale")
            for resource in version.get("resources") or ():
                kind = f"{name}/{version['version']}/{resource['responseKind']['kind']}"
                served[kind] = served.get(kind, False) or "create" in resource["verbs"]
    return served


def find() -> Discovery | None:
    """Return discovery with the pod's account, or with the file that KUBECONFIG names; None without either."""
    if config := os.environ.get("KUBECONFIG"):
        return _configured(Path(config))
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (ACCOUNT / "token").exists():
        return None
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    return Discovery(host, int(port), context, ACCOUNT / "token")


def _configured(path: Path) -> Discovery:
    """Return discovery from a self-contained kubeconfig in JSON, as the bench writes it."""
    config = json.loads(path.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with tempfile.NamedTemporaryFile() as pair:
        for name in ("client-certificate-data", "client-key-data"):
            pair.write(base64.b64decode(user[name]) + b"\n")
        pair.flush()
        context.load_cert_chain(pair.name)
    address = urlsplit(cluster["server"])
    return Discovery(address.hostname or "", address.port or 443, context)
