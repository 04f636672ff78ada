"""The bench with a real node: a control plane, a kubelet with containerd, and Crossplane as its first pods.

The whole process is in the node's network, so kubectl on this machine goes through forwarded ports.
"""

from __future__ import annotations

from pathlib import Path

from vellum.bench.certificates import NODE
from vellum.bench.node import cgroups, crossplane, dns, images, network, processes
from vellum.bench.stages import FIX, Stages
from vellum.cluster.api import Api
from vellum.host.ports import Ports
from vellum.host.state import State
from vellum.kube.objects import Key
from vellum.model.process import Process
from vellum.package import provider

PODS_SECONDS = 180
"""Pods start in seconds. With ten busy processes per core, Crossplane took 43 s."""
_FORWARDED = ("bench/apiserver", "bench/registry")
_CONTROL: tuple[tuple[str, ...], ...] = (("etcd", "registry"), ("apiserver",), ("controllers", "scheduler"))
_NODE_KEY = Key("v1", "Node", "", NODE)


class NodeBench(Stages):
    """A bench that runs pods on a real kubelet."""

    def __init__(self, state: State, programs: dict[str, Path]) -> None:
        """Enter the node's network, and prepare everything that needs no process.

        Raises:
            BenchError: this machine cannot run a node (VEL908).
        """
        state.open_runtime()
        ports = Ports(state.root / "ports.json")
        forwarder = network.Forwarder([ports.get(name) for name in _FORWARDED])
        network.enter()
        forwarder.start()
        super().__init__(state, programs, ports, network.ADDRESS)

    def _process(self, name: str) -> Process:
        if name in processes.NAMES:
            hosts = {image.host for image in images.IMAGES}
            return processes.process(self.machine, name, sorted(hosts))
        return super()._process(name)

    def _start(self) -> None:
        self._attempt(self._stages)

    def _stages(self) -> None:
        self._clients()
        cgroups.create(self.state.root)
        for names in _CONTROL:
            self._stage(names)
        layouts = images.ensure(self.machine.programs)
        for layout in layouts:
            images.push(layout, self.machine.port("registry"))
        self._report(f"{len(layouts)} images are published")
        for names in processes.STAGES:
            self._stage(names)
        api = Api(self.kubeconfig, agent="vellum-bench", fix=FIX)
        self._until(api, _NODE_KEY, "Ready")
        self._report("the node is ready")
        self._apply(api, dns.objects())
        crossplane.install(self.machine, self.kubeconfig)
        for deployment in (dns.DEPLOYMENT, *crossplane.DEPLOYMENTS):
            self._until(api, deployment, "Available", PODS_SECONDS)
        self._report("the cluster's DNS and Crossplane run")
        self._apply(api, crossplane.packages(self.machine))
        self._until(api, crossplane.PACKAGE, "Healthy", PODS_SECONDS)
        self._apply(api, provider.provider_config())
        self._report("provider-helm is installed")
        self.ready = True
