"""Names of images: registry, repository, tag and digest; and which registries may be reached without TLS."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass

from vellum.errors import UsageError

_HOST = r"(?P<host>[A-Za-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9a-fA-F:]+\](?::[0-9]{1,5})?)"
_PATH = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
_PLACE = re.compile(rf"{_HOST}(?:/(?P<path>{_PATH}))?/?")
_REFERENCE = re.compile(
    rf"{_HOST}/(?P<repository>{_PATH})"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_PRIVATE = tuple(
    map(ipaddress.ip_network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"))
)
"""Loopback, RFC 1918 and RFC 4193. Python's ``is_private`` is also true for documentation networks and others."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's full name."""

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def version(self) -> str:
        """The digest, else the tag."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.host}/{self.repository}{tag}{f'@{self.digest}' if self.digest else ''}"


def parsed(text: str) -> Reference:
    """Return the reference; ``python:3.12`` is Docker Hub's, as every other tool reads it.

    Raises:
        UsageError: the text is not an image's name (VEL752).
    """
    first, slash, _ = text.partition("/")
    has_host = slash and ("." in first or ":" in first or first == "localhost")
    hub = "" if has_host else "docker.io/" if slash else "docker.io/library/"
    match = _REFERENCE.fullmatch(hub + text)
    if not match:
        fix = "write HOST/REPOSITORY, with :TAG or @sha256:DIGEST"
        raise UsageError("VEL752", f"{text[:100]!r} is not the name of an image", where="the command line", fix=fix)
    return Reference(match["host"], match["repository"], match["tag"] or "", match["digest"] or "")


def place(text: str) -> tuple[str, str]:
    """Return host and path of a registry, such as ``registry.example.org/vellum``.

    Raises:
        UsageError: the text names neither (VEL752).
    """
    match = _PLACE.fullmatch(text.removeprefix("oci://"))
    if not match:
        fix = "write HOST or HOST/PATH, without https://"
        raise UsageError("VEL752", f"{text[:100]!r} is not a registry", where="the command line", fix=fix)
    return match["host"], match["path"] or ""


def is_private(host: str) -> bool:
    """Tell whether every address of the host is a loopback or private one."""
    name = _name(host)
    try:
        addresses = {str(item[4][0]) for item in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except OSError:
        return False
    return all(any(address in network for network in _PRIVATE) for address in map(_address, addresses))


def is_loopback(host: str) -> bool:
    """Return whether the host is ``localhost`` or a loopback address, which need no TLS, as in Docker."""
    name = _name(host)
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    return re.sub(r":[0-9]+$", "", host).strip("[]")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(text.partition("%")[0])
