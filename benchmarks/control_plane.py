"""Measure the real Crossplane: one claim, fifty claims, a repair, and the writes of a settled platform.

``python -m benchmarks.control_plane 200`` measures only that many claims. With the folder of a running bench it
measures that bench and deletes its claims again. ``tests/bench/test_figures.py`` does this.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.figures import Figure, resident, times, until
from benchmarks.rotation import on_the_bench

from vellum.api.claim import API_VERSION, KIND, XR_KIND
from vellum.api.platform import KIND as PLATFORM_KIND
from vellum.api.platform import NAME as PLATFORM
from vellum.cluster import drills
from vellum.cluster.api import Api
from vellum.compose.helm.guard import RULES
from vellum.kube.objects import Key, Kind, Obj, condition, make
from vellum.model.drill import Drill, is_back
from vellum.model.repair import seconds_between
from vellum.model.team import VECTORS_NAMESPACE, Team

CLAIM = Kind(API_VERSION, KIND)
SINGLE, MANY, REPAIRS, WRITTEN_THROUGH = times(5, 1), times(50, 3), times(20, 2), times(3, 0)
BROKEN = (
    "cert-manager",
    "istiod",
    "istio-ingressgateway",
    "seaweedfs-operator",
    "argo-workflows",
    "kubeflow-pipelines",
    "notebook-controller",
    "kserve",
)
"""Releases with a Deployment; they are broken in turns, as the guard waits between two repairs of the same."""
RUNTIMES = "kserve-runtimes"
QUIET_SECONDS = 600
RESTLESS = {"leases", "events", "nodes"}
"""Kinds that change by themselves: leaders, events and heartbeats of nodes."""
WRITES = re.compile(
    r'apiserver_request_total\{(?=.*verb="(?:APPLY|PATCH|PUT|POST|DELETE)")(?!.*resource="leases")[^}]*\} (\S+)'
)


@dataclass(frozen=True, slots=True)
class Bench:
    """A running bench and its addresses."""

    api: Api
    root: Path
    metrics: int
    """The port of the function's metrics."""
    s3: str
    seconds: float
    """How long its start took."""

    def make(self, *names: str) -> float:
        """Apply full claims; return the seconds until all are Ready."""
        began = time.perf_counter()
        for name in names:
            self.api.apply({**make(*_of(CLAIM), name, "default"), "spec": {"notebooks": "enabled"}})
        until(lambda: all(map(_ready, self.claims(names))), 1800, 0.02 if len(names) == 1 else 0.5)
        return time.perf_counter() - began

    def claims(self, names: tuple[str, ...]) -> list[Obj]:
        """Return the claims of these names."""
        result, _ = self.api.list(CLAIM)
        return [item for item in result if item["metadata"]["name"] in names]

    def platform(self) -> Obj:
        """Return the platform as it is now."""
        return self.api.get(Key(API_VERSION, PLATFORM_KIND, "", PLATFORM)) or {}

    def part(self, name: str) -> Obj:
        """Return one part from the platform's status."""
        return next(component for component in self.platform()["status"]["components"] if component["name"] == name)

    def delete(self, name: str) -> None:
        """Delete a claim and wait until it is gone."""
        self.api.delete(Key(*_of(CLAIM), "default", name))
        until(lambda: not self.claims((name,)), 120, 0.1)


def _of(kind: Kind) -> tuple[str, str]:
    return kind.api_version, kind.kind


def _ready(claim: Obj) -> bool:
    return (condition(claim, "Ready") or {}).get("status") == "True"


@contextmanager
def running() -> Iterator[Bench]:
    """Yield a new bench whose programs are built; nothing is left of it afterwards."""
    root = Path(tempfile.mkdtemp(prefix="vellum-bench-"))
    try:
        _bench(root, "build")
        began = time.perf_counter()
        result = json.loads(_bench(root, "up", "--output", "json"))
        seconds = time.perf_counter() - began
        yield _opened(root, result, seconds)
    finally:
        _bench(root, "down")
        shutil.rmtree(root, ignore_errors=True)


def _opened(root: Path, values: dict[str, Any], seconds: float) -> Bench:
    ports = json.loads((root / "ports.json").read_text())
    return Bench(Api(Path(values["kubeconfig"])), root, ports["bench/function-metrics"], values["s3"], seconds)


