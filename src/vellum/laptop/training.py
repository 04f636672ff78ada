"""Runs TrainJobs as processes that end: the work of Kubeflow Trainer, JobSet, the Job controller and a kubelet.

Invariants: at most one process of a job runs. The number of tries is stored before each try, so killing the supervisor
cannot make a job run forever. A job that has ended, well or badly, is never started again.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from vellum.connect.binding import BINDING_SECRET
from vellum.controlplane.protocol import Store
from vellum.host.files import read_json, write_json
from vellum.host.state import State
from vellum.host.supervisor import Supervisor
from vellum.kube.objects import DOMAIN, Key, Kind, Obj, condition, stamp, status_of
from vellum.laptop.folders import connect_folder
from vellum.laptop.mounts import mount
from vellum.laptop.workloads import NotStartable, resolved
from vellum.model.process import Process
from vellum.model.state import Event
from vellum.model.training import NODE, TRAIN_JOB, TRAINING_RUNTIME

FINALIZER = f"{DOMAIN}/training"
GRACE_SECONDS = 10.0
"""Seconds between SIGTERM and SIGKILL; a kubelet gives 30, but here a user waits."""
COMPLETE, FAILED, SUSPENDED = "Complete", "Failed", "Suspended"
DONE = (COMPLETE, "AllJobsCompleted", "jobset completed successfully")
OVERTIME = (FAILED, "DeadlineExceeded", "TrainJob exceeded its active deadline")
"""Type, reason and message of a condition, as JobSet 0.12.0 and Trainer 2.3.0 write them."""
RETRY_SECONDS = 2.0
FIRST_EVENT_SECONDS, LAST_EVENT_SECONDS = 10.0, 300.0
STARTED = "Started"
"""A condition that only a laptop sets: False with the cause while a try cannot begin; removed once one has begun."""
NOT_STARTED = "CreateContainerConfigError"
"""The kubelet's reason for a container with a reference to a missing object."""


@dataclass(frozen=True, slots=True)
class Tries:
    """The stored facts of a job: how often it failed, and whether a try is running."""

    uid: str = ""
    failed: int = 0
    goes_on: bool = False
    began: str = ""
    """When it became active: at its first try, or at the first after its last suspension or after `vellum down`."""


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over a job: the object, its runtime, its tries, and the time."""

    obj: Obj
    runtime: Obj
    tries: Tries
    now: datetime

    @property
    def uid(self) -> str:
        """The job's uid, which differs for another job of the same name."""
        return str(self.obj["metadata"]["uid"])

    @property
    def limit(self) -> int:
        """How many tries may fail before the job has failed."""
        job = _job(self.runtime)
        return int(job["template"]["spec"].get("backoffLimit", 6))

    @property
    def container(self) -> Obj:
        """The runtime's container with the TrainJob's ``trainer`` laid over it, as the Trainer does it."""
        pod = _job(self.runtime)["template"]["spec"]["template"]["spec"]
        made: Obj = next(container for container in pod["containers"] if container["name"] == NODE)
        over = {name: self.trainer[name] for name in ("command", "args") if self.trainer.get(name)}
        return {**made, **over}

    @property
    def trainer(self) -> Obj:
        """The fields of the container that the TrainJob itself sets."""
        return self.obj["spec"].get("trainer") or {}


