"""A TrainJob runs to its end, one process at a time, with the Trainer's status: real processes, a real supervisor."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.compose.world import PLATFORMS, World, written
from tests.host.servers import Supervised, alive, wait_for

import vellum
from vellum.controlplane.store import SqliteStore
from vellum.kube.objects import Key, Obj, make, secret
from vellum.laptop import connectable
from vellum.laptop.folders import connect_folder
from vellum.laptop.training import TrainJobController

NOW = datetime(2026, 3, 1, tzinfo=UTC)
JOB = Key("trainer.kubeflow.org/v1alpha1", "TrainJob", "team", "job")
PROCESS = "train-job-team"
TIME = "2026-03-01T00:00:00Z"
FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"], stdout=subprocess.PIPE)
child.stdout.readline()
print("child", child.pid, flush=True)
time.sleep(600)
"""


@dataclass
class Laptop:
    """A store with one TrainJob, its controller, and the supervisor."""

    supervised: Supervised
    store: SqliteStore
    controller: TrainJobController
    now: datetime = NOW

    def job(self, code: str, **spec: Any) -> None:
        """Store a TrainJob that runs some Python."""
        trainer = {"command": [sys.executable, "-c"], "args": [code], **spec.pop("trainer", {})}
        self.store.put(
            make(
                JOB.api_version,
                JOB.kind,
                JOB.name,
                JOB.namespace,
                spec={"runtimeRef": {"name": "vellum"}, "trainer": trainer, **spec},
            )
        )

    def look(self) -> float | None:
        return self.controller.reconcile(self.store, JOB, self.now)

    def until(self, kind: str) -> Obj:
        """Look until a condition of the kind is True; return the status."""

        def found() -> Obj | None:
            self.look()
            return status if kind in true_conditions(status := self.status) else None

        status: Obj = wait_for(found)
        return status

    @property
    def status(self) -> Obj:
        status: Obj = (self.store.get(JOB) or {}).get("status") or {}
        return status

    @property
    def whole_log(self) -> list[str]:
        path = self.supervised.state.log(PROCESS)
        return path.read_text().splitlines() if path.exists() else []

    @property
    def log(self) -> list[str]:
        """The job's output, without the lines between its tries."""
        return [line for line in self.whole_log if not line.startswith("--- try ")]

    @property
    def told(self) -> list[str]:
        return [f"{event['reason']}: {event['message']}" for event in self.store.events()]

    def another_supervisor(self) -> None:
        """Be the next supervisor of the same installation."""
        self.supervised = Supervised(self.supervised.folder)
        self.controller = TrainJobController(self.supervised.state, self.supervised.supervisor)


def true_conditions(status: Obj) -> list[str]:
    return [entry["type"] for entry in status.get("conditions", ()) if entry["status"] == "True"]


def counts(**more: int) -> list[Obj]:
    zero = dict.fromkeys(("ready", "succeeded", "failed", "active", "suspended"), 0)
    return [{"name": "node", **zero, **more}]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Laptop]:
    supervised = Supervised(tmp_path)
    store = SqliteStore(supervised.state.store, lambda: NOW)
    store.put(make("v1", "Namespace", "team"))
    store.put(
        secret("vellum-binding", "team", {"VELLUM_BUCKET": "bucket-of-the-team", "AWS_SECRET_ACCESS_KEY": "S3CRET"})
    )
    made = World(written(PLATFORMS["local"])).settle_objects()["training-runtimes-jobs"]
    store.put({name: made[name] for name in ("apiVersion", "kind", "metadata", "spec")})
    laptop = Laptop(supervised, store, TrainJobController(supervised.state, supervised.supervisor))
    yield laptop
    laptop.supervised.supervisor.close()
    store.close()


def test_a_job_that_ends_well_is_complete_and_never_runs_again(world: Laptop) -> None:
    world.job("print('trained')")
    status = world.until("Complete")
    world.look()
    assert status == {
        "jobsStatus": counts(succeeded=1),
        "conditions": [
            {
                "type": "Complete",
                "status": "True",
                "reason": "AllJobsCompleted",
                "message": "jobset completed successfully",
                "lastTransitionTime": TIME,
            }
        ],
    }
    wait_for(lambda: not world.supervised.supervisor.running())
    assert (world.status, world.log) == (status, ["trained"])


def test_the_tries_of_a_job_are_told_apart_in_its_log(world: Laptop) -> None:
    """A line before each further try has its number; a line after each failed try has the cause, also after a cut line."""
    world.job("import sys; sys.stdout.write('cut'); sys.exit(3)")
    world.until("Failed")
    times = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\d+\.\d s")
    assert [times.sub("T", line) for line in world.whole_log] == [
        line
        for number in range(1, 5)
        for line in (
            f"--- try {number} of 4: begins, T ---",
            "cut",
            f"--- try {number} of 4: exited with 3 after T, T ---",
        )
    ][1:]


