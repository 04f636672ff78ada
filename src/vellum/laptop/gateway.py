"""Envoy's routes as files. They are written by rename and live in milliseconds; S3 is last, since it owns ``/``.

Every origin has a virtual host: the gateway's own names, and one name for each notebook. docs/concepts/laptop.md lists
what each of them refuses, and why.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vellum.host.files import read_json, write_json
from vellum.kube.objects import Obj
from vellum.laptop import envoy_routes
from vellum.laptop.envoy_routes import Match, action, answer, redirect
from vellum.model.origins import LOOPBACK
from vellum.model.process import Route

_TYPE = "type.googleapis.com/envoy.config"
_MOST_NAMED = 20
"""How many addresses a 404 names."""
BUFFER = 256 * 1024
"""Bytes that Envoy buffers of one direction of a connection; its default is one MiB."""


def publish(folder: Path, port: int, routes: Iterable[Route]) -> bool:
    """Write clusters and routes; return whether they changed. Envoy reads a file when it is renamed into place."""
    ordered = sorted(routes, key=lambda route: (-len(route.prefix), route.prefix))
    # Once each: Envoy refuses the whole file when two clusters have one name, and two routes may share a port.
    clusters = {"resources": [_cluster(port) for port in dict.fromkeys(route.port for route in ordered)]}
    table = {"resources": [_table(port, ordered)]}
    changed = False
    # Clusters first: a route to a cluster that Envoy does not know yet answers 503.
    for name, content in (("cds.json", clusters), ("rds.json", table)):
        if read_json(folder / name, None) != content:
            write_json(folder / name, content)
            changed = True
    return changed


def _cluster(port: int) -> Obj:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {
        "@type": f"{_TYPE}.cluster.v3.Cluster",
        "name": f"port-{port}",
        "type": "STATIC",
        "connect_timeout": "1s",
        "per_connection_buffer_limit_bytes": BUFFER,
        "load_assignment": {
            "cluster_name": f"port-{port}",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _table(port: int, routes: list[Route]) -> Obj:
    apart = {route.host: route for route in routes if route.host}
    hosts = [_own(port, routes), *(_apart(port, route) for _, route in sorted(apart.items())), _strangers(port)]
    return {
        "@type": f"{_TYPE}.route.v3.RouteConfiguration",
        "name": "gateway",
        "virtual_hosts": hosts,
        "max_direct_response_body_size_bytes": 16384,
        # A client outside may not name its user, because Kubeflow's parts would trust that header.
        "request_headers_to_remove": ["kubeflow-userid", "x-goog-authenticated-user-email"],
        "response_headers_to_add": envoy_routes.headers({"x-content-type-options": "nosniff"}),
    }


def _own(port: int, routes: list[Route]) -> Obj:
    """Return the virtual host of the gateway's own names. It serves no page whose scripts run."""
    own = [f"http://{name}:{port}" for name in LOOPBACK]
    apart = [f"http://{route.host}:{port}" for route in routes if route.host]
    entries = [
        # A presigned address itself grants the access, and S3 has no cookies. So a notebook's page may read one, if the
        # bucket's CORS rules allow it.
        envoy_routes.foreign("/", [*own, *apart]),
        *(envoy_routes.foreign(prefix, own) for prefix in envoy_routes.RESERVED),
        *(envoy_routes.embedded(prefix) for prefix in envoy_routes.RESERVED),
        envoy_routes.crooked("/serving"),
    ]
    for route in routes:
        entries += _led_on(route, port) if route.host else _routes(route)
    entries += [_missing(prefix, port, routes) for prefix in envoy_routes.RESERVED]
    # The longest prefix first, so S3 is the last of all.
    entries.sort(key=lambda entry: entry["match"] == {"prefix": "/"})
    return {"name": "laptop", "domains": [f"{name}:{port}" for name in LOOPBACK], "routes": entries}


