"""The control plane's programs as processes: flags, ports and certificates. Measured on the versions in tools/.

kwok's heartbeats are slower than the node controller expects by default, so pods would turn NotReady. Crossplane's core
always dials functions with mTLS, and binds its metrics, health and webhooks to all interfaces, without a flag for that;
KServe's webhook server has no flag either. provider-helm, as it is built here, opens no port.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from vellum.bench.certificates import Certificates
from vellum.host.ports import Ports
from vellum.model.process import Probe, Process
from vellum.package import provider

SERVICES = "10.96.0.0/16"
LOOPBACK = "127.0.0.1"
BREAKER_BURST = 1000
"""How many events of one claim Crossplane accepts in a burst. A full claim makes 29 objects, and over a hundred events
while they become ready. With Crossplane's default of 100 the breaker opens for half a minute on some claims; with 300,
on a new claim that is edited nine times in ten seconds (both measured)."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The programs, folders and ports of which the processes are made."""

    root: Path
    programs: dict[str, Path]
    function_python: Path
    certificates: Certificates
    ports: Ports
    address: str = LOOPBACK
    """Where pods reach the API server and the registry; loopback if no kubelet runs pods."""

    @property
    def listens(self) -> str:
        """The address on which the API server and the registry listen; with a node, all of the node's addresses."""
        return self.address if self.address == LOOPBACK else "0.0.0.0"  # noqa: S104  # a network without a way in

    def port(self, name: str) -> int:
        """Return a port of the bench, the same every time."""
        return self.ports.get(f"bench/{name}")

    @property
    def server(self) -> str:
        """The API server's address."""
        return f"https://127.0.0.1:{self.port('apiserver')}"

    @property
    def registry(self) -> str:
        """The registry's host and port."""
        return f"127.0.0.1:{self.port('registry')}"

    @property
    def charts(self) -> str:
        """The registry's address for Helm."""
        return f"oci://{self.registry}/charts"

    def process(self, name: str) -> Process:
        """Return the process of one of the programs."""
        return _PROCESSES[name](self)

    def directory(self, name: str) -> Path:
        """Return the private folder of one program."""
        return self.root / "data" / "bench" / name


STAGES: tuple[tuple[str, ...], ...] = (
    ("etcd", "registry"),
    ("apiserver",),
    ("controllers", "scheduler", "kwok"),
    ("crossplane", "rbac-manager"),
)
"""The stages of a start: the programs of one stage start together, once all earlier ones answer."""


def _described(
    machine: Machine, name: str, argv: tuple[str, ...], probe: Probe | None, *ports: int, **env: str
) -> Process:
    listens = (*((probe.port,) if probe else ()), *ports)
    return Process(
        name=name,
        argv=argv,
        directory=machine.directory(name),
        probe=probe,
        ports=listens,
        env={"HOME": str(machine.directory(name)), "GOMAXPROCS": "2", **env},
        grace_seconds=8.0,
    )


def _etcd(machine: Machine) -> Process:
    client, peer, health = (machine.port(f"etcd-{use}") for use in ("client", "peer", "health"))
    certificate, key = machine.certificates.pair("etcd")
    authority = machine.certificates.authority
    peers = f"https://127.0.0.1:{peer}"
    argv = (
        str(machine.programs["etcd"]),
        "--name=bench",
        f"--data-dir={machine.directory('etcd') / 'data'}",
        f"--listen-client-urls=https://127.0.0.1:{client}",
        f"--advertise-client-urls=https://127.0.0.1:{client}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=bench={peers}",
        f"--cert-file={certificate}",
        f"--key-file={key}",
        f"--trusted-ca-file={authority}",
        "--client-cert-auth",
        f"--peer-cert-file={certificate}",
        f"--peer-key-file={key}",
        f"--peer-trusted-ca-file={authority}",
        "--peer-client-cert-auth",
        f"--listen-metrics-urls=http://127.0.0.1:{health}",
        "--log-level=warn",
        # A bench is deleted when it ends, so its data need not survive a power cut.
        "--unsafe-no-fsync",
    )
    return _described(machine, "etcd", argv, Probe(health, "/readyz"), client, peer)


# The endpoint reconciler requires an address that is not loopback.
_WITHOUT_KUBELET = ("--authorization-mode=RBAC", "--endpoint-reconciler-type=none")


