"""KServe's model server as our models use it: bound where the platform says, and honest about bad requests."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Any

import kserve.model_server
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kserve import Model, ModelServer
from kserve.errors import InvalidInput
from starlette.types import ASGIApp, Receive, Scope, Send

from vellum.errors import VellumError

_BAD_REQUEST, _MISDIRECTED, _UNAVAILABLE = 400, 421, 503
_OWN_NAME = re.compile(rb"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?", re.IGNORECASE)


class Server(kserve.model_server.RESTServer):  # type: ignore[misc]  # kserve publishes no types
    """KServe's server, on the interface that ``VELLUM_BIND`` names: KServe itself always takes all of them."""

    def __init__(self, *args: Any, **named: Any) -> None:  # noqa: ANN401  # passed on
        super().__init__(*args, **named)
        self.config.host = os.environ.get("VELLUM_BIND", self.config.host)
        decode = self.dataplane.decode

        def decode_or_refuse(*arguments: Any, **names: Any) -> Any:  # noqa: ANN401  # passed on
            # Decoding reads nothing but the request, so whatever fails there is the request's fault: 400, not 500.
            try:
                return decode(*arguments, **names)
            except InvalidInput:
                raise
            except Exception as error:
                raise InvalidInput(f"the request cannot be read: {error}") from error

        self.dataplane.decode = decode_or_refuse

    def _add_middlewares(self, app: FastAPI) -> None:
        super()._add_middlewares(app)
        if _is_loopback(self.config.host):
            app.add_middleware(_OwnNames)

    def _add_exception_handlers(self, app: FastAPI) -> None:
        super()._add_exception_handlers(app)
        app.add_exception_handler(VellumError, _unavailable)
        app.add_exception_handler(RequestValidationError, _malformed)
        app.add_exception_handler(InvalidInput, _invalid)


class _OwnNames:
    """Answers requests to this machine's own names only.

    A web page may point its own name at a loopback address; the browser then takes this server for a part of that
    page's site and lets it read the answers (DNS rebinding). The name in ``Host`` is what gives it away.
    Starlette's TrustedHostMiddleware cannot be used: it cuts the port off at the first colon, so ``[::1]`` never fits.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or all(map(_OWN_NAME.fullmatch, _hosts(scope))):
            await self._app(scope, receive, send)
        else:
            said = "this model answers only to 127.0.0.1, localhost and [::1]; use its printed address"
            await JSONResponse({"error": said}, _MISDIRECTED)(scope, receive, send)


def _hosts(scope: Scope) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == b"host"] or [b""]


def _is_loopback(host: str) -> bool:
    """Tell a laptop from a cluster, where services and probes ask by names and addresses of their own."""
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
    return JSONResponse(
        {"error": f"the request has another form: {first['msg']} at {first['loc']}"}, _BAD_REQUEST
    )


def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Answer without KServe's own log line, which would write what people ask into the log."""
    del request
    return JSONResponse({"error": str(error)}, _BAD_REQUEST)


def serve(model: Model, http_port: int) -> None:
    """Serve a model until SIGTERM."""
    kserve.model_server.RESTServer = Server
    ModelServer(http_port=http_port, enable_grpc=False, workers=1, enable_latency_logging=False).start(
        [model]
    )
