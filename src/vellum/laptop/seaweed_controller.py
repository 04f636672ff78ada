"""Buckets and keys: does the work of seaweedfs-operator for its five kinds, with batches of ``weed shell``.

A stand-in, and named as one in the docs. A batch makes what is missing and ends with lists of what exists. An object is
Ready, and a deleted object is gone, only when those lists show it. A batch costs 0.25 s and 0.05 s per command.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from vellum.controlplane.protocol import Store
from vellum.errors import LaptopError
from vellum.host import launch
from vellum.host.ports import Ports
from vellum.host.state import State
from vellum.kube import quantity
from vellum.kube.objects import Key, Kind, Obj, current, secret_values, status_of
from vellum.laptop.weed_commands import LISTS, MEBIBYTE, Accounts, User, Wanted, commands, listed
from vellum.model.team import STORAGE_NAMESPACE
from vellum.objectstore.seaweed import API, STORE

LOG = logging.getLogger(__name__)
FINALIZER = "platform.vellum.dev/tenant"
KINDS = ("Bucket", "S3Identity", "S3Policy", "S3PolicyBinding", "S3Credentials")
RESYNC_SECONDS = 60.0
"""SeaweedFS checks a bucket's quota only when it is told to (measured: never by itself)."""
RETRY_SECONDS = 2.0
SHELL_SECONDS = 60
_GRANTS = {"s3:GetObject": "Read", "s3:PutObject": "Write", "s3:ListBucket": "List"}
"""SeaweedFS's own names for the actions that Vellum's policies name."""

Shell = Callable[[str], str]
Objects = Mapping[str, list[Obj]]


@dataclass(slots=True)
class _Plan:
    """The accounts that the objects ask for, and which of the objects wait for them."""

    wanted: Wanted
    seen: dict[Key, tuple[str, int]] = field(default_factory=dict)
    buckets: dict[Key, str] = field(default_factory=dict)
    keys: dict[Key, tuple[str, str]] = field(default_factory=dict)
    blocked: dict[Key, str] = field(default_factory=dict)
    going: dict[Key, Obj] = field(default_factory=dict)

    def missing(self, there: Accounts) -> dict[Key, str]:
        """Return the objects that the store does not have yet, and why."""
        buckets = {
            key: "the store does not list the bucket yet"
            for key, name in self.buckets.items()
            if name not in there.buckets
        }
        keys = {
            key: "the store does not list the key yet"
            for key, (user, access) in self.keys.items()
            if access not in there.users.get(user, User()).keys
        }
        return {**buckets, **keys, **self.blocked}

    def gone(self, there: Accounts) -> set[str]:
        """Return the uids of the deleted objects that have nothing left in the store."""
        return {obj["metadata"]["uid"] for obj in self.going.values() if not self._left(obj, there)}

    def _left(self, obj: Obj, there: Accounts) -> bool:
        if obj["kind"] == "Bucket":
            return obj["metadata"]["name"] in self.wanted.doomed & there.buckets.keys()
        if obj["kind"] != "S3Credentials":
            return False
        user = obj["spec"]["identityRef"]["name"]
        allowed = self.wanted.accounts.users.get(user, User()).keys
        return user in self.wanted.ours and bool(there.users.get(user, User()).keys.keys() - allowed.keys())


