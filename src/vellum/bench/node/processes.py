"""The node's programs as processes: the holder of its namespaces, containerd, kubelet, kube-proxy.

The limits of a machine that is itself virtual shape some settings: the kubelet must not need cgroup v2, and no program
may lower its own OOM score or raise a limit.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from vellum.bench import programs
from vellum.bench.certificates import NODE
from vellum.bench.machine import Machine
from vellum.bench.node import cgroups
from vellum.bench.node.images import PAUSE
from vellum.bench.node.network import ADDRESS, PODS
from vellum.bench.node.support import PATH, PLUGINS
from vellum.model.process import Probe, Process

DNS = "10.96.0.10"
SOCKET = "unix:///run/containerd/containerd.sock"
STAGES: tuple[tuple[str, ...], ...] = (("holder",), ("containerd",), ("kubelet", "kube-proxy"))
"""These start after the API server and its controllers."""
_HERE = Path(__file__).parent
_KUBELET, _KUBELET_HEALTH, _PROXY_HEALTH, _PROXY_METRICS = 10250, 10248, 10256, 10249
_CRI = "io.containerd.grpc.v1.cri"


def process(machine: Machine, name: str, hosts: Iterable[str]) -> Process:
    """Return the process of one of the node's programs; ``hosts`` are the registries whose images ours serves."""
    if name == "containerd":
        return _containerd(machine, hosts)
    return _PROCESSES[name](machine)


def _holder(machine: Machine) -> Process:
    disk = machine.directory("holder")
    keep = (str(machine.root), str(programs.cache()))
    argv = (sys.executable, "-I", "-S", str(_HERE / "holder.py"), str(_pid(machine)), str(disk), *keep)
    return Process("holder", argv, disk, None, grace_seconds=8.0)


def _pid(machine: Machine) -> Path:
    return machine.directory("holder") / "holder.pid"


def _inside(machine: Machine, name: str, argv: tuple[str, ...], probe: Probe | None, files: dict[Path, str]) -> Process:
    """Return a process in the holder's namespaces."""
    folder = machine.directory(name)
    entered = (sys.executable, "-I", "-S", str(_HERE / "enter.py"), str(_pid(machine)), *argv)
    env = {"HOME": str(folder), "PATH": PATH, "GOMAXPROCS": "2"}
    return Process(name, entered, folder, probe, env=env, files=files, grace_seconds=8.0)


def _containerd(machine: Machine, hosts: Iterable[str]) -> Process:
    folder = machine.directory("containerd")
    config, mirrors = folder / "config.toml", folder / "mirrors"
    files = {config: _toml(folder), folder / "cni" / "10-bridge.conflist": json.dumps(_NETWORK)}
    # Our registry has each image under the name of its host. Crossplane's image names already contain our registry.
    places = {**{host: f"/v2/{host}" for host in hosts}, "_default": "/v2"}
    for host, place in places.items():
        files[mirrors / host / "hosts.toml"] = _mirror(f"http://127.0.0.1:{machine.port('registry')}{place}")
    argv = (shutil.which("containerd", path=PATH) or "containerd", f"--config={config}")
    return _inside(machine, "containerd", argv, None, files)


def _mirror(address: str) -> str:
    return f"""server = "{address}"
[host."{address}"]
capabilities = ["pull", "resolve"]
override_path = true
"""


def _toml(folder: Path) -> str:
    """Return containerd's settings in the format that 1.6 and 2 read; JSON strings are also TOML's."""
    plugins = next((path for path in PLUGINS if (path / "bridge").exists()), PLUGINS[0])
    return f"""version = 2
oom_score = 0
[plugins."{_CRI}"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."{_CRI}".cni]
bin_dir = {json.dumps(str(plugins))}
conf_dir = {json.dumps(str(folder / "cni"))}
[plugins."{_CRI}".registry]
config_path = {json.dumps(str(folder / "mirrors"))}
[plugins."{_CRI}".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."{_CRI}".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


_NETWORK = {
    "cniVersion": "1.0.0",
    "name": "bench",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                # In memory, because a restart of the node ends all pods and frees their addresses.
                "dataDir": "/run/cni",
                "ranges": [[{"subnet": PODS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
    ],
}


def _kubelet(machine: Machine) -> Process:
    folder = machine.directory("kubelet")
    config, resolver = folder / "config.json", folder / "resolv.conf"
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "port": _KUBELET,
        "healthzPort": _KUBELET_HEALTH,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(machine.certificates.authority)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": SOCKET,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroups.name(machine.root)}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(resolver),
        # The machine's disk is shared, and the defaults would evict pods when it is 85 % full.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "2%", "imagefs.available": "2%"},
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "serializeImagePulls": False,
        # A changed ConfigMap or Secret reaches a running pod in 5 s instead of a minute.
        "syncFrequency": "5s",
    }
    argv = (
        str(machine.programs["kubelet"]),
        f"--config={config}",
        f"--kubeconfig={machine.certificates.kubeconfig('kubelet')}",
        f"--hostname-override={NODE}",
        f"--node-ip={ADDRESS}",
    )
    return _inside(
        machine, "kubelet", argv, Probe(_KUBELET_HEALTH, "/healthz"), {config: json.dumps(settings), resolver: ""}
    )


def _kube_proxy(machine: Machine) -> Process:
    config = machine.directory("kube-proxy") / "config.json"
    settings = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": PODS,
        "hostnameOverride": NODE,
        "healthzBindAddress": f"127.0.0.1:{_PROXY_HEALTH}",
        "metricsBindAddress": f"127.0.0.1:{_PROXY_METRICS}",
        "clientConnection": {"kubeconfig": str(machine.certificates.kubeconfig("kube-proxy"))},
        # Zero leaves the machine's own connection tracking as it is.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    argv = (str(machine.programs["kube-proxy"]), f"--config={config}")
    return _inside(machine, "kube-proxy", argv, Probe(_PROXY_HEALTH, "/livez"), {config: json.dumps(settings)})


_PROCESSES: dict[str, Callable[[Machine], Process]] = {
    "holder": _holder,
    "kubelet": _kubelet,
    "kube-proxy": _kube_proxy,
}
NAMES = frozenset(name for names in STAGES for name in names)
