"""Buckets and keys: what seaweedfs-operator does with its five kinds, here by one batch of ``weed shell``.

A stand-in, and named as one in the docs. One batch says everything that the objects mean and lists what is there
afterwards; an object is Ready only when it was seen in that list. Single commands cost 0.26 s each, a batch 0.5 s.
"""

from __future__ import annotations

import json
import logging
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from vellum.controlplane.protocol import Store
from vellum.errors import LaptopError
from vellum.kube import quantity
from vellum.kube.objects import Key, Obj, condition, secret_values
from vellum.kube.seaweed import API, STORE
from vellum.laptop.ports import Ports
from vellum.laptop.state import State
from vellum.model.component import Kind
from vellum.model.team import STORAGE_NAMESPACE

LOG = logging.getLogger(__name__)
FINALIZER = "platform.vellum.dev/tenant"
KINDS = ("Bucket", "S3Identity", "S3Policy", "S3PolicyBinding", "S3Credentials")
RESYNC_SECONDS = 60.0
"""SeaweedFS closes a bucket that is over its quota only when it is told to look (measured: never by itself)."""
RETRY_SECONDS = 2.0
SHELL_SECONDS = 30
_MEBIBYTE = 2**20
_GRANTS = {"s3:GetObject": "Read", "s3:PutObject": "Write", "s3:ListBucket": "List"}
"""SeaweedFS's own words for the actions that our policies name."""

Shell = Callable[[str], str]


@dataclass(slots=True)
class _Batch:
    """What one run of the shell shall do, and who waits for it."""

    commands: list[str] = field(default_factory=list)
    buckets: dict[str, Key] = field(default_factory=dict)
    keys: dict[tuple[str, str], Key] = field(default_factory=dict)
    seen: dict[Key, tuple[str, int]] = field(default_factory=dict)
    blocked: dict[Key, str] = field(default_factory=dict)
    going: dict[Key, str] = field(default_factory=dict)


