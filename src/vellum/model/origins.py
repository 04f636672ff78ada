"""The origins of a laptop's gateway: each kind of page has its own host name, so that browsers separate them.

Browsers share cookies between ports, and a page can read everything of its own origin. So a server of foreign pages
has its own host name below ``localhost``. Browsers resolve such names to this machine without a name server.
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
    """Return the address of a notebook for a browser; without a gateway, relative to the cluster's own address."""
    if not gateway:
        return notebook_path(namespace, name)
    port = urlsplit(gateway).port
    return f"http://{notebook_host(namespace, name)}:{port}{notebook_path(namespace, name)}"
