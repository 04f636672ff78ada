"""The accounts of an object store as values, and the shell commands that change them to the wanted ones. Pure.

The commands and the forms of their lists were read off ``weed shell`` 4.48. The answer to a command is unreliable (an
unknown user sets the exit code to 1 and stops nothing), so only the lists at the end of a batch count.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MEBIBYTE = 2**20
LISTS = ("s3.bucket.list", "s3.configure")
"""Commands that print each bucket with its quota, and each user with keys and grants."""


@dataclass(frozen=True, slots=True)
class User:
    """One S3 user: secret keys by access key, and grants such as ``Read:bucket``."""

    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    grants: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Accounts:
    """Buckets with their quota in MiB (0: none), and users."""

    buckets: Mapping[str, int] = field(default_factory=dict)
    users: Mapping[str, User] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The accounts that the store should have, and what may be removed to get there."""

    accounts: Accounts
    ours: frozenset[str] = frozenset()
    """Users that Vellum manages; no other user is changed."""
    doomed: frozenset[str] = frozenset()
    """Buckets to delete, with everything in them."""


def commands(wanted: Wanted, there: Accounts) -> list[str]:
    """Return the commands that make the store as wanted; none where it is already."""
    batch = [f"s3.bucket.delete -name {name}" for name in sorted(wanted.doomed & there.buckets.keys())]
    for name, limit in sorted(wanted.accounts.buckets.items()):
        if name not in there.buckets:
            batch.append(f"s3.bucket.create -name {name}")
        if limit and there.buckets.get(name) != limit:
            batch.append(f"s3.bucket.quota -name {name} -op set -sizeMB {limit}")
    for name in sorted(wanted.ours):
        batch += _for_user(name, wanted.accounts.users.get(name, User()), there.users.get(name))
    return batch


def _for_user(name: str, wanted: User, there: User | None) -> list[str]:
    if not wanted.keys:
        return [f"s3.configure -user {name} -delete -apply"] if there else []
    there = there or User()
    strays = [access for access in sorted(there.keys) if access not in wanted.keys]
    batch = [f"s3.configure -user {name} -access_key {access} -delete -apply" for access in strays]
    for access, secret in sorted(wanted.keys.items()):
        if there.keys.get(access) != secret:
            batch.append(f"s3.configure -user {name} -access_key {access} -secret_key {secret} -apply")
    for grants, ending in ((there.grants - wanted.grants, "-delete -apply"), (wanted.grants - there.grants, "-apply")):
        for bucket, actions in _by_bucket(grants).items():
            batch.append(f"s3.configure -user {name} -buckets {bucket} -actions {','.join(actions)} {ending}")
    return batch


def _by_bucket(grants: Iterable[str]) -> dict[str, list[str]]:
    results: dict[str, list[str]] = defaultdict(list)
    for grant in sorted(grants):
        action, _, bucket = grant.partition(":")
        results[bucket].append(action)
    return results


def listed(output: str) -> Accounts:
    """Return the accounts in the lists at the end of a batch.

    Raises:
        ValueError: the list of users is incomplete: the shell ended early, and none of its output can be trusted.
    """
    try:
        return Accounts(dict(_buckets(output)), {user["name"]: _user(user) for user in _identities(output)})
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise ValueError("the shell's lists are incomplete") from cause


def _buckets(output: str) -> Iterable[tuple[str, int]]:
    for line in output.splitlines():
        name, *facts = line.split("\t")
        sizes = dict(fact.partition(":")[::2] for fact in facts)
        if line.startswith("  ") and "size" in sizes:
            yield name.strip(), int(sizes.get("quota") or 0) // MEBIBYTE


def _identities(output: str) -> list[Mapping[str, Any]]:
    """Return the users of the last JSON object that begins a line: each earlier ``s3.configure`` prints its own."""
    start = output.rfind("\n{")
    value, _ = json.JSONDecoder().raw_decode(output[start + 1 :])
    if not isinstance(value, dict) or "identities" not in value:
        raise ValueError("the list of users is missing")
    return list(value["identities"] or ())


def _user(entry: Mapping[str, Any]) -> User:
    pairs = {pair["accessKey"]: pair.get("secretKey", "") for pair in entry.get("credentials") or ()}
    return User(pairs, frozenset(entry.get("actions") or ()))
