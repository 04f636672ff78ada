"""Envoy's routes as files: written by rename, live in milliseconds, S3 last since it owns ``/``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vellum.kube.objects import Obj
from vellum.laptop.state import read_json, write_json
from vellum.model.process import Route

_TYPE = "type.googleapis.com/envoy.config"


def publish(folder: Path, port: int, routes: Iterable[Route]) -> bool:
    """Write clusters and routes; True if they changed. Envoy reads a file when it is renamed into place."""
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
        "load_assignment": {
            "cluster_name": f"port-{port}",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _table(port: int, routes: list[Route]) -> Obj:
    # Only these names: a page in a browser that points its own name at 127.0.0.1 gets 404 (DNS rebinding).
    domains = [f"{host}{suffix}" for host in ("127.0.0.1", "localhost") for suffix in ("", f":{port}")]
    entries = [entry for route in routes for entry in _routes(route)]
    return {
        "@type": f"{_TYPE}.route.v3.RouteConfiguration",
        "name": "gateway",
        "virtual_hosts": [{"name": "laptop", "domains": domains, "routes": entries}],
        # Nobody outside may say who they are; Kubeflow's parts would believe it.
        "request_headers_to_remove": ["kubeflow-userid", "x-goog-authenticated-user-email"],
    }


def _routes(route: Route) -> list[Obj]:
    action: Obj = {
        "cluster": f"port-{route.port}",
        "timeout": "0s",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
    }
    if route.rewrite is not None:
        action["prefix_rewrite"] = route.rewrite
    entries: list[Obj] = [{"match": {"prefix": route.prefix}, "route": action}]
    if route.prefix != "/":
        # qdrant-client asks for its URL as given, without a slash; S3 owns the rest and would answer 403.
        entries.append({"match": {"path": route.prefix.removesuffix("/")}, "route": action})
    return entries
