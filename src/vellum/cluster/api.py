"""Plain objects to and from a Kubernetes API server. The official client handles connection, TLS and kubeconfig.

Its typed models are not used: all our data is JSON, and half of our kinds are custom. Its generated calls are not used
either, because `call_api` lost arguments between versions 30 and 37.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import responses
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlencode

import yaml

from vellum import __version__
from vellum.errors import StoreError, UsageError
from vellum.kube import names
from vellum.kube.objects import Key, Kind, Obj

FIELD_MANAGER = "vellum"
CONNECT_SECONDS = 5
_REFUSED, _NOT_FOUND, _CONFLICT, _GONE, _BUSY = 300, 404, 409, 410, 503
_APPLY, _MERGE, _JSON = ("application/apply-patch+yaml", "application/merge-patch+json", "application/json-patch+json")
Selector = Mapping[str, str]
READYZ = "see whether that server runs: `kubectl get --raw /readyz`"
Objs: TypeAlias = list[Obj]


class ConflictError(Exception):
    """Another client was faster: an object exists already, or differs from what was read. Read again, then decide."""


class GoneError(Exception):
    """A watch is too old to continue; list again."""


class Api:
    """One API server, as one user; safe for several threads."""

    def __init__(self, kubeconfig: Path, *, connections: int = 16, agent: str = "vellum", fix: str = READYZ) -> None:
        """Read the API server's address, without a request to it.

        Args:
            kubeconfig: the file that names it.
            connections: how many requests can run at the same time.
            agent: the client's name in its audit log.
            fix: the advice if it does not answer or refuses.

        Raises:
            UsageError: the file is not a kubeconfig (VEL718).
        """
        from kubernetes import client, config
        from kubernetes.client.rest import RESTClientObject

        settings = client.Configuration()
        try:
            config.load_kube_config(str(kubeconfig), client_configuration=settings)
        except (config.ConfigException, yaml.YAMLError, ValueError, TypeError, AttributeError) as wrong:
            first = str(wrong).strip().partition("\n")[0]
            what = f"the file is not a usable kubeconfig: {first}"
            test = f"test it: kubectl --kubeconfig {kubeconfig} version"
            raise UsageError("VEL718", what, where=str(kubeconfig), fix=test) from None
        settings.connection_pool_maxsize = connections
        self._settings, self._fix = settings, fix
        self._pool = RESTClientObject(settings).pool_manager
        self._headers = {"Accept": "application/json", "User-Agent": f"{agent}/{__version__}"}

    def get(self, key: Key) -> Obj | None:
        """Return the object, or None.

        Raises:
            StoreError: the API server does not answer, or refuses (VEL307); also for every other method here.
        """
        try:
            return self._call(_Request("GET", path(key)))
        except NotFoundError:
            return None

    def list(self, kind: Kind, *, namespace: str = "", labels: Selector | None = None) -> tuple[list[Obj], str]:
        """Return the objects of a kind, each with its apiVersion and kind, and the version of the list."""
        query = {"labelSelector": ",".join(f"{name}={value}" for name, value in labels.items())} if labels else {}
        result = self._call(_Request("GET", collection(kind, namespace), query=query))
        head = {"apiVersion": kind.api_version, "kind": kind.kind}
        return [{**head, **obj} for obj in result["items"]], result["metadata"]["resourceVersion"]

    def watch(self, kind: Kind, version: str, seconds: int) -> Iterator[tuple[str, Obj]]:
        """Yield (ADDED | MODIFIED | DELETED, object) for this many seconds.

        Raises:
            GoneError: the version is too old.
        """
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(seconds)}
        query["allowWatchBookmarks"] = "true"
        request = _Request("GET", collection(kind), query=query, seconds=seconds + 10)
        response = self._open(request)
        try:
            with _answering(request, self._fix):
                for line in _lines(response):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise _ended(request, self._fix, event["object"])
                    yield event["type"], event["object"]
        finally:
            response.close()

    def create(self, obj: Obj) -> Obj:
        """Create the object.

        Raises:
            ConflictError: it exists already.
        """
        return self._call(_Request("POST", collection(_kind(obj), obj["metadata"].get("namespace", "")), obj))

    def apply(self, obj: Obj, *, manager: str = FIELD_MANAGER, dry: bool = False) -> Obj:
        """Apply by server-side apply, taking back fields that others took; ``dry``: return what would be stored."""
        query = {"fieldManager": manager, "force": "true", **({"dryRun": "All"} if dry else {})}
        return self._call(_Request("PATCH", path(Key.of(obj)), obj, _APPLY, query))

    def merge(self, key: Key, patch: Obj, *, subresource: str = "") -> Obj:
        """Change an object by a merge patch."""
        return self._call(_Request("PATCH", f"{path(key)}{subresource}", patch, _MERGE))

    def change(self, key: Key, *steps: Obj, subresource: str = "") -> Obj:
        """Change an object by a JSON patch, all steps or none; a failed ``test`` step means a conflict.

        Raises:
            ConflictError: the object is not as a ``test`` step says, or is gone.
        """
        try:
            return self._call(_Request("PATCH", f"{path(key)}{subresource}", list(steps), _JSON))
        except NotFoundError as gone:
            raise ConflictError(str(gone)) from gone

    def delete(self, key: Key, *, uid: str = "", propagation: str = "Background") -> bool:
        """Delete the object with this uid (empty: any object with the name); return False if it does not exist."""
        body: Obj = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            self._call(_Request("DELETE", path(key), body))
        except (NotFoundError, ConflictError):
            return False
        return True

    def resources(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the path of every kind that can be listed, in its first version, and the groups that do not answer.

        A group that another server provides may never answer, if that server is gone.
        """
        groups = json.loads(self.raw("/apis"))["groups"]
        served = [[f"/apis/{version['groupVersion']}" for version in group["versions"]] for group in groups]
        results: dict[tuple[int, str], str] = {}
        silent: list[str] = []
        for group, bases in enumerate([["/api/v1"], *served]):
            for base in bases:
                try:
                    answer = json.loads(self.raw(base))["resources"]
                except (UnavailableError, NotFoundError):
                    silent.append(base.removeprefix("/apis/"))
                    continue
                for item in answer:
                    if "list" in item["verbs"] and "/" not in item["name"]:
                        results.setdefault((group, item["name"]), f"{base}/{item['name']}")
        return tuple(results.values()), tuple(silent)

    def listed(self, url: str, limit: int = 0) -> Objs:
        """Return the objects at a path, all or up to a limit; none if the kind is not served any more."""
        query = {"limit": str(limit)} if limit else {}
        try:
            result = self._call(_Request("GET", url, query=query))
        except NotFoundError:
            return []
        head = {"apiVersion": result["apiVersion"], "kind": result["kind"].removesuffix("List")}
        return [{**head, **obj} for obj in result["items"]]

    def raw(self, url: str) -> bytes:
        """Return the response of a path, such as ``/readyz``."""
        return self._read(_Request("GET", url, seconds=30))

    def _call(self, request: _Request) -> Obj:
        answer: Obj = json.loads(self._read(request))
        return answer

    def _read(self, request: _Request) -> bytes:
        response = self._open(request)
        with _answering(request, self._fix):
            answer: bytes = response.data
        return answer

    def _open(self, request: _Request) -> Any:  # noqa: ANN401  # urllib3's response
        from urllib3 import Timeout

        content = {"Content-Type": request.content} if request.body is not None else {}
        # Read for each request, because a token may have expired.
        keys = {key["key"]: key["value"] for key in self._settings.auth_settings().values()}
        with _answering(request, self._fix):
            response = self._pool.request(
                request.method,
                f"{self._settings.host}{request.url}{'?' if request.query else ''}{urlencode(request.query)}",
                body=None if request.body is None else json.dumps(request.body),
                headers={**self._headers, **content, **keys},
                timeout=Timeout(connect=CONNECT_SECONDS, read=request.seconds),
                preload_content=False,
            )
            if response.status < _REFUSED:
                return response
            body = response.data
        raise _translated(request, self._fix, response.status, body)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    body: object = None
    content: str = "application/json"
    query: Selector = field(default_factory=dict)
    seconds: float = 60


