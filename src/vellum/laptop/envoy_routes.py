"""The requests that the gateway refuses, and its own answers, as entries of Envoy's route table."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vellum.kube.objects import Obj
from vellum.model.process import Route

RESERVED = {
    "/serving": "no model is served at this path",
    "/qdrant": "no Qdrant is at this path",
    "/notebook": "no notebook is at this path",
    "/pipelines": "the Pipelines API is not served on a laptop",
    "/apis": "the Pipelines API is not served on a laptop",
}
"""Path prefixes that never belong to S3, with the error text for paths below them that nothing serves."""
SANDBOX = {"content-security-policy": "sandbox", "referrer-policy": "no-referrer"}
"""A bucket's document gets an opaque origin: its scripts do not run, and it cannot read any page."""
APART = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
}
"""No other page keeps a reference to a window of this origin, or embeds its answers."""
STATEFUL = ("set-cookie", "set-cookie2", "clear-site-data", "service-worker-allowed", "refresh")
"""Headers with which an answer could affect other pages of its origin."""
_FORBIDDEN, _NOT_FOUND, _TOO_LARGE = 403, 404, 413
_MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Match:
    """A condition on one header: it is there, and fits the whole pattern, or does not."""

    name: str
    pattern: str = ""
    inverted: bool = False

    @property
    def header(self) -> Obj:
        """Return Envoy's form. Envoy joins repeated headers with a comma, and none of the patterns matches that."""
        if not self.pattern:
            return {"name": self.name, "present_match": True}
        condition = {"name": self.name, "string_match": {"safe_regex": {"regex": self.pattern}}}
        return {**condition, "invert_match": True} if self.inverted else condition


def headers(values: Mapping[str, str]) -> list[Obj]:
    """Return headers that replace those of the upstream server."""
    return [
        {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for key, value in values.items()
    ]


def answer(status: int, content: Mapping[str, object]) -> Obj:
    """Return an answer of the gateway itself, in JSON."""
    return {
        "direct_response": {"status": status, "body": {"inline_string": json.dumps(content) + "\n"}},
        "response_headers_to_add": headers({"content-type": "application/json", **SANDBOX}),
    }


def redirect(host: str, port: int, *, path: str = "") -> Obj:
    """Redirect a browser to a host name, at the same path or another."""
    return {
        "redirect": {
            "host_redirect": host,
            "port_redirect": port,
            "response_code": "FOUND",
            **({"path_redirect": path} if path else {}),
        },
        "response_headers_to_add": headers({"cache-control": "no-store", "referrer-policy": "no-referrer"}),
    }


def action(  # noqa: PLR0913  # each is one field of Envoy's
    cluster: str,
    route: Route | None = None,
    *,
    whole: str | None = None,
    added: Mapping[str, str] | None = None,
    dropped: Sequence[str] = (),
    deaf: bool = False,
) -> Obj:
    """Return the action that forwards a request, rewritten or ``whole``; ``deaf`` removes its cookies."""
    to: Obj = {"cluster": cluster, "timeout": "0s", "upgrade_configs": [{"upgrade_type": "websocket"}]}
    if route and route.rewrite is not None:
        # Not prefix_rewrite: it replaces the whole path if a pattern was matched.
        to["regex_rewrite"] = {"pattern": {"regex": f"^{re.escape(route.prefix)}"}, "substitution": route.rewrite}
    if whole is not None:
        to["prefix_rewrite"] = whole
    entry: Obj = {"route": to}
    if added:
        entry["response_headers_to_add"] = headers(added)
    if dropped:
        entry["response_headers_to_remove"] = list(dropped)
    if deaf:
        entry["request_headers_to_remove"] = ["cookie"]
    return entry


def below(prefix: str) -> Obj:
    """Return the match of a prefix and everything below it; ``/`` is everything."""
    return {"prefix": "/"} if prefix == "/" else {"safe_regex": {"regex": f"{re.escape(prefix)}(/.*)?"}}


def served(route: Route) -> Obj:
    """Return the match of what is served below a route's prefix."""
    if route.served == ".*":
        return {"prefix": route.prefix}
    return {"safe_regex": {"regex": f"{re.escape(route.prefix)}({route.served})"}}


def foreign(prefix: str, origins: Sequence[str]) -> Obj:
    """Refuse requests from pages of another origin, ``null`` included; also simple requests and WebSockets."""
    # One condition for each: a pattern of many names is too large for Envoy.
    others = [
        {"name": "origin", "string_match": {"exact": origin, "ignore_case": True}, "invert_match": True}
        for origin in origins
    ]
    conditions = [Match("origin").header, *others]
    content = {
        "error": "a web page of another origin may not use this",
        "fix": "ask from a program, or from a notebook",
    }
    return {"match": {**below(prefix), "headers": conditions}, **answer(_FORBIDDEN, content)}


def embedded(prefix: str) -> Obj:
    """Refuse to be loaded by another page as a script, an image or a style; allow links."""
    conditions = [
        Match("sec-fetch-site", pattern="cross-site|same-site").header,
        Match("sec-fetch-mode", pattern="navigate", inverted=True).header,
    ]
    content = {"error": "a web page of another origin may not include this", "fix": "open it as a page of its own"}
    return {"match": {**below(prefix), "headers": conditions}, **answer(_FORBIDDEN, content)}


def framed(prefix: str) -> Obj:
    """Refuse to be shown inside another page."""
    conditions = [
        Match("sec-fetch-site", pattern="cross-site|same-site").header,
        Match("sec-fetch-dest", pattern="iframe|frame|embed|object|fencedframe").header,
    ]
    content = {"error": "another page may not show this inside itself", "fix": "open it as a page of its own"}
    return {"match": {**below(prefix), "headers": conditions}, **answer(_FORBIDDEN, content)}


def crooked(prefix: str) -> Obj:
    """Refuse paths that a server may read differently from this table: dots, double and encoded slashes."""
    regex = rf"(?i){re.escape(prefix)}(/.*)?(//|/\.\.?(/.*)?$|%2e|%2f|%5c|\\).*"
    content = {"error": "the path has an empty, dotted or encoded part", "fix": "write the path plainly"}
    return {"match": {"safe_regex": {"regex": regex}}, **answer(_NOT_FOUND, content)}


def bounded(route: Route) -> list[Obj]:
    """Refuse a body whose Content-Length is too large. The server counts bodies without a length."""
    if not route.most_bytes:
        return []
    length = {"name": "content-length", "range_match": {"start": route.most_bytes + 1, "end": _MOST}}
    content = {"error": f"the body is larger than {route.most_bytes} bytes", "fix": "send it in several requests"}
    return [{"match": {"prefix": route.prefix, "headers": [length]}, **answer(_TOO_LARGE, content)}]


def fix(prefix: str, more: int) -> str:
    """Return the fix of a 404."""
    if prefix in ("/pipelines", "/apis"):
        return "run pipelines by `vellum ingest` or kfp.local here; a cluster serves the API"
    return "`vellum status` prints every address" + (f", {more} more than here" if more > 0 else "")