class TenantController:
    """Makes the object store agree with the S3 objects of all tenants."""

    name = "tenants"
    kinds: Sequence[Kind] = tuple(Kind(API, kind) for kind in ("Seaweed", *KINDS))

    def __init__(
        self, shell: Shell, poke: Callable[[Key], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with nothing verified.

        Args:
            shell: runs commands and returns what they printed; may take seconds, is called from its own thread.
            poke: says that an object is worth another look.
            monotonic: seconds of a clock that never goes back.
        """
        self._shell, self._poke, self._monotonic = shell, poke, monotonic
        self._mutex = threading.Lock()
        self._verified: dict[Key, tuple[str, int]] = {}
        self._gone: set[str] = set()
        self._troubles: dict[Key, str] = {}
        self._running = False
        self._waiting: set[Key] = set()
        self._last = float("-inf")

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Answer for one object from what the last batch saw, and start the next batch when that is too little."""
        del now
        obj = store.get(key)
        if key.kind == "Seaweed":
            self._store_changed(store)
            return None
        if obj is None:
            self._verified.pop(key, None)
            return None
        uid = obj["metadata"]["uid"]
        if "deletionTimestamp" in obj["metadata"] and uid in self._gone:
            store.set_finalizer(key, uid, FINALIZER, present=False)
            self._gone.discard(uid)
            return None
        store.set_finalizer(key, uid, FINALIZER, present=True)
        self._say(store, key, store.get(key) or obj)
        return self._due(store, key, obj)

    def _store_changed(self, store: Store) -> None:
        for kind in KINDS:
            for obj in store.list(API, kind):
                self._poke(Key.of(obj))

    def _due(self, store: Store, key: Key, obj: Obj) -> float | None:
        """Start a batch if this object needs one; return when to look again."""
        needed = self._verified.get(key) != _version(obj) or "deletionTimestamp" in obj["metadata"]
        stale = self._monotonic() - self._last > RESYNC_SECONDS
        if not needed and not stale:
            return RESYNC_SECONDS
        if not _answers(store):
            return None
        with self._mutex:
            self._waiting.add(key)
            if self._running:
                return None
            self._running = True
            self._waiting.clear()
        batch = _batch(store)
        threading.Thread(target=self._run, args=(batch,), name="tenants", daemon=True).start()
        return RETRY_SECONDS if needed else RESYNC_SECONDS

    def _run(self, batch: _Batch) -> None:
        try:
            buckets, keys = _listed(self._shell("\n".join(batch.commands) + "\n"))
        except LaptopError as error:
            LOG.warning("the object store did not answer the tenants' batch: %s", error)
            self._finish(dict.fromkeys(batch.seen, error.what))
            return
        missing = {
            key: "the store does not list the bucket yet"
            for name, key in batch.buckets.items()
            if name not in buckets
        }
        missing |= {
            key: "the store does not list the key yet" for pair, key in batch.keys.items() if pair not in keys
        }
        troubles = {**missing, **batch.blocked}
        for key, version in batch.seen.items():
            if key not in troubles:
                self._verified[key] = version
        self._gone |= set(batch.going.values())
        self._last = self._monotonic()
        self._finish(troubles, poked={*batch.seen, *batch.going})

    def _finish(self, troubles: Mapping[Key, str], poked: set[Key] | None = None) -> None:
        with self._mutex:
            self._running = False
            self._troubles = dict(troubles)
            again = {*self._waiting, *(poked or ())}
        for key in again:
            self._poke(key)

    def _say(self, store: Store, key: Key, obj: Obj) -> None:
        """Write the status. What was Ready stays so while the store restarts, as with the operator."""
        generation = obj["metadata"]["generation"]
        if "deletionTimestamp" in obj["metadata"]:
            return
        before = obj.get("status") or {}
        was_ready = before.get("phase") == "Ready" and before.get("observedGeneration") == generation
        if self._verified.get(key) == _version(obj) or (was_ready and key not in self._troubles):
            status: Obj = {"phase": "Ready", "observedGeneration": generation}
        else:
            message = self._troubles.get(key, "waits for the object store")
            status = {"phase": "Pending", "observedGeneration": generation, "message": message}
        store.patch_status(key, obj["metadata"]["uid"], status)


def shell(state: State, ports: Ports, weed: str) -> Shell:
    """Return a function that runs commands in ``weed shell`` with this installation's certificate.

    The function raises LaptopError (VEL404) when the store does not answer. Secrets go through standard input, and
    what is printed, which repeats them, is never logged.
    """

    def address(part: str) -> str:
        owner = f"seaweed/{STORAGE_NAMESPACE}/{STORE}/{part}"
        return f"127.0.0.1:{ports.get(owner)}.{ports.get(f'{owner}-grpc')}"

    def run(commands: str) -> str:
        config = Path(state.data(STORAGE_NAMESPACE, f"seaweed-{STORE}")) / "config"
        argv = [
            weed,
            f"-config_dir={config}",
            "shell",
            f"-master={address('master')}",
            f"-filer={address('filer')}",
        ]
        try:
            # An unknown user or an existing bucket makes the exit code 1 and stops nothing: the lists at the end tell.
            done = subprocess.run(
                argv, input=commands, capture_output=True, text=True, timeout=SHELL_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as cause:
            raise LaptopError(
                "VEL404", f"weed shell did not answer: {type(cause).__name__}", where="the object store",
                fix="look at `vellum logs seaweed`; it is tried again by itself",
            ) from None  # fmt: skip
        return done.stdout

    return run


def _version(obj: Obj) -> tuple[str, int]:
    return obj["metadata"]["uid"], obj["metadata"]["generation"]


def _answers(store: Store) -> bool:
    seaweed = store.get(Key(API, "Seaweed", STORAGE_NAMESPACE, STORE))
    return seaweed is not None and (condition(seaweed, "Ready") or {}).get("status") == "True"


def _batch(store: Store) -> _Batch:
    """Put everything that the objects of the store mean into one list of commands, ending with what is there."""
    batch = _Batch()
    objects = {kind: store.list(API, kind) for kind in KINDS}
    for kind, found in objects.items():
        for obj in found:
            key = Key.of(obj)
            if "deletionTimestamp" in obj["metadata"]:
                batch.going[key] = obj["metadata"]["uid"]
                batch.commands += _unmade(kind, obj, objects)
            else:
                batch.seen[key] = _version(obj)
    for bucket in _alive(objects["Bucket"]):
        _make_bucket(batch, bucket)
    for credentials in _alive(objects["S3Credentials"]):
        _make_key(batch, store, credentials, objects)
    batch.commands += ["s3.bucket.quota.enforce -apply", "s3.bucket.list", "s3.configure"]
    return batch


def _alive(found: list[Obj]) -> list[Obj]:
    return [obj for obj in found if "deletionTimestamp" not in obj["metadata"]]


def _unmade(kind: str, obj: Obj, objects: Mapping[str, list[Obj]]) -> list[str]:
    if kind == "Bucket" and obj["spec"].get("reclaimPolicy") == "Delete":
        return [f"s3.bucket.delete -name {obj['metadata']['name']}"]
    if kind == "S3Credentials":
        user = obj["spec"]["identityRef"]["name"]
        others = [other for other in _alive(objects[kind]) if other["spec"]["identityRef"]["name"] == user]
        return [] if others else [f"s3.configure -user {user} -delete -apply"]
    return []


def _make_bucket(batch: _Batch, bucket: Obj) -> None:
    name, limit = bucket["metadata"]["name"], bucket["spec"].get("quota", {}).get("size")
    batch.buckets[name] = Key.of(bucket)
    batch.commands.append(f"s3.bucket.create -name {name}")
    if limit:
        size = max(1, int(quantity.parse(limit)) // _MEBIBYTE)
        batch.commands.append(f"s3.bucket.quota -name {name} -op set -sizeMB {size}")


def _make_key(batch: _Batch, store: Store, credentials: Obj, objects: Mapping[str, list[Obj]]) -> None:
    key, user = Key.of(credentials), credentials["spec"]["identityRef"]["name"]
    reference = credentials["spec"]["secretRef"]
    secret = store.get(Key("v1", "Secret", key.namespace, reference["name"]))
    buckets, actions = _granted(user, objects)
    if secret is None or not any(obj["metadata"]["name"] == user for obj in _alive(objects["S3Identity"])):
        batch.blocked[key] = f"waits for Secret {reference['name']} and S3Identity {user}"
        return
    values = secret_values(secret)
    access = values[reference["accessKeyField"]]
    batch.keys[(user, access)] = key
    grant = f" -buckets {','.join(buckets)} -actions {','.join(actions)}" if actions else ""
    hidden = values[reference["secretKeyField"]]
    batch.commands.append(
        f"s3.configure -user {user} -access_key {access} -secret_key {hidden}{grant} -apply"
    )


def _granted(user: str, objects: Mapping[str, list[Obj]]) -> tuple[list[str], list[str]]:
    """Return the buckets and SeaweedFS actions that policies bound to the user allow."""
    names = {
        binding["spec"]["policyRef"]["name"]
        for binding in _alive(objects["S3PolicyBinding"])
        if any(subject["name"] == user for subject in binding["spec"]["subjects"])
    }
    statements = [
        statement
        for policy in _alive(objects["S3Policy"])
        if policy["metadata"]["name"] in names
        for statement in policy["spec"]["statements"]
        if statement["effect"] == "Allow"
    ]
    buckets = sorted(
        {resource.split("/")[0] for statement in statements for resource in statement["resources"]}
    )
    said = {action for statement in statements for action in statement["actions"]}
    return buckets, [word for action, word in _GRANTS.items() if action in said]


def _listed(output: str) -> tuple[set[str], set[tuple[str, str]]]:
    """Return the buckets and the (user, access key) pairs that the shell listed last."""
    buckets = {
        line.split()[0]
        for line in output.splitlines()
        if line.startswith("  ") and "\tsize:" in line and line.split()
    }
    return buckets, {
        (identity.get("name", ""), pair.get("accessKey", ""))
        for identity in _last_json(output).get("identities") or ()
        for pair in identity.get("credentials") or ()
    }


def _last_json(output: str) -> dict[str, Any]:
    """Return the last JSON object that begins at the start of a line; ``s3.configure`` prints one each time."""
    start = output.rfind("\n{")
    if start < 0:
        return {}
    try:
        value, _ = json.JSONDecoder().raw_decode(output[start + 1 :])
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
