"""Load on the composition function, beside the same function written the way the SDK shows; prints JSON.

Runs in the function's own environment: ``.venv-function/bin/python -m benchmarks.function_load CALLS``. The stock way
turns everything observed into dicts by ``struct_to_dict`` and everything desired into Structs by ``resource.update``;
compose between the two is the same.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
from benchmarks.figures import resident
from crossplane.function import resource, response, runtime
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from crossplane.function.proto.v1 import run_function_pb2_grpc as grpcv1
from tests.function.requests import Required, looked, request, team_world
from tests.function.test_server import METHOD, free_port

from vellum.compose import entry
from vellum.function.struct import View
from vellum.kube.patch import plain
from vellum.model.keys import Seed
from vellum.model.state import Observed

MEASURED = 2000
SPEC = "spec: {pipelines: disabled, inference: disabled}\n"
"""A claim of 21 objects; a full one has 28."""


class Stock(grpcv1.FunctionRunnerServiceServicer):  # type: ignore[misc]  # grpc publishes no types
    """The same composition through the SDK's own helpers."""

    async def RunFunction(self, req: fnv1.RunFunctionRequest, _: object) -> fnv1.RunFunctionResponse:  # noqa: N802
        """Answer one call."""
        answer = response.to(req)
        composite = resource.struct_to_dict(req.observed.composite.resource)
        observed = Observed(
            {name: resource.struct_to_dict(item.resource) for name, item in req.observed.resources.items()},
            {
                name: resource.struct_to_dict(result.items[0].resource) if result.items else None
                for name, result in req.required_resources.items()
            },
        )
        # The models refuse the floats that struct_to_dict makes of whole numbers.
        composite["spec"] = plain(View(req.observed.composite.resource)["spec"])
        if observed.required.get("platform"):
            result = req.required_resources["platform"].items[0].resource
            observed.required["platform"]["spec"] = plain(View(result)["spec"])  # type: ignore[index]
        seed = Seed(req.credentials["seed"].credential_data.data["seed"])
        composed = entry.team(composite, observed, seed, datetime.now(UTC))
        for name, desired in composed.objects.items():
            resource.update(answer.desired.resources[name], desired.obj)
            answer.desired.resources[name].ready = fnv1.READY_TRUE if desired.ready else fnv1.READY_FALSE
        resource.update_status(answer.desired.composite, dict(composed.status))
        return answer


@contextlib.contextmanager
def serving(*argv: str) -> Iterator[tuple[grpc.UnaryUnaryMultiCallable, int]]:
    """Yield a caller of a server process and its pid."""
    port = free_port()
    process = subprocess.Popen([sys.executable, *argv, f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=20)
            yield channel.unary_unary(METHOD), process.pid
    finally:
        process.terminate()
        process.wait()


def settled_request(spec: str = SPEC) -> tuple[bytes, int]:
    """Return the last request of a settled claim's pass, and how many objects it observes."""
    world = team_world(spec)
    assert world.settle().ready
    looked(world)
    composed = world.look()
    required: Required = {name: world._found(name, asked) for name, asked in composed.requirements.items()}  # noqa: SLF001
    return request(world, required).SerializeToString(), len(world.resources)


def times(call: grpc.UnaryUnaryMultiCallable, raw: bytes, count: int) -> list[float]:
    """Return the milliseconds of each of so many calls, one after the other."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        call(raw)
        taken.append(1000 * (time.perf_counter() - began))
    return taken


def figures(calls: int) -> dict[str, Any]:
    """Measure both servers, in turns, and the growth of ours over ``calls`` calls."""
    raw, objects = settled_request()
    ours_argv = ("-m", "vellum.cli", "function", "--insecure", "--address")
    with serving(*ours_argv) as (ours, pid), serving("-m", "benchmarks.function_load", "stock") as (stock, _):
        assert fnv1.RunFunctionResponse.FromString(ours(raw)).desired.composite.ready == fnv1.READY_TRUE
        assert len(fnv1.RunFunctionResponse.FromString(stock(raw)).desired.resources) == objects
        taken: dict[str, list[float]] = {"ours": [], "stock": []}
        for _ in range(10):
            taken["ours"] += times(ours, raw, MEASURED // 10)
            taken["stock"] += times(stock, raw, MEASURED // 20)
        before = resident(pid)
        times(ours, raw, calls)
        after = resident(pid)
    summary = {
        name: {"p50": statistics.median(some), "p99": statistics.quantiles(some, n=100)[98]}
        for name, some in taken.items()
    }
    return {**summary, "objects": objects, "rss": after, "growth": after - before, "calls": calls}


def main() -> None:
    """Serve the stock function, or measure."""
    if sys.argv[1] == "stock":
        runtime.serve(Stock(), sys.argv[2], creds=None, insecure=True)
    else:
        print(json.dumps(figures(int(sys.argv[1]))))


if __name__ == "__main__":
    main()