def _with_kubelet(machine: Machine) -> tuple[str, ...]:
    certificate, key = machine.certificates.pair("kubelet-client")
    return (
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-client-certificate={certificate}",
        f"--kubelet-client-key={key}",
        "--allow-privileged",
    )


def _apiserver(machine: Machine) -> Process:
    certificate, key = machine.certificates.pair("apiserver")
    store, store_key = machine.certificates.pair("etcd")
    signs, public = machine.certificates.accounts
    authority = machine.certificates.authority
    argv = (
        str(machine.programs["kube-apiserver"]),
        f"--bind-address={machine.listens}",
        f"--advertise-address={machine.address}",
        f"--secure-port={machine.port('apiserver')}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={authority}",
        *(_WITHOUT_KUBELET if machine.address == LOOPBACK else _with_kubelet(machine)),
        f"--etcd-servers=https://127.0.0.1:{machine.port('etcd-client')}",
        f"--etcd-cafile={authority}",
        f"--etcd-certfile={store}",
        f"--etcd-keyfile={store_key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={public}",
        f"--service-account-signing-key-file={signs}",
        f"--service-cluster-ip-range={SERVICES}",
        # Crossplane's core sends more requests than the default flow allows one user, and it is the only client here.
        "--enable-priority-and-fairness=false",
        # Who changes what, and with which program: a test compares it with what a dry run announced.
        f"--audit-policy-file={machine.directory('apiserver') / 'audit.json'}",
        "--audit-log-maxsize=50",
        f"--audit-log-path={machine.directory('apiserver') / 'audit.log'}",
        "--audit-log-maxbackup=1",
    )
    audited = [
        {"level": "Metadata", "users": ["admin"], "verbs": ["create", "update", "patch", "delete"]},
        {"level": "None"},
    ]
    policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": audited, "omitStages": ["RequestReceived"]}
    # The API server spent a quarter of its time on garbage; with this setting 50 claims take 105 s instead of 140.
    garbage = {"GOGC": "300", "GOMEMLIMIT": "3GiB"}
    described = _described(machine, "apiserver", argv, Probe(machine.port("apiserver"), "/readyz", tls=True), **garbage)
    return replace(described, files={machine.directory("apiserver") / "audit.json": json.dumps(policy)})


def _controllers(machine: Machine) -> Process:
    signs, _ = machine.certificates.accounts
    argv = (
        str(machine.programs["kube-controller-manager"]),
        "--bind-address=127.0.0.1",
        f"--secure-port={machine.port('controllers')}",
        f"--kubeconfig={machine.certificates.kubeconfig('admin')}",
        f"--service-account-private-key-file={signs}",
        f"--root-ca-file={machine.certificates.authority}",
        "--leader-elect=false",
        "--node-monitor-grace-period=24h",
        "--concurrent-gc-syncs=30",
        "--concurrent-namespace-syncs=20",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    )
    return _described(machine, "controllers", argv, Probe(machine.port("controllers"), "/healthz", tls=True))


def _scheduler(machine: Machine) -> Process:
    config = str(machine.certificates.kubeconfig("admin"))
    argv = (
        str(machine.programs["kube-scheduler"]),
        "--bind-address=127.0.0.1",
        f"--kubeconfig={config}",
        f"--secure-port={machine.port('scheduler')}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--leader-elect=false",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    )
    return _described(machine, "scheduler", argv, Probe(machine.port("scheduler"), "/healthz", tls=True))


def _kwok(machine: Machine) -> Process:
    stages = machine.directory("kwok") / "stages.yaml"
    port = machine.port("kwok")
    argv = (
        str(machine.programs["kwok"]),
        f"--kubeconfig={machine.certificates.kubeconfig('kwok')}",
        "--manage-all-nodes=true",
        f"--config={stages}",
        f"--server-address=127.0.0.1:{port}",
    )
    return _described(machine, "kwok", argv, Probe(port, "/healthz"))