def _routes(route: Route) -> list[Obj]:
    where = f"port-{route.port}"
    if route.prefix == "/":
        return [{"match": {"prefix": "/"}, **action(where, added=envoy_routes.SANDBOX, dropped=envoy_routes.STATEFUL)}]
    return [
        *envoy_routes.bounded(route),
        {"match": envoy_routes.served(route), **action(where, route)},
        # qdrant-client asks for its URL as given, without a slash; S3 owns the rest and would answer 403.
        {"match": {"path": route.prefix.removesuffix("/")}, **action(where, whole=route.rewrite)},
    ]


def _led_on(route: Route, port: int) -> list[Obj]:
    """Return the routes of a notebook at the gateway's own names: programs use a token, browsers are redirected.

    The routes remove cookies in both directions. So a page at this origin has no credential that the notebook accepts.
    """
    where = f"port-{route.port}"
    program = action(where, added=envoy_routes.SANDBOX, dropped=envoy_routes.STATEFUL, deaf=True)
    token, socket = Match("authorization"), Match("upgrade", pattern="(?i)websocket")
    body = {
        "error": f"the notebook is at http://{route.host}:{port}{route.prefix}",
        "fix": "open that address, or send the token in the header Authorization: token ...",
    }
    return [
        *envoy_routes.bounded(route),
        *({"match": {"prefix": route.prefix, "headers": [match.header]}, **program} for match in (token, socket)),
        *(
            {"match": {**place, "headers": [Match(":method", pattern="GET|HEAD").header]}, **redirect(route.host, port)}
            for place in ({"prefix": route.prefix}, {"path": route.prefix.removesuffix("/")})
        ),
        {"match": {"prefix": route.prefix}, **answer(421, body)},
    ]


def _apart(port: int, route: Route) -> Obj:
    """Return the virtual host of a notebook: a page of another origin cannot read, embed or control it."""
    origin, where = f"http://{route.host}:{port}", f"port-{route.port}"
    entries = [
        envoy_routes.foreign("/", [origin]),
        envoy_routes.embedded("/"),
        envoy_routes.framed("/"),
        *envoy_routes.bounded(route),
        {"match": envoy_routes.served(route), **action(where, route, added=envoy_routes.APART)},
        {"match": {"path": "/"}, **redirect(route.host, port, path=f"{route.prefix}lab")},
        {"match": {"path": route.prefix.removesuffix("/")}, **redirect(route.host, port, path=route.prefix)},
        {
            "match": {"prefix": "/"},
            **answer(
                404,
                {
                    "error": "nothing is at this path",
                    "here": [f"{origin}{route.prefix}"],
                    "fix": f"run `vellum open`; S3, Qdrant and the models are at http://127.0.0.1:{port}",
                },
            ),
        },
    ]
    return {"name": route.host, "domains": [f"{route.host}:{port}"], "routes": entries}


def _strangers(port: int) -> Obj:
    """Return the answer to all other names, such as a web page's own name for 127.0.0.1 (DNS rebinding)."""
    body = {
        "error": "the gateway does not answer to this name",
        "here": [f"http://{name}:{port}" for name in LOOPBACK],
        "fix": "use one of these addresses; `vellum status` prints those of the notebooks",
    }
    return {"name": "strangers", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **answer(404, body)}]}


def _missing(prefix: str, port: int, routes: list[Route]) -> Obj:
    """Return the 404 for unserved paths below one of the gateway's prefixes; it lists what is served."""
    gateway = f"http://127.0.0.1:{port}"
    there = [
        f"http://{route.host}:{port}{route.prefix}" if route.host else f"{gateway}{route.prefix}"
        for route in routes
        if route.prefix.startswith(f"{prefix}/")
    ]
    body = {
        "error": envoy_routes.RESERVED[prefix],
        "here": there[:_MOST_NAMED],
        "fix": envoy_routes.fix(prefix, len(there) - _MOST_NAMED),
    }
    return {"match": envoy_routes.below(prefix), **answer(404, body)}