def test_a_job_that_fails_is_tried_four_times_in_all(world: Laptop) -> None:
    world.job("import sys; print('tried'); sys.exit(3)")
    status = world.until("Failed")
    assert world.log == ["tried"] * 4
    assert status == {
        "jobsStatus": counts(failed=1),
        "conditions": [
            {
                "type": "Failed",
                "status": "True",
                "reason": "FailedJobs",
                "message": "jobset failed due to one or more job failures (first failed job: job-node-0): 4 tries failed; "
                f"see `vellum logs {PROCESS}`",
                "lastTransitionTime": TIME,
            }
        ],
    }
    assert [line for line in world.told if line.startswith("BackOff")] == [
        "BackOff: exited with 3; 1 of 4 tries failed",
        "BackOff: exited with 3; 2 of 4 tries failed",
        "BackOff: exited with 3; 3 of 4 tries failed",
        "BackOff: exited with 3; 4 of 4 tries failed, no try is left",
    ]


def test_a_program_that_does_not_exist_is_a_failure_too(world: Laptop) -> None:
    world.job("", trainer={"command": ["there-is-no-such-program"], "args": []})
    world.until("Failed")
    assert world.log == ["there-is-no-such-program cannot be started: No such file or directory"] * 4


def test_a_job_has_its_binding_and_variables_but_no_key_in_arguments(world: Laptop) -> None:
    code = """
import os, json, vellum
names = ("VELLUM_BUCKET", "AWS_SECRET_ACCESS_KEY", "QDRANT_URL", "PLAIN", "TAKEN")
print(json.dumps([vellum.connect().VELLUM_BUCKET, *(os.environ.get(name) for name in names)]))
"""
    reference = {"secretKeyRef": {"name": "vellum-binding", "key": "VELLUM_BUCKET"}}
    # As on a cluster, the job's own variable overrides that of the binding.
    own = {"PLAIN": "7", "QDRANT_URL": "mine"}
    env = [{"name": name, "value": value} for name, value in own.items()]
    world.job(code, trainer={"env": [*env, {"name": "TAKEN", "valueFrom": reference}]})
    world.look()
    (process, _, _) = world.supervised.supervisor.running()[PROCESS]
    world.until("Complete")
    assert [json.loads(line) for line in world.log] == [
        ["bucket-of-the-team", "bucket-of-the-team", "S3CRET", "mine", "7", "bucket-of-the-team"]
    ]
    assert "S3CRET" not in f"{process.argv} {process.env} {process!r}"


def test_a_python_without_vellum_connects_by_one_line(world: Laptop) -> None:
    """``VELLUM_PYTHONPATH`` brings ``vellum.connect`` to a user's own environment, and no other package."""
    connectable.provide(connect_folder(world.supervised.state))
    code = """
import os, sys
try:
    import vellum
    print("vellum was there")
except ImportError:
    sys.path.append(os.environ["VELLUM_PYTHONPATH"])
import vellum, importlib.util
print(vellum.connect().VELLUM_BUCKET, vellum.__version__, importlib.util.find_spec("pydantic"))
"""
    world.job(code, trainer={"command": [getattr(sys, "_base_executable", sys.executable), "-I", "-S", "-c"]})
    world.until("Complete")
    assert world.log == [f"bucket-of-the-team {vellum.__version__} None"]


def test_python_is_the_python_that_vellum_runs_in(world: Laptop) -> None:
    world.job("import sys; print(sys.executable)", trainer={"command": ["python", "-c"]})
    world.until("Complete")
    assert [Path(line).parent for line in world.log] == [Path(sys.executable).parent]


def test_a_suspended_job_ends_and_begins_anew_when_it_is_resumed(world: Laptop) -> None:
    world.job("print('begins', flush=True); import time; time.sleep(600)")
    wait_for(lambda: (world.look(), world.log == ["begins"])[1])
    pid = world.supervised.pid(PROCESS)
    wait_for(lambda: (world.look(), world.status == {"jobsStatus": counts(active=1, ready=1)})[1])

    world.job("print('begins', flush=True); import time; time.sleep(600)", suspend=True)
    suspended = world.until("Suspended")
    assert not alive(pid)
    assert suspended == {
        "jobsStatus": counts(suspended=1),
        "conditions": [
            {
                "type": "Suspended",
                "status": "True",
                "reason": "Suspended",
                "message": "TrainJob is suspended",
                "lastTransitionTime": TIME,
            }
        ],
    }

    world.job("print('begins', flush=True); import time; time.sleep(600)", suspend=False)
    wait_for(lambda: (world.look(), world.log == ["begins", "begins"])[1])
    world.look()
    assert world.status == {
        "jobsStatus": counts(active=1, ready=1),
        "conditions": [
            {
                "type": "Suspended",
                "status": "False",
                "reason": "Resumed",
                "message": "TrainJob is resumed",
                "lastTransitionTime": TIME,
            }
        ],
    }


