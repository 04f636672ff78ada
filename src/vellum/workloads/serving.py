"""KServe's model server with Vellum's settings: its address, its limits, and exact errors for bad requests."""

from __future__ import annotations

import ipaddress
import os
from typing import Any

import kserve.model_server
import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.errors import InvalidInput
from kserve.protocol.infer_type import RequestedOutput

from vellum.errors import VellumError
from vellum.workloads.guard import MOST_BYTES, Guard

_BAD_REQUEST, _UNAVAILABLE = 400, 503
_JSON, _LENGTH = "application/json", "inference-header-content-length"


class Server(kserve.model_server.RESTServer):  # type: ignore[misc]  # kserve publishes no types
    """KServe's server, on the address that ``VELLUM_BIND`` names: KServe itself always binds all interfaces."""

    most_bytes = MOST_BYTES

    def __init__(self, *args: Any, **named: Any) -> None:  # noqa: ANN401  # passed on
        super().__init__(*args, **named)
        self.config.host = os.environ.get("VELLUM_BIND", self.config.host)
        decode = self.dataplane.decode

        def decode_or_refuse(body: Any, headers: Any = None, **names: Any) -> Any:  # noqa: ANN401  # passed on
            """Decode the body; an error becomes an answer 400."""
            # Decoding reads only the request, so every failure is an error of the request: 400, not 500.
            sent = _media_type(headers)
            try:
                _check_binary(body, headers, is_v2=names.get("protocol_version") == "v2")
                result = decode(body, {**(headers or {}), "content-type": sent or _JSON}, **names)
            except InvalidInput:
                raise
            except Exception as error:
                raise InvalidInput(f"the request cannot be read: {error}") from error
            if isinstance(result[0], bytes):
                raise InvalidInput(_not_json(sent))
            return result

        self.dataplane.decode = decode_or_refuse

    def _add_middlewares(self, app: FastAPI) -> None:
        super()._add_middlewares(app)
        loopback = _is_loopback(self.config.host)
        app.add_middleware(Guard, loopback=loopback, most_bytes=self.most_bytes)

    def _add_exception_handlers(self, app: FastAPI) -> None:
        super()._add_exception_handlers(app)
        app.add_exception_handler(VellumError, _unavailable)
        app.add_exception_handler(RequestValidationError, _malformed)
        app.add_exception_handler(InvalidInput, _invalid)


def respond(request: InferRequest, name: str, outputs: list[InferOutput]) -> InferResponse:
    """Return a v2 response with the outputs that a request asks for, in JSON or binary as it asks.

    Raises:
        InvalidInput: the request asks for an output that the model does not have.
    """
    known = [output.name for output in outputs]
    asked = [
        RequestedOutput(
            output.name,
            {"binary_data": output.binary_data if output.binary_data is not None else request.use_binary_outputs},
        )
        for output in request.request_outputs or ()
    ]
    if unknown := [item.name for item in asked if item.name not in known]:
        raise InvalidInput(f"the model has no output {', '.join(unknown)}; its outputs are {', '.join(known)}")
    return InferResponse(
        request.id or "",
        name,
        outputs,
        use_binary_outputs=bool(request.use_binary_outputs),
        requested_outputs=asked or None,
    )


def _check_binary(body: Any, headers: Any, *, is_v2: bool) -> None:  # noqa: ANN401  # whatever was sent
    """Refuse a v2 body whose JSON and binary parts do not add up to the whole, or that is not marked as JSON."""
    if not isinstance(body, bytes):
        return
    if _LENGTH not in (headers or {}):
        if is_v2:
            raise InvalidInput(f"{_not_json(_media_type(headers))}; a body with binary tensors also needs {_LENGTH}")
        return
    length = headers[_LENGTH]
    if not (length.isascii() and length.isdigit() and int(length) <= len(body)):
        raise InvalidInput(f"{_LENGTH} must be a number up to {len(body)}, not {length[:20]!r}")
    parts = orjson.loads(body[: int(length)])["inputs"]
    sizes = [(part.get("parameters") or {}).get("binary_data_size", 0) for part in parts if "data" not in part]
    if any(not isinstance(size, int) or size < 0 for size in sizes) or int(length) + sum(sizes) != len(body):
        raise InvalidInput("the sizes in binary_data_size do not add up to the binary part of the request")


def _media_type(headers: Any) -> str:  # noqa: ANN401  # as KServe passes them
    """Return the Content-Type without a charset, which KServe does not accept; empty if there is none."""
    return str((headers or {}).get("content-type", "")).partition(";")[0].strip().lower()


def _not_json(sent: str) -> str:
    was = f"Content-Type is {sent[:40]!r}" if sent else "the header Content-Type is missing"
    return f"{was}; send Content-Type: {_JSON}"


def _is_loopback(host: str) -> bool:
    """Return whether the host is loopback: on a cluster, services and probes use other names and addresses."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _unavailable(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, VellumError)
    return JSONResponse({"error": str(error), **error.as_dict()}, _UNAVAILABLE)


def _malformed(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return JSONResponse({"error": f"the request has another form: {first['msg']} at {first['loc']}"}, _BAD_REQUEST)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Answer without KServe's own log line, which would write users' questions into the log."""
    del request
    return JSONResponse({"error": str(error)}, _BAD_REQUEST)


def serve(model: Model, http_port: int, most_bytes: int = MOST_BYTES) -> None:
    """Serve a model until SIGTERM; a request may have ``most_bytes``."""
    Server.most_bytes = most_bytes
    kserve.model_server.RESTServer = Server
    ModelServer(http_port=http_port, enable_grpc=False, workers=1, enable_latency_logging=False).start([model])
