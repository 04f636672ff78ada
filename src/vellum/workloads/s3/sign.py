"""Signature Version 4 for the front's own requests to the store. Pure; the caller gives the time."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

_EMPTY = hashlib.sha256(b"").hexdigest()
_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Signer:
    """The front's key of the store."""

    access_key: str
    secret_key: str = field(repr=False)

    @classmethod
    def of(cls, identities: str) -> Signer:
        """Read it from the store's file of identities.

        Raises:
            ValueError: the file has no key.
        """
        try:
            keys = json.loads(identities)["identities"][0]["credentials"][0]
            return cls(keys["accessKey"], keys["secretKey"])
        except (ValueError, LookupError, TypeError):
            raise ValueError("it has no identity with a key") from None

    def target(self, path: str, query: dict[str, str]) -> str:
        """Return the target of a request, encoded as it is signed."""
        pairs = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in sorted(query.items()))
        return quote(path, safe="/-_.~") + (f"?{pairs}" if pairs else "")

    def headers(self, method: str, target: str, host: str, now: datetime) -> list[tuple[bytes, bytes]]:
        """Return the headers of a request without a body."""
        stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        path, _, query = target.partition("?")
        signed = {"host": host, "x-amz-content-sha256": _EMPTY, "x-amz-date": stamp}
        names = ";".join(signed)
        lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{_EMPTY}"
        scope = f"{day}/{_REGION}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{self.secret_key}".encode()
        for part in (day, _REGION, "s3", "aws4_request"):
            key = _hmac(key, part)
        header = f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, "
        header += f"Signature={_hmac(key, text).hex()}"
        return [(name.encode(), value.encode()) for name, value in {**signed, "authorization": header}.items()]


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
