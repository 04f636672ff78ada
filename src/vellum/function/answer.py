"""Turn one request into one answer: compose gets what Crossplane observed, Crossplane gets what compose wants. No I/O.

Every doubt gives a FATAL answer, on which Crossplane changes nothing: a smaller desired state is a delete order. Every
answer has the same requirements, and none has a ttl of 0: once Crossplane's circuit breaker is open, it never
reconciles such a composite again (measured on 2.3.4).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import cast

from crossplane.function.proto.v1 import run_function_pb2 as fnv1
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct

from vellum.api import claim, platform
from vellum.api.claim import CROSSPLANE_FIELDS
from vellum.compose import entry
from vellum.errors import FunctionError, VellumError
from vellum.function.struct import View, write
from vellum.kube.objects import Obj, status_of
from vellum.kube.patch import plain
from vellum.model.keys import GENERATIONS, SEED, Seed, generations
from vellum.model.state import LIST, Composed, Condition, Event, Known, Observed, Requirement, not_ready

LOG = logging.getLogger(__name__)
_WAITING_SECONDS = 15
_SKIPPED = CROSSPLANE_FIELDS - {"claimRef"}
_STATUS = {
    "True": fnv1.STATUS_CONDITION_TRUE,
    "False": fnv1.STATUS_CONDITION_FALSE,
    "Unknown": fnv1.STATUS_CONDITION_UNKNOWN,
}


Kinds = Mapping[str, bool] | None
"""The kinds that the API server serves, as far as known; see ``kinds``."""


def answer_bytes(
    raw: bytes, now: datetime, kinds: Kinds = None, known: Known | None = None
) -> tuple[fnv1.RunFunctionResponse, str]:
    """Return the answer to a request in wire form, and the composite's kind for the metrics."""
    request = fnv1.RunFunctionRequest()
    try:
        request.ParseFromString(raw)
    except DecodeError as error:
        # protobuf stops at 100 levels, which is 33 nested objects. Bytes that are not UTF-8 fail here too.
        reason = f"the function cannot read what Crossplane observed: {error}; nothing was changed"
        return _fatal(fnv1.RunFunctionResponse(), not_ready("Unreadable", reason)), ""
    return answer(request, now, kinds, known)


def answer(
    request: fnv1.RunFunctionRequest, now: datetime, kinds: Kinds = None, known: Known | None = None
) -> tuple[fnv1.RunFunctionResponse, str]:
    """Return the answer to one request, and the composite's kind; ``known`` is kept for the next requests."""
    response = fnv1.RunFunctionResponse()
    response.meta.tag = request.meta.tag
    kind = ""
    try:
        composite = _ours(_view(request.observed.composite.resource))
        kind = str(composite["kind"])
        composed = _composed(composite, request, now, kinds, known or Known())
        if any(name not in request.required_resources for name in composed.requirements):
            return _asked(response, request, composed), kind
        return _answered(response, request, composed), kind
    except VellumError as error:
        return _fatal(response, not_ready("Refused", f"{error}; {error.fix}")), kind
    except Exception as error:
        LOG.exception("the request of a %s was not answered", kind or "composite without a kind")
        text = f"{type(error).__name__}: {error}"
        unforeseen = FunctionError(
            "VEL804",
            f"the function failed and changed nothing: {text}",
            where=kind or "the request",
            fix="read the function's log",
        )
        return _fatal(response, not_ready("FunctionError", f"{unforeseen}; {unforeseen.fix}")), kind


def _composed(composite: Obj, request: fnv1.RunFunctionRequest, now: datetime, kinds: Kinds, known: Known) -> Composed:
    asked = request.required_resources.items()
    observed = Observed(
        resources={name: _view(item.resource) for name, item in request.observed.resources.items()},
        required={name: _required(result) for name, result in asked if not name.startswith(LIST)},
        lists={
            name: tuple(_view(item.resource) for item in result.items)
            for name, result in asked
            if name.startswith(LIST)
        },
        kinds=kinds,
        known=known,
    )
    seed = _seed(request)
    if composite["kind"] in (claim.XR_KIND, claim.KIND):
        return entry.team(composite, observed, seed, now)
    if composite["kind"] == platform.KIND:
        return entry.kubeflow(composite, observed, seed, now)
    raise FunctionError(
        "VEL802",
        f"kind {composite['kind']} is not composed here",
        where="the Composition's compositeTypeRef",
        fix=f"use this function for {claim.XR_KIND} and {platform.KIND}",
    )


def _seed(request: fnv1.RunFunctionRequest) -> Seed:
    """Return the seed in the credentials. Without it no keys exist, and another seed may not replace it."""
    data = request.credentials[SEED].credential_data.data if SEED in request.credentials else {}
    try:
        known = generations(bytes(data[GENERATIONS]).decode() if GENERATIONS in data else "")
        return Seed(bytes(data[SEED]) if SEED in data else b"", known)
    except ValueError as cause:
        raise FunctionError(
            "VEL803",
            f"the credentials have no usable seed: {cause}",
            where="Secret crossplane-system/vellum-seed",
            fix="restore the Secret from a copy; another seed would change every key",
        ) from cause


