"""The process that Crossplane calls: mTLS, health, metrics, large and hostile requests, and an end without loss."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.function.requests import MANAGED, looked, request, said, team_world

from vellum.host import pki

METHOD = "/apiextensions.fn.proto.v1.FunctionRunnerService/RunFunction"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


class Function:
    """The process, and calls to it."""

    def __init__(self, *options: str, port: int = 0) -> None:
        self.port = port or free_port()
        argv = [sys.executable, "-m", "vellum.cli", "function", "--address", f"127.0.0.1:{self.port}", *options]
        self.process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)

    def channel(self, credentials: grpc.ChannelCredentials | None = None) -> grpc.Channel:
        address = f"127.0.0.1:{self.port}"
        if credentials is None:
            return grpc.insecure_channel(address)
        return grpc.secure_channel(address, credentials)

    def ready(self, credentials: grpc.ChannelCredentials | None = None) -> Function:
        with self.channel(credentials) as channel:
            grpc.channel_ready_future(channel).result(timeout=20)
        return self

    def call(self, raw: bytes, method: str = METHOD, credentials: grpc.ChannelCredentials | None = None) -> bytes:
        with self.channel(credentials) as channel:
            answer: bytes = channel.unary_unary(method)(raw, timeout=20)
            return answer

    def ask(self, run_function_request: fnv1.RunFunctionRequest) -> fnv1.RunFunctionResponse:
        return fnv1.RunFunctionResponse.FromString(self.call(run_function_request.SerializeToString()))

    def end(self) -> None:
        self.process.kill()
        self.process.wait(timeout=20)
        if self.process.stderr:
            self.process.stderr.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture
def start() -> Iterator[Callable[..., Function]]:
    """Return what starts a function, which ends with the test."""
    with contextlib.ExitStack() as ends:

        def started(*options: str, port: int = 0) -> Function:
            function = Function(*options, port=port)
            ends.callback(function.end)
            return function

        yield started


@pytest.fixture
def function(start: Callable[..., Function]) -> Function:
    return start("--insecure").ready()


def test_both_protocol_versions_answer_a_claim_over_grpc(function: Function) -> None:
    """Each version of the protocol gets an answer over a real connection."""
    response, _ = looked(team_world(), function.ask)
    assert set(response.desired.resources) == {"namespace", "namespace-usage"}
    raw = request(team_world(), {}).SerializeToString()
    assert function.call(raw, METHOD.replace(".v1.", ".v1beta1.")) == function.call(raw)


def test_health_is_reported_and_metrics_count(function: Function, start: Callable[..., Function]) -> None:
    with function.channel() as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        answers = [check(health_pb2.HealthCheckRequest(service=name)).status for name in ("", METHOD.split("/")[1])]
    assert answers == [health_pb2.HealthCheckResponse.SERVING] * 2
    metrics = free_port()
    counted = start("--insecure", "--metrics-address", f"127.0.0.1:{metrics}").ready()
    looked(team_world(), counted.ask)
    counted.call(b"\xff" * 9)
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    assert 'vellum_function_call_seconds_count{kind="XMLOpsPlatform"} 4.0' in lines
    assert 'vellum_function_fatal_total{kind=""} 1.0' in lines


def test_hostile_requests_leave_the_process_alive(function: Function) -> None:
    for raw in (b"\xff" * 100, b"", os.urandom(2000), b"\x12" * 100_000):
        response = fnv1.RunFunctionResponse.FromString(function.call(raw))
        assert response.results[-1].severity == fnv1.SEVERITY_FATAL
        assert "PartsReady" in said(response)
    assert looked(team_world(), function.ask)[0].desired.resources


def test_a_request_beyond_four_mebibytes_is_answered(function: Function) -> None:
    world = team_world()
    world.settle()
    world.resources["binding"]["metadata"]["annotations"] = {"large": "x" * 6 * 2**20}
    response, _ = looked(world, function.ask)
    assert (response.desired.composite.ready, len(MANAGED)) == (fnv1.READY_TRUE, 3)


def test_the_same_request_gives_the_same_bytes_after_a_kill(start: Callable[..., Function]) -> None:
    world = team_world()
    world.settle()
    first = start("--insecure").ready()
    response, _ = looked(world, first.ask)
    first.end()
    second = start("--insecure", port=first.port).ready()
    again, _ = looked(world, second.ask)
    assert again.SerializeToString(deterministic=True) == response.SerializeToString(deterministic=True)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_what_it_began_and_ends_with_0(sign: signal.Signals, start: Callable[..., Function]) -> None:
    function = start("--insecure").ready()
    world = team_world()
    world.settle()
    world.resources["binding"]["metadata"]["annotations"] = {"large": "x" * 20 * 2**20}
    raw = request(world, {}).SerializeToString()
    with function.channel() as channel:
        answer = channel.unary_unary(METHOD).future(raw, timeout=20)
        time.sleep(0.02)
        function.process.send_signal(sign)
        assert fnv1.RunFunctionResponse.FromString(answer.result()).requirements.resources
    assert function.process.wait(timeout=20) == 0


def test_a_taken_port_ends_the_start_with_1_and_says_why(function: Function) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "vellum.cli", "function", "--insecure", "--address", f"127.0.0.1:{function.port}"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (second.returncode, "VEL801" in second.stderr, str(function.port) in second.stderr) == (1, True, True)


def test_certificates_that_are_missing_end_the_start_with_1(tmp_path: Path, start: Callable[..., Function]) -> None:
    function = start("--tls-certs-dir", str(tmp_path))
    assert function.process.wait(timeout=20) == 1
    assert function.process.stderr
    assert "VEL801" in function.process.stderr.read()


def test_only_callers_with_a_certificate_of_the_authority_are_answered(
    tmp_path: Path, start: Callable[..., Function]
) -> None:
    ours, theirs = (pki.ensure(tmp_path / name, datetime.now(UTC)) for name in ("ours", "theirs"))
    for link, file in (("ca.crt", "ca.pem"), ("tls.crt", "server.pem"), ("tls.key", "server.key")):
        (ours / link).symlink_to(ours / file)
    function = start("--tls-certs-dir", str(ours)).ready(caller(ours))
    raw = request(team_world(), {}).SerializeToString()
    assert function.call(raw, credentials=caller(ours))
    anonymous = grpc.ssl_channel_credentials((ours / "ca.pem").read_bytes())
    stranger = grpc.ssl_channel_credentials(
        (ours / "ca.pem").read_bytes(), (theirs / "client.key").read_bytes(), (theirs / "client.pem").read_bytes()
    )
    for refused in (anonymous, stranger, None):
        with pytest.raises(grpc.RpcError) as error:
            function.call(raw, credentials=refused)
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE


def caller(folder: Path) -> grpc.ChannelCredentials:
    read = [(folder / name).read_bytes() for name in ("ca.pem", "client.key", "client.pem")]
    return grpc.ssl_channel_credentials(*read)
