"""The one door of a laptop: a Gateway whose routes follow the composed objects; Envoy answers behind it."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import Field

from vellum.kube.objects import Obj, make
from vellum.model.component import PlatformComponent, PlatformWish, Running, Spec
from vellum.model.process import Probe, Process, Site
from vellum.model.team import KUBEFLOW_NAMESPACE

_ENVOY = "type.googleapis.com/envoy.extensions.filters"
READY_PATH = "/.vellum/ready"
"""Answered by Envoy itself: the question whether the gateway is up must not depend on what stands behind it."""
LOWEST, HIGHEST = 1024, 32767
"""Above 32767 lie the ephemeral ports: a client there can connect to itself, and Envoy loses its port (measured)."""


class GatewaySpec(Spec):
    """The platform's ``gateway`` block."""

    port: Annotated[
        int,
        Field(
            description="The loopback port of the gateway",
            default=28000,
            ge=LOWEST,
            le=HIGHEST,
            examples=[28080],
        ),
    ]


class GatewayComponent(PlatformComponent[GatewaySpec]):
    """A Gateway of the Gateway API; on a laptop Envoy, which is Istio's own data plane."""

    name = "gateway"
    summary = "One loopback port that routes to S3, Qdrant, the notebook and the models"
    spec = GatewaySpec
    block = "gateway"
    profiles = ("local",)
    workload = ("gateway.networking.k8s.io/v1", "Gateway")
    actor = "Envoy"

    def objects(self, wish: PlatformWish[GatewaySpec]) -> dict[str, Obj]:
        """Return the Gateway with one listener."""
        listener = {"name": "http", "port": wish.detail.port, "protocol": "HTTP"}
        spec = {"gatewayClassName": "vellum-laptop", "listeners": [listener]}
        gateway = make("gateway.networking.k8s.io/v1", "Gateway", "vellum", KUBEFLOW_NAMESPACE,
                       labels=wish.labels(self.name), spec=spec)  # fmt: skip
        return {"gateway": gateway}

    def process(self, obj: Obj, site: Site) -> Process:
        """Run Envoy; clusters and routes come from files that the laptop replaces by rename (live in 2 ms)."""
        boot, port = site.directory / "envoy.json", obj["spec"]["listeners"][0]["port"]
        argv = (
            site.programs["envoy"], "-c", str(boot), "--concurrency", "1", "--disable-hot-restart", "-l", "warning",
        )  # fmt: skip
        files = {boot: json.dumps(_boot(port, site), sort_keys=True)}
        return Process(
            name="envoy", argv=argv, directory=site.directory, files=files, priority=3,
            probe=Probe(port, READY_PATH), ports=(port,),
        )  # fmt: skip

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
        source = {"path": str(site.directory / name), "watched_directory": {"path": str(site.directory)}}
        return {"path_config_source": source, "resource_api_version": "V3"}

    manager = {
        "@type": f"{_ENVOY}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "rds": {"route_config_name": "gateway", "config_source": dynamic("rds.json")},
        "http_filters": [
            {"name": "envoy.filters.http.health_check", "typed_config": _health_check()},
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_ENVOY}.http.router.v3.Router"},
            },
        ],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {
        "node": {"id": "vellum", "cluster": "vellum"},
        # On a TCP port any local user could read the configuration and stop Envoy.
        "admin": {"address": {"pipe": {"path": str(site.runtime / "envoy.sock"), "mode": 0o600}}},
        "dynamic_resources": {"cds_config": dynamic("cds.json")},
        "static_resources": {
            "listeners": [{"name": "gateway", "address": _address(port), "filter_chains": [chain]}]
        },
    }


def _health_check() -> Obj:
    return {
        "@type": f"{_ENVOY}.http.health_check.v3.HealthCheck",
        "pass_through_mode": False,
        "headers": [{"name": ":path", "string_match": {"exact": READY_PATH}}],
    }


def _address(port: int) -> Obj:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


component = GatewayComponent()
