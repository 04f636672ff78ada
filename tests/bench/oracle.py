"""``crossplane internal render``: one pass of the real reconciler, on a client in its memory, calling our real function.

It reads one protobuf message and writes one (crossplane v2.3.4, proto/render/v1alpha1/render.proto); the few fields that
are used here are declared below, so no compiler is needed.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, struct_pb2
from tests.bench.real import ROOT

from vellum.bench import programs
from vellum.kube.objects import Obj
from vellum.package.apis import xrds
from vellum.package.compositions import FUNCTION, compositions

REFUSED = 3
"""The exit code after a FATAL answer; the results until then are on stdout."""
PACKAGE = "crossplane.render.v1alpha1"
MESSAGES = {
    "FunctionInput": "name=1:text address=2:text",
    "Event": "type=1:text reason=2:text message=3:text",
    "CompositeInput": (
        "composite_resource=1:object composition=2:object functions=3:FunctionInput* observed_resources=4:object*"
        " required_resources=5:object* credentials=6:object* composite_resource_definition=8:object"
    ),
    "CompositeOutput": (
        "composite_resource=1:object composed_resources=2:object* deleted_resources=3:object* events=4:Event*"
        " required_resources=5:object*"
    ),
    "RenderRequest": "composite=2:CompositeInput",
    "RenderResponse": "composite=2:CompositeOutput",
}


@dataclass(frozen=True)
class Oracle:
    """The real reconciler, and where our function answers it."""

    program: Path
    function: str

    def render(
        self, composite: Obj, observed: Sequence[Obj], required: Sequence[Obj], credentials: Sequence[Obj]
    ) -> tuple[int, str, dict[str, Any]]:
        """Return the exit code of the pass, its stderr and its output."""
        kind = composite["kind"]
        asked = {
            "composite_resource": composite,
            "composite_resource_definition": next(xrd for xrd in xrds() if xrd["spec"]["names"]["kind"] == kind),
            "composition": next(
                composition for composition in compositions() if composition["spec"]["compositeTypeRef"]["kind"] == kind
            ),
            "functions": [{"name": FUNCTION, "address": self.function}],
            "observed_resources": list(observed),
            "required_resources": list(required),
            "credentials": list(credentials),
        }
        request, response = _message("RenderRequest"), _message("RenderResponse")
        json_format.ParseDict({"composite": asked}, request)
        done = subprocess.run(
            [str(self.program), "internal", "render", "--timeout=20s"],
            input=request.SerializeToString(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        response.ParseFromString(done.stdout)
        text = json_format.MessageToDict(response, preserving_proto_field_name=True)
        return done.returncode, done.stderr.decode(), text.get("composite", {})


@contextlib.contextmanager
def running() -> Iterator[Oracle]:
    """Run our function as a process of its own environment, in plaintext on loopback."""
    program = programs.ensure(print)["crossplane"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [str(ROOT / ".venv-function/bin/vellum"), "function", "--insecure", "--address", f"127.0.0.1:{port}"]
    with subprocess.Popen(argv) as process:
        try:
            _answers(process, port)
            yield Oracle(program, f"127.0.0.1:{port}")
        finally:
            process.terminate()


def _answers(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise AssertionError(f"the function does not listen; it ended with {process.poll()}")


@functools.cache
def _pool() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="render.proto", package=PACKAGE, syntax="proto3", dependency=[struct_pb2.DESCRIPTOR.name]
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for words in fields.split():
            field, _, kind = words.partition(":")
            _declare(message.field.add(), field, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return pool


def _declare(field: Any, named: str, kind: str) -> None:
    field.name, _, number = named.partition("=")
    field.number = int(number)
    field.label = field.LABEL_REPEATED if kind.endswith("*") else field.LABEL_OPTIONAL
    word = kind.rstrip("*")
    if word == "text":
        field.type = field.TYPE_STRING
        return
    field.type = field.TYPE_MESSAGE
    field.type_name = ".google.protobuf.Struct" if word == "object" else f".{PACKAGE}.{word}"


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))()
