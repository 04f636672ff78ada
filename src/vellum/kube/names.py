"""Names derived from a claim: one function per kind of name, with every length limit of the platform.

A derived name carries a hash of the whole (namespace, name) tuple: cutting or joining alone would let
``a-b``/``c`` and ``a``/``b-c`` share a namespace, a bucket and a key.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_LIMIT = 63
"""RFC 1123 label: namespaces, Services, label values, buckets."""
STATEFUL_SET_LIMIT = 52
"""A StatefulSet's pods carry ``<name>-<10 digit hash>`` as a label value (kubernetes/kubernetes#64023)."""
TEAM_LIMIT = 40
"""Leaves room for ``search-predictor-<team>`` (KServe's host label, 63) and ``qdrant-<team>`` (52)."""
HASH_LENGTH = 12
"""60 bits: two of a billion teams meet with a chance below one half."""


def is_dns_label(text: str) -> bool:
    """Tell whether the text is an RFC 1123 label of at most 63 characters."""
    return len(text) <= LABEL_LIMIT and DNS_LABEL.fullmatch(text) is not None


def tuple_hash(*parts: str) -> str:
    """Return 12 lowercase base32 characters that depend on every part and on where one part ends."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:HASH_LENGTH]


@lru_cache(maxsize=10_000)
def team_id(namespace: str, name: str) -> str:
    """Return the identity of a team, at most 40 characters; it is also the name of its namespace.

    Live data is found by this name: changing the rule orphans every bucket and volume. Remembered, as one pass of
    compose asks for it a hundred times.
    """
    head = f"{namespace}-{name}"[: TEAM_LIMIT - HASH_LENGTH - 1].rstrip("-")
    return f"{head}-{tuple_hash(namespace, name)}"


def bucket_name(team: str) -> str:
    """Return a team's bucket name, at most 47 characters."""
    return f"vellum-{team}"


"""60 bits: with a billion teams, the chance that two have the same hash is below one half."""


def qdrant_name(team: str) -> str:
    """Return the name of a team's StatefulSet and Service, at most 47 characters."""
    return f"qdrant-{team}"


def plural(kind: str) -> str:
    """Return the name of a kind's resource, by Kubernetes' own rule; one kind of an operator breaks it."""
    word = kind.lower()
    if word == "s3credentials":
        return word
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "x", "ch")) else f"{word}s"