def test_a_job_that_begins_suspended_starts_nothing(world: Laptop) -> None:
    world.job("print('begins')", suspend=True)
    world.until("Suspended")
    assert (world.supervised.supervisor.running(), world.log) == ({}, [])


def test_a_deleted_job_ends_with_all_that_it_started(world: Laptop) -> None:
    world.job(FAMILY)
    wait_for(lambda: (world.look(), world.log)[1])
    leader, child = world.supervised.pid(PROCESS), int(world.log[0].split()[1])
    folder = world.supervised.state.data("team", "trainjob-job")
    assert folder.is_dir()

    world.store.delete(JOB)
    wait_for(lambda: (world.look(), world.store.get(JOB) is None)[1])

    assert (alive(leader), folder.exists()) == (False, False)
    # Killed with its group; the process that reaps it is not a child of this one.
    wait_for(lambda: not alive(child))


def test_a_job_over_its_time_is_ended_as_failed(world: Laptop) -> None:
    world.job("print('begins', flush=True); import time; time.sleep(600)", activeDeadlineSeconds=60)
    wait_for(lambda: (world.look(), world.log)[1])
    assert world.look() == 60
    world.now = NOW + timedelta(seconds=60)
    status = world.until("Failed")
    assert (status["conditions"][0]["reason"], status["conditions"][0]["message"]) == (
        "DeadlineExceeded",
        "TrainJob exceeded its active deadline",
    )
    wait_for(lambda: not world.supervised.supervisor.running())


def test_a_job_that_ended_before_its_deadline_is_complete(world: Laptop) -> None:
    """The job is complete even if the first look at it is after the deadline."""
    world.job("print('trained')", activeDeadlineSeconds=60)
    world.look()
    wait_for(lambda: world.supervised.supervisor.status(PROCESS).ended is not None)
    world.now = NOW + timedelta(seconds=61)
    world.look()
    world.look()
    assert true_conditions(world.status) == ["Complete"]
    assert world.status["jobsStatus"] == counts(succeeded=1)


def test_a_try_with_an_unknown_end_counts_as_a_failure(world: Laptop) -> None:
    """A try that was running when the supervisor was killed counts toward the limit."""
    world.job("print('begins', flush=True); import time; time.sleep(600)")
    pids = []
    for number in range(1, 5):
        wait_for(lambda: (world.look(), len(world.log) == number)[1])  # noqa: B023  # called immediately
        pids.append(world.supervised.pid(PROCESS))
        before = world.supervised.supervisor
        world.another_supervisor()  # Ends what another one recorded, as after a SIGKILL, before anything is begun.
        assert not alive(pids[-1])
        before.close()
    status = world.until("Failed")
    assert status["conditions"][0]["reason"] == "FailedJobs"
    assert len(set(pids)) == len(world.log) == 4
    assert [line for line in world.told if line.startswith("Interrupted")][-1] == (
        "Interrupted: the supervisor was ended while it ran; 4 of 4 tries failed, no try is left"
    )


def test_a_try_that_was_stopped_on_purpose_is_no_failure(world: Laptop) -> None:
    world.job("print('begins', flush=True); import time; time.sleep(600)")
    wait_for(lambda: (world.look(), world.log)[1])
    world.controller.close(world.store, world.now)
    world.supervised.supervisor.close()
    world.another_supervisor()
    wait_for(lambda: (world.look(), world.log == ["begins", "begins"])[1])
    assert [line for line in world.told if line.startswith(("Interrupted", "BackOff"))] == []


def test_a_job_that_ended_before_a_stop_is_complete(world: Laptop) -> None:
    """The job is complete even if the supervisor stopped before it looked."""
    world.job("print('trained', flush=True)")
    world.look()
    wait_for(lambda: world.supervised.supervisor.status(PROCESS).ended == 0)
    world.controller.close(world.store, world.now)
    world.supervised.supervisor.close()
    world.another_supervisor()
    assert true_conditions(world.until("Complete")) == ["Complete"]
    assert world.log == ["trained"]


