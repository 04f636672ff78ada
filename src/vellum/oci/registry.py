"""A client of the OCI distribution API: look up, pull and push. A repeated push uploads only what is missing."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit

from vellum.errors import UsageError
from vellum.oci.credentials import Login
from vellum.oci.layout import INDEX, INDEXES, MANIFEST, MANIFESTS, Json, Layout, encoded, sha256
from vellum.oci.reference import is_private

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

OK, CREATED, ACCEPTED = 200, 201, 202
UNAUTHORIZED, FORBIDDEN, MISSING = 401, 403, 404
_TRIES, _BUSY = 4, (429, 500, 502, 503, 504)
_SECONDS = 60.0
_MOST = 4 << 20
_CHUNK = 1 << 20
_ACCEPT = ", ".join((*INDEXES, *MANIFESTS))
Body = IO[bytes] | bytes | str | None
_HUB = {"docker.io": "registry-1.docker.io"}


@dataclass
class Registry:
    """One registry, with the login for it."""

    host: str
    login: Login | None = None
    plain: bool = False
    seconds: float = _SECONDS
    tries: int = _TRIES
    """How often a request is repeated; the upload of a blob has its own loop."""
    _tokens: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse plain HTTP to hosts that are not private.

        Raises:
            UsageError: others could read or change what is sent (VEL753).
        """
        if self.plain and not is_private(self.host):
            what = f"{self.host} is not a loopback or private address, so plain HTTP is refused"
            fix = "use HTTPS: leave out --plain-http"
            raise UsageError("VEL753", what, where=self.host, fix=fix)

    def status(self, repository: str, version: str) -> int:
        """Return the HTTP status of a manifest.

        Raises:
            UsageError: the registry does not answer (VEL757).
        """
        answer = self._request("HEAD", f"{repository}/manifests/{version}", headers={"Accept": _ACCEPT})
        return answer.status

    def manifest(self, repository: str, version: str) -> tuple[str, bytes]:
        """Return a manifest's media type and bytes, checked if ``version`` is a digest.

        Raises:
            UsageError: the registry has no such manifest, or another than the digest names (VEL757).
        """
        answer = self._request("GET", f"{repository}/manifests/{version}", headers={"Accept": _ACCEPT})
        self._expect(answer, f"manifest {repository}:{version}", OK)
        data = answer.data
        if len(data) > _MOST or (version.startswith("sha256:") and sha256(data) != version):
            raise self._refused(f"has a manifest of {repository} that does not match {version}")
        media = str(self._object(data).get("mediaType") or answer.headers.get("Content-Type", ""))
        return media, data

    def pull(self, repository: str, version: str, layout: Layout, architectures: tuple[str, ...]) -> Json:
        """Pull an image into the layout, with only the wanted platforms of an index; return its descriptor.

        Raises:
            UsageError: the registry does not have it (VEL757).
        """
        media, data = self.manifest(repository, version)
        descriptor: Json = {"mediaType": media, **layout.put(data)}
        value = json.loads(data)
        if media in INDEXES:
            for manifest in value["manifests"]:
                platform = manifest.get("platform") or {}
                if platform.get("os") == "linux" and platform.get("architecture") in architectures:
                    self.pull(repository, manifest["digest"], layout, architectures)
            return descriptor
        for blob in (value["config"], *value["layers"]):
            if not layout.path(blob["digest"]).exists():
                layout.fetch(blob, self._blob(repository, blob))
        return descriptor

    def _blob(self, repository: str, descriptor: Json) -> Iterator[bytes]:
        answer = self._request("GET", f"{repository}/blobs/{descriptor['digest']}", stream=True)
        self._expect(answer, f"blob {descriptor['digest']} of {repository}", OK)
        with self._answering():
            yield from answer.stream(_CHUNK)

    def push_blob(self, repository: str, descriptor: Json, path: Path, other: str = "") -> bool:
        """Upload a blob unless the repository has it or can mount it from ``other``; return whether it was uploaded.

        Raises:
            UsageError: the registry refuses it (VEL757).
        """
        digest = descriptor["digest"]
        if self._request("HEAD", f"{repository}/blobs/{digest}").status == OK:
            return False
        for attempt in range(_TRIES):
            mount = {"mount": digest, "from": other} if other else {}
            begun = self._request("POST", f"{repository}/blobs/uploads/?{urlencode(mount)}".rstrip("?"))
            if begun.status == CREATED and mount:
                return False
            self._expect(begun, f"an upload to {repository}", ACCEPTED)
            with path.open("rb") as body:
                done = self._upload(repository, begun.headers["Location"], digest, body, descriptor["size"])
            if done.status not in _BUSY:
                self._expect(done, f"blob {digest} of {repository}", CREATED)
                return True
            time.sleep(2**attempt)
        raise self._refused(f"answers {done.status} for blob {digest} of {repository}")

    def _upload(self, repository: str, location: str, digest: str, body: IO[bytes], size: int) -> BaseHTTPResponse:
        sign = "&" if urlsplit(location).query else "?"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        url = f"{urljoin(self._url(f'{repository}/'), location)}{sign}{urlencode({'digest': digest})}"
        if not self.plain and not url.startswith("https://"):
            fix = "configure the registry's external address as https://, or let its proxy send X-Forwarded-Proto"
            raise self._refused("names an address without TLS for the upload", fix)
        return self._request("PUT", url, headers=headers, body=body)

    def push_manifest(self, repository: str, version: str, media_type: str, data: bytes) -> None:
        """Upload a manifest under a tag or its digest; list a referrer where the registry does not do so itself.

        Raises:
            UsageError: the registry refuses it (VEL757).
        """
        answer = self._request(
            "PUT", f"{repository}/manifests/{version}", headers={"Content-Type": media_type}, body=data
        )
        self._expect(answer, f"manifest {repository}:{version}", CREATED)
        subject = json.loads(data).get("subject")
        if subject and not answer.headers.get("OCI-Subject"):
            self._refer(repository, subject["digest"], data)

    def _refer(self, repository: str, subject: str, data: bytes) -> None:
        """Add a referrer to the index that stands for the referrers API: tag ``sha256-HEX`` (distribution-spec 1.1)."""
        value, tag = json.loads(data), subject.replace(":", "-")
        ours = {"mediaType": MANIFEST, "digest": sha256(data), "size": len(data), "artifactType": value["artifactType"]}
        known: list[Json] = []
        if self.status(repository, tag) == OK:
            known = json.loads(self.manifest(repository, tag)[1])["manifests"]
        if any(item["digest"] == ours["digest"] for item in known):
            return
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*known, ours]}
        self.push_manifest(repository, tag, INDEX, encoded(index))

    def _url(self, path: str) -> str:
        if path.startswith(("http://", "https://")):
            return path
        return f"{'http' if self.plain else 'https'}://{_HUB.get(self.host, self.host)}/v2/{path}"

    def _request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        stream: bool = False,
    ) -> BaseHTTPResponse:
        """Send a request, and once more with a token if the registry asks for it."""
        url, sent = self._url(path), dict(headers or {})
        # A login goes to the registry only, not to a storage that it names for an upload.
        ours = urlsplit(url).netloc == urlsplit(self._url("")).netloc
        repository = re.split(r"/(?:manifests|blobs|tags)/", urlsplit(url).path.removeprefix("/v2/"))[0]
        if ours and (known := self._tokens.get(repository)):
            sent["Authorization"] = known
        answer = self._send(method, url, sent, body, stream=stream)
        # A redirect may lead to another host, and that host must not choose who gets the login.
        redirected = answer.retries and any(step.redirect_location for step in answer.retries.history)
        if answer.status != UNAUTHORIZED or not ours or redirected:
            return answer
        token = self._token(answer.headers.get("WWW-Authenticate", ""), repository)
        if not token or token == sent.get("Authorization"):
            return answer
        self._tokens[repository] = token
        if body is not None and not isinstance(body, bytes | str):
            body.seek(0)
        return self._send(method, url, {**sent, "Authorization": token}, body, stream=stream)

    def _token(self, challenge: str, repository: str) -> str:
        """Return the header that answers the challenge; empty without a login that fits."""
        scheme = challenge.partition(" ")[0].lower()
        if scheme == "basic":
            return self.login.basic if self.login and self.login.user else ""
        words = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = words.get("realm", "")
        if scheme != "bearer" or not self._is_safe(realm):
            return ""
        query = {"service": words.get("service", ""), "scope": words.get("scope") or f"repository:{repository}:pull"}
        if self.login and self.login.refresh_token:
            form = {**query, "grant_type": "refresh_token", "refresh_token": self.login.refresh_token}
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            given = self._send("POST", realm, kind, urlencode(form))
        else:
            basic = {"Authorization": self.login.basic} if self.login else {}
            given = self._send("GET", f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}", basic, None)
        if given.status != OK:
            return ""
        value = self._object(given.data)
        token = value.get("token") or value.get("access_token") or ""
        return f"Bearer {token}" if token else ""

    def _is_safe(self, realm: str) -> bool:
        """Tell whether the login may be sent to this address."""
        address = urlsplit(realm)
        return address.scheme == "https" or (self.plain and address.scheme == "http" and is_private(address.netloc))

    def _object(self, data: bytes) -> Json:
        try:
            value = json.loads(data)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise self._refused("answers with something that is not a JSON object")
        return value

    def _send(
        self, method: str, url: str, headers: dict[str, str], body: Body, *, stream: bool = False
    ) -> BaseHTTPResponse:
        import urllib3

        # The caller begins an upload anew, so only a request whose body is in memory is repeated here.
        tries = self.tries if body is None or isinstance(body, bytes | str) else 0
        retries = urllib3.Retry(
            # A total would also count redirects.
            None,
            connect=tries,
            read=tries,
            status=tries,
            other=tries,
            redirect=5 if method in ("GET", "HEAD") else 0,
            status_forcelist=_BUSY if tries else (),
            allowed_methods=None,
            backoff_factor=0.5,
            raise_on_status=False,
            raise_on_redirect=False,
        )
        with self._answering():
            return urllib3.request(
                method,
                url,
                headers=headers,
                body=body,
                timeout=self.seconds,
                retries=retries,
                preload_content=not stream,
            )

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Turn a broken connection into a UsageError, before or during an answer."""
        from urllib3.exceptions import HTTPError

        try:
            yield
        except (HTTPError, OSError, ValueError) as silent:
            raise self._refused(f"does not answer: {why(silent)}") from silent

    def _expect(self, answer: BaseHTTPResponse, what: str, wanted: int) -> None:
        if answer.status == wanted:
            return
        if answer.status in (UNAUTHORIZED, FORBIDDEN):
            raise self._refused(f"refuses {what} with this login", f"log in: docker login {self.host}")
        raise self._refused(f"answers {answer.status} for {what}{_told(answer)}")

    def _refused(self, what: str, fix: str = "check the registry, and run the command again") -> UsageError:
        return UsageError("VEL757", f"the registry {what}", where=self.host, fix=fix)


def why(silent: Exception) -> str:
    """Return the reason of a failed connection in a few words."""
    return str(getattr(silent, "reason", None) or silent).rpartition(": ")[2] or type(silent).__name__


def _told(answer: BaseHTTPResponse) -> str:
    """Return code and message of the registry's error; empty if its answer has neither."""
    try:
        first = json.loads(answer.data)["errors"][0]
        return f" ({first.get('code')}: {str(first.get('message'))[:200]})"
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