class SeaweedController:
    """Makes the object store agree with the S3 objects of all tenants."""

    name = "seaweed"
    kinds: Sequence[Kind] = tuple(Kind(API, kind) for kind in ("Seaweed", *KINDS))

    def __init__(
        self, shell: Shell, poke: Callable[[Key], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with nothing verified.

        Args:
            shell: runs commands and returns their output; may take seconds, is called from its own thread.
            poke: asks for another look at an object.
            monotonic: seconds of a clock that never goes back.
        """
        self._shell, self._poke, self._monotonic = shell, poke, monotonic
        self._mutex = threading.Lock()
        self._there = Accounts()
        self._verified: dict[Key, tuple[str, int]] = {}
        self._gone: set[str] = set()
        self._troubles: dict[Key, str] = {}
        self._running = False
        self._waiting: set[Key] = set()
        self._last = float("-inf")

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Write the status that the last batch showed; start the next batch if that is not enough."""
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
        """Start a batch if this object needs one; return the seconds until the next look."""
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
        try:
            plan = _plan(store)
        except Exception:
            with self._mutex:
                self._running = False
            raise
        threading.Thread(target=self._run, args=(plan,), name="seaweed", daemon=True).start()
        return RETRY_SECONDS if needed else RESYNC_SECONDS

    def _run(self, plan: _Plan) -> None:
        """Run a batch for what the last list lacked, and once more for what the new list still lacks."""
        try:
            there = self._ask(commands(plan.wanted, self._there))
            if again := commands(plan.wanted, there):
                there = self._ask(again)
        except Exception as error:  # noqa: BLE001  # a thread that ends silently leaves all objects waiting
            LOG.warning("the object store did not answer the tenants' batch: %s", error)
            self._there = Accounts()
            self._finish(dict.fromkeys(plan.seen, "the object store does not answer"))
            return
        self._there = there
        troubles = plan.missing(there)
        for key, version in plan.seen.items():
            if key not in troubles:
                self._verified[key] = version
        self._gone |= plan.gone(there)
        self._last = self._monotonic()
        self._finish(troubles, poked={*plan.seen, *plan.going})

    def _ask(self, batch: list[str]) -> Accounts:
        return listed(self._shell("\n".join((*batch, "s3.bucket.quota.enforce -apply", *LISTS)) + "\n"))

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
        before = status_of(obj)
        was_ready = before.get("phase") == "Ready" and before.get("observedGeneration") == generation
        if self._verified.get(key) == _version(obj) or (was_ready and key not in self._troubles):
            status: Obj = {"phase": "Ready", "observedGeneration": generation}
        else:
            message = self._troubles.get(key, "waits for the object store")
            status = {"phase": "Pending", "observedGeneration": generation, "message": message}
        store.patch_status(key, obj["metadata"]["uid"], status)


def shell(state: State, ports: Ports, weed: str) -> Shell:
    """Return a function that runs commands in ``weed shell`` with this installation's certificate.

    The function raises LaptopError (VEL404) when the store does not answer. Secrets go through standard input. The
    output repeats them, so the function never logs it.
    """

    def address(part: str) -> str:
        """Return HOST:PORT.GRPC_PORT of a part of the store, as weed writes it."""
        owner = f"seaweed/{STORAGE_NAMESPACE}/{STORE}/{part}"
        return f"127.0.0.1:{ports.get(owner)}.{ports.get(f'{owner}-grpc')}"

    def run(commands: str) -> str:
        """Return the output of the commands."""
        config = Path(state.data(STORAGE_NAMESPACE, f"seaweed-{STORE}")) / "config"
        argv = [
            # Without a master it hangs forever, and a SIGKILL of this process would leave it behind.
            sys.executable,
            "-I",
            "-S",
            str(launch.__file__),
            str(os.getpid()),
            f"--at-most={SHELL_SECONDS + 5}",
            weed,
            f"-config_dir={config}",
            "shell",
            f"-master={address('master')}",
            f"-filer={address('filer')}",
        ]
        try:
            # An unknown user or an existing bucket sets the exit code to 1 and stops nothing: only the lists count.
            done = subprocess.run(
                argv, input=commands, capture_output=True, text=True, timeout=SHELL_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as cause:
            raise LaptopError(
                "VEL404",
                f"weed shell did not answer: {type(cause).__name__}",
                where="the object store",
                fix="look at `vellum logs seaweed`; Vellum tries again automatically",
            ) from None
        return done.stdout

    return run


def _version(obj: Obj) -> tuple[str, int]:
    return obj["metadata"]["uid"], obj["metadata"]["generation"]


def _answers(store: Store) -> bool:
    seaweed = store.get(Key(API, "Seaweed", STORAGE_NAMESPACE, STORE))
    return seaweed is not None and (current(seaweed, "Ready") or {}).get("status") == "True"


def _plan(store: Store) -> _Plan:
    """Return the accounts that all objects of the store ask for together."""
    objects: Objects = {kind: store.list(API, kind) for kind in KINDS}
    alive = {kind: [obj for obj in listed if not _goes(obj)] for kind, listed in objects.items()}
    keys, blocked, users = _keys(store, alive)
    unsure = {obj["spec"]["identityRef"]["name"] for obj in alive["S3Credentials"] if Key.of(obj) in blocked}
    owners = {obj["spec"]["identityRef"]["name"] for obj in objects["S3Credentials"]}
    limits = {obj["metadata"]["name"]: _limit(obj) for obj in alive["Bucket"]}
    # A key whose Secret is missing for a moment must not look like an unwanted key.
    wanted = Wanted(Accounts(limits, users), frozenset(owners - unsure), _doomed(objects["Bucket"]))
    return _Plan(
        wanted=wanted,
        seen={Key.of(obj): _version(obj) for listed in alive.values() for obj in listed},
        buckets={Key.of(obj): obj["metadata"]["name"] for obj in alive["Bucket"]},
        keys=keys,
        blocked=blocked,
        going={Key.of(obj): obj for listed in objects.values() for obj in listed if _goes(obj)},
    )


def _goes(obj: Obj) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def _doomed(buckets: list[Obj]) -> frozenset[str]:
    going = [obj for obj in buckets if _goes(obj) and obj["spec"].get("reclaimPolicy") == "Delete"]
    return frozenset(obj["metadata"]["name"] for obj in going)


def _limit(bucket: Obj) -> int:
    size = bucket["spec"].get("quota", {}).get("size")
    return max(1, int(quantity.parse(size)) // MEBIBYTE) if size else 0


def _keys(store: Store, alive: Objects) -> tuple[dict[Key, tuple[str, str]], dict[Key, str], dict[str, User]]:
    """Return (user, access key) of each credentials object, those that wait and why, and the users."""
    identities = {obj["metadata"]["name"] for obj in alive["S3Identity"]}
    keys: dict[Key, tuple[str, str]] = {}
    blocked: dict[Key, str] = {}
    users: dict[str, User] = {}
    for credentials in alive["S3Credentials"]:
        key, user = Key.of(credentials), credentials["spec"]["identityRef"]["name"]
        reference = credentials["spec"]["secretRef"]
        secret = store.get(Key("v1", "Secret", key.namespace, reference["name"]))
        if secret is None or user not in identities:
            blocked[key] = f"waits for Secret {reference['name']} and S3Identity {user}"
            continue
        values = secret_values(secret)
        access, hidden = values.get(reference["accessKeyField"]), values.get(reference["secretKeyField"])
        if not access or not hidden:
            blocked[key] = f"Secret {reference['name']} lacks a key"
            continue
        keys[key] = (user, access)
        known = users.get(user, User(grants=_granted(user, alive)))
        users[user] = User({**known.keys, access: hidden}, known.grants)
    return keys, blocked, users


def _granted(user: str, alive: Objects) -> frozenset[str]:
    """Return the grants that policies bound to the user allow, in SeaweedFS's words."""
    names = {
        binding["spec"]["policyRef"]["name"]
        for binding in alive["S3PolicyBinding"]
        if any(subject["name"] == user for subject in binding["spec"]["subjects"])
    }
    statements = [
        statement
        for policy in alive["S3Policy"]
        if policy["metadata"]["name"] in names
        for statement in policy["spec"]["statements"]
        if statement["effect"] == "Allow"
    ]
    buckets = {resource.split("/")[0] for statement in statements for resource in statement["resources"]}
    allowed = {action for statement in statements for action in statement["actions"]}
    return frozenset(f"{word}:{bucket}" for bucket in buckets for action, word in _GRANTS.items() if action in allowed)