def test_a_running_job_keeps_its_environment(world: Laptop) -> None:
    """A deleted or changed Secret does not affect a running job."""
    key = secret("token", "team", {"value": "first"})
    world.store.put(key)
    variable = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}}
    code = "import os, time; print(os.environ['TOKEN'], flush=True); time.sleep(600)"
    world.job(code, trainer={"env": [variable]})
    wait_for(lambda: (world.look(), world.log == ["first"])[1])
    pid = world.supervised.pid(PROCESS)

    world.store.put(secret("token", "team", {"value": "second"}))
    world.look()

    assert world.supervised.pid(PROCESS) == pid
    assert (alive(pid), world.log) == (True, ["first"])


def test_the_time_in_which_nothing_may_run_is_not_a_jobs(world: Laptop) -> None:
    world.job("print('begins', flush=True); import time; time.sleep(600)", activeDeadlineSeconds=60)
    wait_for(lambda: (world.look(), world.log)[1])
    world.controller.close(world.store, world.now)
    world.supervised.supervisor.close()
    world.another_supervisor()
    world.now = NOW + timedelta(hours=8)
    wait_for(lambda: (world.look(), world.log == ["begins", "begins"])[1])
    assert (world.look(), true_conditions(world.status)) == (60, [])


def test_a_killed_process_is_tried_again(world: Laptop) -> None:
    world.job(
        "import os, sys, time\nprint('begins', flush=True)\nif os.path.exists('seen'): sys.exit(0)\nopen('seen', 'w').close()\ntime.sleep(600)"
    )
    wait_for(
        lambda: (
            (world.look(), world.log)[1]
            and (world.supervised.state.data("team", "trainjob-job") / "work/seen").exists()
        )
    )
    os.kill(world.supervised.pid(PROCESS), signal.SIGKILL)
    world.until("Complete")
    assert world.log == ["begins", "begins"]
    assert [line for line in world.told if line.startswith("BackOff")] == [
        "BackOff: killed by signal 9; 1 of 4 tries failed"
    ]


def test_a_job_of_the_same_name_begins_anew(world: Laptop) -> None:
    world.job("import sys; sys.exit(1)")
    world.until("Failed")
    world.store.delete(JOB)
    wait_for(lambda: (world.look(), world.store.get(JOB) is None)[1])
    world.job("print('the second')")
    world.until("Complete")
    assert world.log == ["the second"]


def test_a_job_waits_for_its_runtime(world: Laptop) -> None:
    world.store.delete(Key(JOB.api_version, "ClusterTrainingRuntime", "", "vellum"))
    world.job("print('begins')")
    assert world.look() == 2.0
    why = "the runtime vellum does not exist yet; next: the platform, which makes it"
    assert (world.supervised.supervisor.running(), world.told) == ({}, [f"CreateContainerConfigError: {why}"])
    assert started(world) == why


def started(world: Laptop) -> str:
    """Return why the job is not started, from its condition; empty if it is started."""
    results = [condition for condition in world.status.get("conditions", ()) if condition["type"] == "Started"]
    return str(results[0]["message"]) if results else ""


def test_a_job_says_which_secrets_it_waits_for_and_starts_once_they_are(world: Laptop) -> None:
    world.store.put(secret("token", "team", {"other": "x"}))
    references = [("A", "absent", "key"), ("B", "token", "value"), ("C", "vellum-binding", "VELLUM_BUCKET")]
    env = [{"name": name, "valueFrom": {"secretKeyRef": {"name": of, "key": key}}} for name, of, key in references]
    world.job("import os; print(os.environ['A'], os.environ['B'])", trainer={"env": env})
    assert world.look() == 2.0
    assert started(world) == (
        "the Secret absent with a key key does not exist in the namespace team; "
        "the Secret token in the namespace team has no key value (it has other); "
        "it starts once that is there, or name another in a new job; next: you"
    )
    world.store.put(secret("absent", "team", {"key": "1"}))
    world.look()
    assert "absent" not in started(world)
    world.store.put(secret("token", "team", {"value": "2"}))
    world.until("Complete")
    assert (world.log, started(world)) == (["1 2"], "")


def test_a_job_that_waits_writes_at_most_three_events_a_minute(world: Laptop) -> None:
    """The controller checks every two seconds, and writes only changes."""
    reference = {"secretKeyRef": {"name": "absent", "key": "key"}}
    world.job("", trainer={"env": [{"name": "A", "valueFrom": reference}]})
    counts = []
    for minute in range(10):
        for second in range(0, 60, 2):
            world.now = NOW + timedelta(minutes=minute, seconds=second)
            world.look()
        counts.append(sum(event["count"] for event in world.store.events()))
    assert len(world.store.events()) == 1
    assert (counts[0], counts[-1]) == (3, 6)
    versions = [obj["metadata"]["resourceVersion"] for obj in (world.store.get(JOB) or {},)]
    world.look()
    assert [obj["metadata"]["resourceVersion"] for obj in (world.store.get(JOB) or {},)] == versions