def _bench(root: Path, *arguments: str) -> str:
    environment = {**os.environ, "VELLUM_BENCH": str(root)}
    argv = [sys.executable, "-m", "vellum.cli", "bench", *arguments]
    return subprocess.run(argv, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure() -> Iterator[Figure]:
    """Yield the figures of a new bench."""
    with running() as bench:
        yield from _start(bench)
        yield from _work(bench)
        yield from _namespace(bench)
        yield from _rotation(bench)
        yield from many(bench, MANY, 120)
        # Ten minutes of waiting; ``tests/bench/test_settled.py`` looks at the same for a minute and a half.
        yield from _quiet(bench)


def measure_on(root: Path) -> Iterator[Figure]:
    """Yield figures of the bench that runs in this folder, without those that its tests measure in the same way."""
    bench = _opened(root, json.loads(_bench(root, "status", "--output", "json")), 0)
    yield from _work(bench)
    yield from many(bench, MANY, None)
    for number in range(MANY):
        bench.delete(f"many-{number}")


def _work(bench: Bench) -> Iterator[Figure]:
    yield from _claim(bench)
    yield from _releases(bench)
    yield from _repairs(bench)


def _start(bench: Bench) -> Iterator[Figure]:
    """Tell the bench's own start and the installation apart by the times that the API server wrote, whole seconds."""
    platform = bench.platform()
    made = datetime.fromisoformat(platform["metadata"]["creationTimestamp"])
    ready = datetime.fromisoformat((condition(platform, "Ready") or {})["lastTransitionTime"])
    installed = (ready - made).total_seconds()
    yield Figure(
        "`vellum bench up` with built programs, until it accepts a platform", bench.seconds - installed, "s", 25
    )
    parts = platform["status"]["components"]
    how = f"{len(parts)} parts, {sum('version' in part for part in parts)} of them Helm releases"
    yield Figure("A standard platform, from nothing to all parts Ready", installed, "s", 300, how=how)


def _releases(bench: Bench) -> Iterator[Figure]:
    """Yield how soon each fault in the charts' workloads is repaired."""
    # By the harm first: the same release comes again only after all others. KServe's chart says no number of replicas.
    todo = [(name, harm) for harm in range(3) for name in BROKEN if (name, harm) != ("kserve", 1)]
    done = [_repaired(bench, name, _drill(bench, name, harm)) for name, harm in todo[:REPAIRS]]
    yield from _back("A deleted, scaled or edited workload of a chart is back", done, 15, 1)
    edits = []
    for number in range(WRITTEN_THROUGH):
        # The guard waits between two repairs of the same fault.
        time.sleep(RULES.cooldown + 10 if number else 0)
        edits.append(_repaired(bench, RUNTIMES, _edit(bench)))
    if edits:
        yield from _back("An edited custom resource of a chart is back", edits, 25, 2)


def _drill(bench: Bench, release: str, number: int) -> Drill:
    """Return a fault, created only when it is due, because it remembers the state of that moment."""
    return next(islice(drills.drills(bench.api, (release,)), number, None))


def _edit(bench: Bench) -> Drill:
    key = Key("serving.kserve.io/v1alpha1", "ClusterServingRuntime", "", "kserve-sklearnserver")
    before = bench.api.get(key) or {}
    image = {"op": "replace", "path": "/spec/containers/0/image", "value": "registry.invalid/not-ours:v0"}
    return Drill(
        str(key),
        "edited",
        harm=lambda: bench.api.change(key, image),
        whole=lambda: is_back(before, bench.api.get(key)),
        at_rest=lambda: bench.part(RUNTIMES)["ready"],
    )


def _repaired(bench: Bench, release: str, drill: Drill) -> tuple[str, float, int]:
    """Return the fault, the seconds until its repair, and the number of Helm revisions."""
    was = bench.part(release)["revision"]
    began = time.perf_counter()
    drill.harm()
    until(drill.whole, 60, 0.05)
    taken = time.perf_counter() - began
    until(lambda: bench.part(release)["revision"] > was and drill.at_rest(), 60, 0.1)
    return f"{drill.object} {drill.what}", taken, bench.part(release)["revision"] - was


def _back(what: str, done: list[tuple[str, float, int]], bound: float, upgrades: int) -> Iterator[Figure]:
    taken = [seconds for _, seconds, _ in done]
    p95 = statistics.quantiles(taken, n=20)[-1] if len(taken) > WRITTEN_THROUGH else max(taken)
    word = "p95" if len(taken) > WRITTEN_THROUGH else "slowest"
    yield Figure(what, p95, "s", bound, how=f"{word} of {len(taken)}, median {statistics.median(taken):.1f} s")
    wrong = [item for item in done if item[2] != upgrades]
    for item in wrong:
        sys.stderr.write(f"not {upgrades} upgrades: {item}\n")
    yield Figure(f"{what}: repairs with other than {upgrades} Helm upgrade{'s' * (upgrades > 1)}", len(wrong), "", 0)


def _claim(bench: Bench) -> Iterator[Figure]:
    taken = []
    for number in range(SINGLE):
        taken.append(bench.make(f"single-{number}"))
        bench.delete(f"single-{number}")
    how = f"median of {SINGLE}, slowest {max(taken):.1f} s"
    yield Figure("A full claim, from `kubectl apply` to Ready", statistics.median(taken), "s", 5, how=how)


def _repairs(bench: Bench) -> Iterator[Figure]:
    bench.make("repaired")
    team = Team("default", "repaired", "")
    ours = [
        Key("v1", "ConfigMap", team.namespace, "kfp-launcher"),
        Key("apps/v1", "StatefulSet", VECTORS_NAMESPACE, team.qdrant),
        Key("networking.k8s.io/v1", "NetworkPolicy", team.namespace, "default-deny"),
        Key("kubeflow.org/v1", "Notebook", team.namespace, "notebook"),
    ]
    for what, seconds in (("deleted", _deleted), ("edited", _edited)):
        taken = []
        for number in range(REPAIRS):
            taken.append(seconds(bench, ours[number % len(ours)]))
            # The circuit breaker counts events, and a user does not cause a fault every second.
            time.sleep(2)
        how = f"p95 of {REPAIRS}, median {1000 * statistics.median(taken):.0f} ms"
        p95 = statistics.quantiles(taken, n=20)[-1]
        yield Figure(f"A composed object that was {what} is back", p95, "s", 1, how=how)
    bench.delete("repaired")


def _deleted(bench: Bench, key: Key) -> float:
    before = (bench.api.get(key) or {})["metadata"]["uid"]
    began = time.perf_counter()
    bench.api.delete(key, uid=before)

    def back() -> bool:
        """Return whether the object exists again with another uid."""
        result = bench.api.get(key)
        return result is not None and result["metadata"]["uid"] != before

    until(back, 30, 0.005)
    return time.perf_counter() - began


def _edited(bench: Bench, key: Key) -> float:
    label = "platform.vellum.dev/team"
    before = (bench.api.get(key) or {})["metadata"]["labels"][label]
    began = time.perf_counter()
    bench.api.merge(key, {"metadata": {"labels": {label: "another"}}})
    until(lambda: (bench.api.get(key) or {})["metadata"]["labels"].get(label) == before, 30, 0.005)
    return time.perf_counter() - began


def _namespace(bench: Bench) -> Iterator[Figure]:
    bench.make("repaired")
    key = Key("v1", "Namespace", "", Team("default", "repaired", "").namespace)
    before = (bench.api.get(key) or {})["metadata"]["uid"]
    began = time.perf_counter()
    bench.api.delete(key, uid=before)

    def whole() -> bool:
        """Return whether the object exists again and its claim is ready."""
        result = bench.api.get(key)
        return (
            result is not None and result["metadata"]["uid"] != before and all(map(_ready, bench.claims(("repaired",))))
        )

    until(whole, 180, 0.05)
    taken = time.perf_counter() - began
    yield Figure("A deleted team namespace is back with all in it, and its claim is Ready", taken, "s", 60)
    bench.delete("repaired")


def _rotation(bench: Bench) -> Iterator[Figure]:
    bench.make("rotated")
    yield from on_the_bench(bench.api, bench.s3, "rotated")
    bench.delete("rotated")


def many(bench: Bench, count: int, bound: float | None) -> Iterator[Figure]:
    """Yield how long ``count`` simultaneous claims take, and the memory of the processes afterwards."""
    taken = bench.make(*(f"many-{number}" for number in range(count)))
    yield Figure(f"{count} full claims together, until all are Ready", taken, "s", bound)
    # Read now, because a process that a drill broke has been replaced.
    processes = json.loads(_bench(bench.root, "status", "--output", "json"))["processes"]
    memory = {process["name"]: resident(process["pid"]) for process in processes if process["pid"]}
    held = ", ".join(f"{name} {size:.0f}" for name, size in memory.items() if size > 100)
    whole = sum(memory.values())
    yield Figure(f"Memory of all processes with {count} claims", whole, "MB", how=held)


def _quiet(bench: Bench) -> Iterator[Figure]:
    """Nothing may change once everything is settled; requests that change nothing cost only their own work."""
    time.sleep(max(90, _until_forgotten(bench)))
    before, asked, called = versions(bench.api), writes(bench.api), _calls(bench)
    time.sleep(QUIET_SECONDS)
    after, asked_after, called_after = versions(bench.api), writes(bench.api), _calls(bench)
    moved = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    for key in moved:
        sys.stderr.write(f"moved: {key}\n")
    what = f"Objects that changed in {QUIET_SECONDS // 60} quiet minutes with {MANY} claims"
    yield Figure(what, len(moved), "", 0, how=f"of {len(after)}, without Lease, Event and Node")
    composites, _ = bench.api.list(Kind(API_VERSION, XR_KIND))
    a_minute = (asked_after - asked) / (QUIET_SECONDS / 60)
    how = f"{len(composites)} claims, {a_minute / len(composites):.1f} each"
    yield Figure("Writing requests in these minutes, without Leases", a_minute, "a minute", how=how)
    upgrades = sum(key.split("/")[-1].startswith("sh.helm.release") for key in after.keys() - before.keys())
    yield Figure("Helm upgrades in these minutes", upgrades, "", 0)
    count, seconds = (now - then for now, then in zip(called_after, called, strict=True))
    watched = sum(component.get("watched", 0) for component in bench.platform()["status"]["components"])
    how = f"mean of {count:.0f} by the function's own histogram, {watched} objects watched"
    yield Figure(
        "One call of the function for the platform, its guard included", 1000 * seconds / count, "ms", 10, how=how
    )


def _until_forgotten(bench: Bench) -> float:
    """Return the seconds until the guard forgets its last repair, which is a write of its own."""
    memories = bench.platform()["status"]["guard"].values()
    last = max((memory["last"]["at"] for memory in memories if "last" in memory), default="")
    return RULES.forget + 30 - seconds_between(last, datetime.now(UTC)) if last else 0


def _calls(bench: Bench) -> tuple[float, float]:
    """Return how often the function was called for the platform, and how many seconds all calls took."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{bench.metrics}/metrics", timeout=10).read().decode()
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    count, total = (
        float(lines[f'vellum_function_call_seconds_{word}{{kind="{PLATFORM_KIND}"}}']) for word in ("count", "sum")
    )
    return count, total


def versions(api: Api) -> dict[str, str]:
    """Return the resourceVersion of everything on the API server."""
    return {
        f"{plural} {obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}": obj["metadata"]["resourceVersion"]
        for path, plural in _kinds(api)
        if plural not in RESTLESS
        for obj in json.loads(api.raw(f"{path}/{plural}"))["items"]
    }


def _kinds(api: Api) -> Iterator[tuple[str, str]]:
    """Yield path and plural of every kind that is stored."""
    groups: list[dict[str, Any]] = json.loads(api.raw("/apis"))["groups"]
    for path in ("/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)):
        for resource in json.loads(api.raw(path))["resources"]:
            if {"list", "watch"} <= set(resource["verbs"]):
                yield path, resource["name"]


def writes(api: Api) -> float:
    """Return how many writing requests the API server has answered."""
    return sum(float(value) for value in WRITES.findall(api.raw("/metrics").decode()))


def main() -> None:
    """Measure this many claims on a new bench, or measure a running bench."""
    if sys.argv[1].isdigit():
        with running() as bench:
            results.record(f"control_plane {sys.argv[1]}", many(bench, int(sys.argv[1]), None))
    else:
        results.record("control_plane", measure_on(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
