"""The only entrance of a laptop: a Gateway whose routes follow the composed objects, served by Envoy."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import Field

from vellum.kube.objects import Kind, Obj, make
from vellum.model.component import PlatformComponent, Spec, Wish
from vellum.model.process import Probe, Process, Running, Site
from vellum.model.team import KUBEFLOW_NAMESPACE

_ENVOY = "type.googleapis.com/envoy.extensions.filters"
READY_PATH = "/.vellum/ready"
"""Envoy answers this itself: the gateway's health must not depend on the services behind it."""
LOWEST, HIGHEST = 1024, 32767
"""Ports above 32767 are ephemeral: a client there can connect to itself, and Envoy loses its port (measured)."""

_BUFFER = 256 * 1024
"""How many bytes Envoy keeps for one direction of a connection; its default is one MiB."""
_CONNECTIONS = "envoy.resource_monitors.global_downstream_max_connections"
_MOST_CONNECTIONS = 800
"""Below the thousand files that a process may have open on many systems."""
_PATIENCE: Obj = {
    "request_headers_timeout": "15s",
    "stream_idle_timeout": "300s",
    "common_http_protocol_options": {"idle_timeout": "75s"},
    "max_request_headers_kb": 60,
}
"""How long a connection may be idle. A body may take any time while bytes arrive."""
_UNAVAILABLE = 503
_OWN_FAULTS = ("UH", "UF", "UO", "UC", "UR", "LR", "URX")
_SAID = {
    _UNAVAILABLE: "the service of this path does not answer now; see `vellum status`",
    408: "the request did not arrive in time",
    426: "HTTP/1.0 is not served; use HTTP/1.1",
    431: "the headers of the request are larger than 60 KiB",
}


class GatewaySpec(Spec):
    """The platform's ``gateway`` block."""

    port: Annotated[
        int,
        Field(description="The loopback port of the gateway", default=28000, ge=LOWEST, le=HIGHEST, examples=[28080]),
    ]


class GatewayComponent(PlatformComponent[GatewaySpec]):
    """A Gateway of the Gateway API; on a laptop Envoy, which is Istio's own data plane."""

    name = "gateway"
    means = (("gateway.port", "only a laptop has that port: nothing changes on a cluster"),)
    summary = "One loopback port that routes to S3, Qdrant, the notebook and the models"
    spec = GatewaySpec
    block = "gateway"
    profiles = ("local",)
    workload = Kind("gateway.networking.k8s.io/v1", "Gateway")
    ports = ("probe",)
    actor = "Envoy"

    def objects(self, wish: Wish[GatewaySpec]) -> dict[str, Obj]:
        """Return the Gateway with one listener."""
        listener = {"name": "http", "port": wish.detail.port, "protocol": "HTTP"}
        spec = {"gatewayClassName": "vellum-laptop", "listeners": [listener]}
        gateway = make(
            "gateway.networking.k8s.io/v1",
            "Gateway",
            "vellum",
            KUBEFLOW_NAMESPACE,
            labels=wish.labels(self.name),
            spec=spec,
        )
        return {"gateway": gateway}

    def process(self, obj: Obj, site: Site) -> Process:
        """Run Envoy; it reads clusters and routes from files that the laptop replaces by rename (live in 2 ms)."""
        boot, port = site.directory / "envoy.json", obj["spec"]["listeners"][0]["port"]
        argv = (site.programs["envoy"], "-c", str(boot), "--concurrency", "1", "--disable-hot-restart", "-l", "warning")
        files = {boot: json.dumps(_boot(port, site), sort_keys=True)}
        return Process(
            name="envoy",
            argv=argv,
            directory=site.directory,
            files=files,
            gateway=port,
            priority=3,
            # It has its own port: a gateway whose connections are all in use is busy, but does not hang.
            probe=Probe(site.ports["probe"], READY_PATH),
            ports=(port,),
        )

    def status(self, obj: Obj, running: Running) -> Obj:
        """Return the status as a Gateway API implementation writes it."""
        programmed = {
            "type": "Programmed",
            "status": "True" if running.ready else "False",
            "reason": "Programmed" if running.ready else "Pending",
            "message": running.message,
            "observedGeneration": obj["metadata"]["generation"],
        }
        return {"addresses": [{"type": "IPAddress", "value": "127.0.0.1"}], "conditions": [programmed]}