@contextmanager
def _answering(request: _Request, fix: str) -> Iterator[None]:
    """Turn a broken connection into a StoreError, before or during an answer."""
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (HTTPError, OSError) as silent:
        why = getattr(silent, "reason", None) or silent
        what = f"the API server does not answer: {str(why).rpartition(': ')[2] or type(silent).__name__}"
        raise _refused(request.url, what, fix) from silent


def _ended(request: _Request, fix: str, status: Obj) -> Exception:
    """Return why the server ended a watch: only a version that is too old needs no pause."""
    message = str(status.get("message", ""))
    if status.get("code") == _GONE:
        return GoneError(message)
    return _refused(request.url, f"the API server ended the watch ({status.get('code')}): {message}", fix)


class NotFoundError(StoreError):
    """The object, or its kind, does not exist."""


class UnavailableError(StoreError):
    """The server cannot answer this now, but may soon."""


_KINDS: Mapping[int, type[StoreError]] = {_NOT_FOUND: NotFoundError, _BUSY: UnavailableError}


def _translated(request: _Request, fix: str, status: int, body: bytes) -> Exception:
    try:
        message = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        message = responses.get(status, "")
    # 422 with "the server rejected our request due to an error in our request": a ``test`` of a JSON patch failed.
    if status == _CONFLICT or (request.content == _JSON and "testing" in message and "failed" in message):
        return ConflictError(message)
    if status == _GONE:
        return GoneError(message)
    kind = _KINDS.get(status, StoreError)
    return _refused(request.url, f"the API server refuses ({status}): {message}", fix, kind)


def _refused(url: str, what: str, fix: str, kind: type[StoreError] = StoreError) -> StoreError:
    return kind("VEL307", what, where=url, fix=fix)


def _lines(response: Any) -> Iterator[bytes]:  # noqa: ANN401  # urllib3's response
    rest = b""
    for chunk in response.stream(2**16, decode_content=False):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines


def _kind(obj: Mapping[str, Any]) -> Kind:
    return Kind(obj["apiVersion"], obj["kind"])


def collection(kind: Kind, namespace: str = "") -> str:
    """Return the path of a kind's objects."""
    base = "/api/v1" if kind.api_version == "v1" else f"/apis/{kind.api_version}"
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"{base}{inside}/{names.plural(kind.kind)}"


def path(key: Key) -> str:
    """Return the path of one object."""
    return f"{collection(key.gvk, key.namespace)}/{key.name}"