def _required(result: fnv1.Resources) -> Obj | None:
    if not result.items:
        return None
    obj = _view(result.items[0].resource)
    return _ours(obj) if obj.get("apiVersion") == claim.API_VERSION else obj


def _view(struct: Struct) -> Obj:
    return cast("Obj", View(struct))


def _ours(obj: Obj) -> Obj:
    """Return an object of our own API with its spec as plain data, which the models need.

    Crossplane's own fields are not read: among them is a reference to every composed object.
    """
    spec: Mapping[str, object] = obj.get("spec") or {}
    return {
        **{name: obj[name] for name in ("apiVersion", "kind", "metadata")},
        "spec": {name: plain(spec[name]) for name in spec if name not in _SKIPPED},
        "status": status_of(obj),
    }


def _asked(
    response: fnv1.RunFunctionResponse, request: fnv1.RunFunctionRequest, composed: Composed
) -> fnv1.RunFunctionResponse:
    """Require what is missing; Crossplane looks it up and calls again before it changes anything."""
    can = request.meta.capabilities
    if fnv1.CAPABILITY_CAPABILITIES in can and fnv1.CAPABILITY_REQUIRED_RESOURCES not in can:
        # Such a caller would delete everything on an answer without objects.
        return _fatal(response, not_ready("Refused", "this Crossplane cannot look up objects for a function"))
    _require(response, composed.requirements)
    response.context.CopyFrom(request.context)
    response.desired.CopyFrom(request.desired)
    response.meta.ttl.seconds = _WAITING_SECONDS
    return response


def _answered(
    response: fnv1.RunFunctionResponse, request: fnv1.RunFunctionRequest, composed: Composed
) -> fnv1.RunFunctionResponse:
    _require(response, composed.requirements)
    # The context from earlier steps of the pipeline is passed on to later steps.
    response.context.CopyFrom(request.context)
    for condition in composed.conditions:
        _say(response, condition)
    for event in composed.events:
        _tell(response, event)
    if composed.fatal:
        return _stop(response, composed.fatal)
    # Objects that earlier steps of the pipeline want are kept.
    response.desired.CopyFrom(request.desired)
    for name, desired in composed.objects.items():
        target = response.desired.resources[name]
        target.ready = fnv1.READY_TRUE if desired.ready else fnv1.READY_FALSE
        write(target.resource, desired.obj)
    response.desired.composite.ready = fnv1.READY_TRUE if composed.ready else fnv1.READY_FALSE
    write(response.desired.composite.resource, {"status": composed.status})
    response.meta.ttl.FromTimedelta(timedelta(seconds=composed.ttl_seconds))
    return response


def _require(response: fnv1.RunFunctionResponse, requirements: Mapping[str, Requirement]) -> None:
    for name, wanted in requirements.items():
        selector = response.requirements.resources[name]
        selector.api_version, selector.kind = wanted.api_version, wanted.kind
        if wanted.name:
            selector.match_name = wanted.name
        else:
            # Set even without labels: Crossplane fails on a selector without a name and without labels.
            selector.match_labels.SetInParent()
            selector.match_labels.labels.update(wanted.labels)
        if wanted.namespace:
            selector.namespace = wanted.namespace


def _say(response: fnv1.RunFunctionResponse, condition: Condition) -> None:
    response.conditions.add(
        type=condition.type,
        status=_STATUS[condition.status],
        reason=condition.reason,
        message=condition.message,
        target=fnv1.TARGET_COMPOSITE_AND_CLAIM,
    )


def _tell(response: fnv1.RunFunctionResponse, event: Event) -> None:
    severity = fnv1.SEVERITY_NORMAL if event.type == "Normal" else fnv1.SEVERITY_WARNING
    response.results.add(
        severity=severity, reason=event.reason, message=event.message, target=fnv1.TARGET_COMPOSITE_AND_CLAIM
    )


def _fatal(response: fnv1.RunFunctionResponse, condition: Condition) -> fnv1.RunFunctionResponse:
    _say(response, condition)
    _tell(response, Event("Warning", condition.reason, condition.message))
    return _stop(response, condition.message)


def _stop(response: fnv1.RunFunctionResponse, message: str) -> fnv1.RunFunctionResponse:
    """Change nothing. Crossplane reports earlier results to the claim, but this one only to the composite."""
    response.results.add(severity=fnv1.SEVERITY_FATAL, message=message, target=fnv1.TARGET_COMPOSITE_AND_CLAIM)
    response.meta.ttl.seconds = _WAITING_SECONDS
    return response