def _crossplane(machine: Machine) -> Process:
    health, metrics = machine.port("crossplane-health"), machine.port("crossplane-metrics")
    webhooks = machine.port("crossplane-webhooks")
    argv = (
        str(machine.programs["crossplane"]),
        "core",
        "start",
        "--enable-webhooks",
        f"--webhook-port={webhooks}",
        "--package-runtime=Provider=Deployment;Function=External",
        f"--xpkg-cache-dir={machine.directory('crossplane')}",
        f"--metrics-port={metrics}",
        f"--health-probe-port={health}",
        f"--circuit-breaker-burst={BREAKER_BURST}",
    )
    folders = {
        f"TLS_{use}_CERTS_DIR": str(machine.certificates.pair(name)[0].parent)
        for use, name in (("CLIENT", "crossplane"), ("SERVER", "crossplane-webhooks"))
    }
    return _described(
        machine,
        "crossplane",
        argv,
        Probe(health, "/readyz"),
        metrics,
        webhooks,
        KUBECONFIG=str(machine.certificates.kubeconfig("crossplane")),
        POD_NAMESPACE="crossplane-system",
        **folders,
    )


def _rbac_manager(machine: Machine) -> Process:
    argv = (
        str(machine.programs["crossplane"]),
        "rbac",
        "start",
        "--provider-clusterrole=crossplane:allowed-provider-permissions",
    )
    config = str(machine.certificates.kubeconfig("rbac-manager"))
    return _described(machine, "rbac-manager", argv, None, KUBECONFIG=config)


def _function(machine: Machine) -> Process:
    port, metrics = machine.port("function"), machine.port("function-metrics")
    argv = (
        str(machine.function_python),
        "-P",
        "-m",
        "vellum.cli",
        "function",
        f"--address=localhost:{port}",
        f"--tls-certs-dir={machine.certificates.pair('function')[0].parent}",
        f"--metrics-address=127.0.0.1:{metrics}",
    )
    config = str(machine.certificates.kubeconfig("composer"))
    return _described(machine, "function", argv, Probe(metrics, "/metrics"), port, KUBECONFIG=config)


def _provider_helm(machine: Machine) -> Process:
    argv = (str(machine.programs["provider-helm"]), f"--poll={provider.POLL}")
    # The charts that it pulls and the patches that it applies are in its own folder, which is deleted with the bench.
    return _described(
        machine,
        "provider-helm",
        argv,
        None,
        TMPDIR=str(machine.directory("provider-helm")),
        KUBECONFIG=str(machine.certificates.kubeconfig("provider-helm")),
    )


def _registry(machine: Machine) -> Process:
    port, folder = machine.port("registry"), machine.directory("registry")
    settings = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": f"{machine.listens}:{port}"},
    }
    config = folder / "config.yaml"
    argv = (str(machine.programs["registry"]), "serve", str(config))
    quiet = {f"OTEL_{what}_EXPORTER": "none" for what in ("TRACES", "METRICS", "LOGS")}
    described = _described(machine, "registry", argv, Probe(port, "/v2/"), **quiet)
    return replace(described, files={config: json.dumps(settings)})


def _kserve(machine: Machine) -> Process:
    health, webhooks = machine.port("kserve-health"), machine.port("kserve-webhooks")
    argv = (
        str(machine.programs["kserve"]),
        "--metrics-addr=0",
        f"--health-probe-addr=127.0.0.1:{health}",
        f"--webhook-port={webhooks}",
    )
    # controller-runtime 0.22 serves webhooks with the certificate in this folder, and does not start without it.
    shown = machine.directory("kserve") / "k8s-webhook-server" / "serving-certs"
    pair = machine.certificates.pair("kserve")
    described = _described(
        machine,
        "kserve",
        argv,
        Probe(health, "/readyz"),
        webhooks,
        TMPDIR=str(machine.directory("kserve")),
        KUBECONFIG=str(machine.certificates.kubeconfig("kserve")),
        POD_NAMESPACE="kserve",
    )
    return replace(described, files={shown / path.name: path.read_text() for path in pair})


_PROCESSES: dict[str, Callable[[Machine], Process]] = {
    "etcd": _etcd,
    "apiserver": _apiserver,
    "controllers": _controllers,
    "scheduler": _scheduler,
    "kwok": _kwok,
    "crossplane": _crossplane,
    "rbac-manager": _rbac_manager,
    "function": _function,
    "provider-helm": _provider_helm,
    "registry": _registry,
    "kserve": _kserve,
}