class TrainJobController:
    """Runs TrainJobs on this machine, one process group each, to their end."""

    name = "training"
    kinds: Sequence[Kind] = (TRAIN_JOB,)

    def __init__(self, state: State, supervisor: Supervisor) -> None:
        self._state, self._supervisor = state, supervisor
        self._names: dict[Key, str] = {}
        self._waits: dict[Key, tuple[str, datetime, float]] = {}

    def key_of(self, process: str) -> Key | None:
        """Return the TrainJob that a process runs."""
        # Called from the threads of processes, while the manager's thread adds and removes names.
        return next((key for key, name in self._names.copy().items() if name == process), None)

    def reconcile(self, store: Store, key: Key, now: datetime) -> float | None:
        """Start, judge, stop or forget the process of one job; return the seconds until its deadline."""
        obj = store.get(key)
        if obj is None:
            self._forget(key)
            return None
        if "deletionTimestamp" in obj["metadata"]:
            self._end(store, key, obj)
            return None
        if _is_over(obj):
            self._forget(key)
            return None
        store.set_finalizer(key, obj["metadata"]["uid"], FINALIZER, present=True)
        runtime = store.get(
            Key(TRAINING_RUNTIME.api_version, TRAINING_RUNTIME.kind, "", obj["spec"]["runtimeRef"]["name"])
        )
        if runtime is None:
            runtime = obj["spec"]["runtimeRef"]["name"]
            why = f"the runtime {runtime} does not exist yet; next: the platform, which makes it"
            return self._wait(store, key, Run(obj, {}, self._tries(obj), now), why)
        return self._attend(store, key, Run(obj, runtime, self._tries(obj), now))

    def close(self, store: Store, now: datetime) -> None:
        """Record that the running jobs are stopped on purpose: turning off a laptop is not a failure of a job.

        Time without the supervisor does not count as active, since no job runs in it. A job that ended well is over.
        """
        for key, name in self._names.copy().items():
            if self._supervisor.status(name).ended == 0:
                self.reconcile(store, key, now)
                continue
            path = self._record(key)
            tries = Tries(**read_json(path, {}))
            write_json(path, asdict(replace(tries, goes_on=False, began="")))

    # What each state of a job needs

    def _attend(self, store: Store, key: Key, run: Run) -> float | None:
        if run.obj["spec"].get("suspend"):
            self._suspend(store, key, run)
            return None
        if key not in self._names:
            run = self._interrupted(store, key, run)
        ended = self._supervisor.status(self._names.get(key, "")).ended if run.tries.goes_on else None
        if ended == 0:
            # A job that ended well has not missed its deadline, however late this pass is.
            # Store the end first: a kill between the two then leaves a job that is over, not one to run again.
            self._finish(store, run, DONE)
            self._noted(run, goes_on=False)
            return None
        if ended is not None:
            run = self._failed(store, key, run, _ending(ended))
        left = _seconds_left(run)
        if run.tries.failed > run.limit:
            self._finish(store, run, (FAILED, "FailedJobs", self._why(run)))
        elif left is not None and left <= 0:
            self._finish(store, run, OVERTIME)
        else:
            return self._run(store, key, run, left)
        return None

    def _interrupted(self, store: Store, key: Key, run: Run) -> Run:
        """Count a try that was running when the supervisor was killed as failed, since its end is unknown."""
        if not run.tries.goes_on:
            return run
        message = f"the supervisor was ended while it ran; {_tries_left(run.tries.failed + 1, run.limit)}"
        store.record(key, Event("Warning", "Interrupted", message))
        return self._noted(run, failed=run.tries.failed + 1, goes_on=False)

    def _failed(self, store: Store, key: Key, run: Run, why: str) -> Run:
        """Record a failed try."""
        failed = run.tries.failed + 1
        store.record(key, Event("Warning", "BackOff", f"{why}; {_tries_left(failed, run.limit)}"))
        return self._noted(run, failed=failed, goes_on=False)

    def _run(self, store: Store, key: Key, run: Run, left: float | None) -> float | None:
        if run.tries.goes_on and key in self._names:
            # As in a pod, the environment is that of the start, even if a Secret changed meanwhile.
            running = self._supervisor.status(self._names[key])
            self._say(store, run, [*_resumed(run)], active=1, ready=int(running.ready))
            return left
        try:
            process = self._process(store, run)
        except NotStartable as reason:
            return self._wait(store, key, run, str(reason))
        self._waits.pop(key, None)
        if not run.tries.goes_on:
            run = self._noted(run, goes_on=True, began=run.tries.began or stamp(run.now))
        self._names[key] = process.name
        running = self._supervisor.ensure(process)
        # The ended try is judged above, so this describes the try that just began.
        self._say(store, run, [*_resumed(run)], active=1, ready=int(running.ready))
        return left

    def _wait(self, store: Store, key: Key, run: Run, why: str) -> float:
        """Set why the job does not start; return the seconds until the next check, which is cheap and so comes soon.

        Events are rarer: one when the cause changes, then after 10 s, 20 s and so on up to 5 min.
        """
        before = self._waits.get(key, ("", run.now, FIRST_EVENT_SECONDS))
        if before[0] != why or run.now >= before[1]:
            pause = FIRST_EVENT_SECONDS if before[0] != why else min(2 * before[2], LAST_EVENT_SECONDS)
            self._waits[key] = (why, run.now + timedelta(seconds=pause), pause)
            store.record(key, Event("Warning", NOT_STARTED, why))
        self._say(store, run, [{"type": STARTED, "status": "False", "reason": NOT_STARTED, "message": why}])
        return RETRY_SECONDS

    def _suspend(self, store: Store, key: Key, run: Run) -> None:
        """Stop it without counting a failure; it begins anew afterwards."""
        name = self._names.get(key, "")
        if not self._supervisor.end(name):
            return
        self._forget(key)
        self._noted(run, goes_on=False, began="")
        suspended = {"type": SUSPENDED, "status": "True", "reason": "Suspended", "message": "TrainJob is suspended"}
        self._say(store, run, [suspended], suspended=1)

    def _finish(self, store: Store, run: Run, end: tuple[str, str, str]) -> None:
        key, (kind, reason, message) = Key.of(run.obj), end
        self._forget(key)
        ended = {"type": kind, "status": "True", "reason": reason, "message": message}
        self._say(store, run, [ended], succeeded=int(kind == COMPLETE), failed=int(kind == FAILED))
        store.record(key, Event("Normal" if kind == COMPLETE else "Warning", reason, message))

    def _end(self, store: Store, key: Key, obj: Obj) -> None:
        # The process keeps its name until it is gone: then this runs again, and no thread waits meanwhile.
        self._names[key] = self._process_name(obj)
        if not self._supervisor.end(self._names[key]):
            return
        del self._names[key]
        shutil.rmtree(self._folder(key), ignore_errors=True)
        store.set_finalizer(key, obj["metadata"]["uid"], FINALIZER, present=False)

    def _forget(self, key: Key) -> None:
        self._waits.pop(key, None)
        self._supervisor.end(self._names.pop(key, ""))

    # What is written

    def _why(self, run: Run) -> str:
        name = run.obj["metadata"]["name"]
        tries = f"{run.tries.failed} tries failed; see `vellum logs {self._process_name(run.obj)}`"
        return f"jobset failed due to one or more job failures (first failed job: {name}-{NODE}-0): {tries}"

    def _say(self, store: Store, run: Run, conditions: list[Obj], **count: int) -> None:
        """Write the status as the Trainer does: its conditions, and JobSet's status of the one job."""
        kept = {entry["type"]: entry for entry in status_of(run.obj).get("conditions") or ()}
        if all(entry["type"] != STARTED for entry in conditions):
            kept.pop(STARTED, None)
        for entry in conditions:
            before = kept.pop(entry["type"], {})
            same = before.get("status") == entry["status"]
            since = before["lastTransitionTime"] if same else stamp(run.now)
            kept[entry["type"]] = {**entry, "lastTransitionTime": since}
        job = {"name": NODE, **dict.fromkeys(("ready", "succeeded", "failed", "active", "suspended"), 0), **count}
        status: Obj = {"jobsStatus": [job]}
        if kept:
            status["conditions"] = list(kept.values())
        store.patch_status(Key.of(run.obj), run.uid, status)

    def _tries(self, obj: Obj) -> Tries:
        record: Mapping[str, Any] = read_json(self._record(Key.of(obj)), {})
        uid = obj["metadata"]["uid"]
        return Tries(**record) if record.get("uid") == uid else Tries(uid)

    def _noted(self, run: Run, **changed: Any) -> Run:  # noqa: ANN401  # fields of Tries
        tries = replace(run.tries, **changed)
        write_json(self._record(Key.of(run.obj)), asdict(tries))
        return replace(run, tries=tries)

    # What runs

    def _process(self, store: Store, run: Run) -> Process:
        """Return the process: the container's command, in a folder of its own, with the team's binding."""
        namespace, container = run.obj["metadata"]["namespace"], run.container
        secret = store.get(Key("v1", "Secret", namespace, BINDING_SECRET))
        if secret is None:
            why = f"the Secret {BINDING_SECRET} does not exist in the namespace {namespace} yet"
            raise NotStartable(f"{why}; next: the platform, which makes it with the team")
        mount(self._state, secret)
        own = {
            "VELLUM_BINDING_DIR": str(self._state.secrets(namespace) / BINDING_SECRET),
            "VELLUM_PYTHONPATH": str(connect_folder(self._state)),
            "HOME": str(self._folder(Key.of(run.obj)) / "work"),
            # `python` is this process's own Python; in the image it is the one in which Vellum is installed.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        }
        try:
            asked = resolved(store, namespace, run.trainer.get("env", ()))
        except NotStartable as missing:
            raise NotStartable(
                f"{missing}; it starts once that is there, or name another in a new job; next: you"
            ) from None
        return Process(
            name=self._process_name(run.obj),
            argv=(*container.get("command", ()), *container.get("args", ())),
            directory=self._folder(Key.of(run.obj)) / "work",
            probe=None,
            once=True,
            attempt=run.tries.failed,
            title=f"try {run.tries.failed + 1} of {run.limit + 1}",
            env={**own, **asked},
            env_from=(self._state.secrets(namespace) / BINDING_SECRET,),
            grace_seconds=GRACE_SECONDS,
        )

    def _process_name(self, obj: Obj) -> str:
        meta = obj["metadata"]
        return f"train-{meta['name']}-{meta['namespace']}"

    def _folder(self, key: Key) -> Path:
        return self._state.data(key.namespace, f"trainjob-{key.name}")

    def _record(self, key: Key) -> Path:
        return self._folder(key) / "tries.json"


def _job(runtime: Obj) -> Obj:
    """Return the replicated job that trains."""
    jobs = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    result: Obj = next(job for job in jobs if job["name"] == NODE)
    return result


def _is_over(obj: Obj) -> bool:
    return any((condition(obj, kind) or {}).get("status") == "True" for kind in (COMPLETE, FAILED))


def _resumed(run: Run) -> list[Obj]:
    if (condition(run.obj, SUSPENDED) or {}).get("status") != "True":
        return []
    return [{"type": SUSPENDED, "status": "False", "reason": "Resumed", "message": "TrainJob is resumed"}]


def _seconds_left(run: Run) -> float | None:
    """Return how long the job may still be active, None without a limit; counted from its start, not its last try."""
    seconds = run.obj["spec"].get("activeDeadlineSeconds")
    if not seconds:
        return None
    began = datetime.fromisoformat(run.tries.began) if run.tries.began else run.now
    return (began + timedelta(seconds=seconds) - run.now).total_seconds()


def _ending(code: int) -> str:
    return f"exited with {code}" if code >= 0 else f"killed by signal {-code}"


def _tries_left(failed: int, limit: int) -> str:
    left = limit + 1 - failed
    return f"{failed} of {limit + 1} tries failed" + ("" if left > 0 else ", no try is left")