def _boot(port: int, site: Site) -> Obj:
    def dynamic(name: str) -> Obj:
        """Return the source of a dynamic configuration file."""
        source = {"path": str(site.directory / name), "watched_directory": {"path": str(site.directory)}}
        return {"path_config_source": source, "resource_api_version": "V3"}

    manager = {
        "@type": f"{_ENVOY}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "rds": {"route_config_name": "gateway", "config_source": dynamic("rds.json")},
        **_PATIENCE,
        "local_reply_config": {"mappers": [_reply(status, words) for status, words in _SAID.items()]},
        "http_filters": [
            {"name": "envoy.filters.http.health_check", "typed_config": _health_check()},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_ENVOY}.http.router.v3.Router"}},
        ],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {
        "node": {"id": "vellum", "cluster": "vellum"},
        # On a TCP port any local user could read the configuration and stop Envoy.
        "admin": {"address": {"pipe": {"path": str(site.runtime / "envoy.sock"), "mode": 0o600}}},
        "dynamic_resources": {"cds_config": dynamic("cds.json")},
        "static_resources": {
            "listeners": [{
                "name": "gateway", "address": _address(port, site.loopback[0]), "filter_chains": [chain],
                # A browser tries [::1] first for a name below localhost. A program on that port would get the token.
                "additional_addresses": [{"address": _address(port, item)} for item in site.loopback[1:]],
                "per_connection_buffer_limit_bytes": _BUFFER,
            }, {
                "name": "probe", "address": _address(site.ports["probe"], "127.0.0.1"), "filter_chains": [_probed()],
                "ignore_global_conn_limit": True,
            }],
        },
        # The pattern of a model's paths exceeds Envoy's default limit; all patterns are ours.
        "layered_runtime": {"layers": [{"name": "vellum", "static_layer": {"re2.max_program_size.error_level": 2000}}]},
        "overload_manager": {"resource_monitors": [{"name": _CONNECTIONS, "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3"
                     ".DownstreamConnectionsConfig",
            "max_active_downstream_connections": _MOST_CONNECTIONS,
        }}]},
    }  # fmt: skip


def _probed() -> Obj:
    """Return the listener that answers the supervisor's probe and has no routes."""
    router = {"@type": f"{_ENVOY}.http.router.v3.Router"}
    manager = {
        "@type": f"{_ENVOY}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "probe",
        "route_config": {"name": "none"},
        "http_filters": [
            {"name": "envoy.filters.http.health_check", "typed_config": _health_check()},
            {"name": "envoy.filters.http.router", "typed_config": router},
        ],
        "request_headers_timeout": "5s",
        "common_http_protocol_options": {"idle_timeout": "30s"},
    }
    return {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}


def _health_check() -> Obj:
    return {
        "@type": f"{_ENVOY}.http.health_check.v3.HealthCheck",
        "pass_through_mode": False,
        "headers": [{"name": ":path", "string_match": {"exact": READY_PATH}}],
    }


def _reply(status: int, words: str) -> Obj:
    """Return the form of Envoy's own answers; a route's answers have their own text."""
    flags = {"response_flag_filter": {"flags": list(_OWN_FAULTS)}} if status == _UNAVAILABLE else None
    code = {
        "status_code_filter": {
            "comparison": {"op": "EQ", "value": {"default_value": status, "runtime_key": f"vellum.{status}"}}
        }
    }
    named = {"content-security-policy": "sandbox", "x-content-type-options": "nosniff"}
    return {
        "filter": {"and_filter": {"filters": [code, flags]}} if flags else code,
        "body": {"inline_string": json.dumps({"error": words}) + "\n"},
        "body_format_override": {
            "text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"},
            "content_type": "application/json",
        },
        "headers_to_add": [
            {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for key, value in named.items()
        ],
    }


def _address(port: int, host: str) -> Obj:
    return {"socket_address": {"address": host, "port_value": port}}


component = GatewayComponent()
