"""The origins of a laptop's gateway: which host name each kind of page has, so that browsers keep them apart.

Cookies do not separate by port, and a page reads everything of its own origin. So whatever runs other people's pages
has a host name of its own below ``localhost``, which browsers take for this machine without asking a name server.
"""

from __future__ import annotations

from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""The gateway's own names: S3, Qdrant and the models answer there."""


def notebook_host(namespace: str, name: str) -> str:
    """Return the host name of a notebook; a team's name has at most 40 characters, a label may have 63."""
    return f"{name}-{namespace}.localhost"


def notebook_path(namespace: str, name: str) -> str:
    """Return the path of a notebook, the same on a laptop and behind a cluster's gateway."""
    return f"/notebook/{namespace}/{name}/"


def notebook_url(gateway: str, namespace: str, name: str) -> str:
    """Return where a person opens a notebook; without a gateway relative to the cluster's own address."""
    if not gateway:
        return notebook_path(namespace, name)
    port = urlsplit(gateway).port
    return f"http://{notebook_host(namespace, name)}:{port}{notebook_path(namespace, name)}"
