"""A real kubelet with containerd, used as users do: with ``vellum bench`` and kubectl."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.bench.real import Bench, condition, until

from vellum.bench.node import cgroups

POD = ("get", "pod", "-n", "crossplane-system", "-l", "app=crossplane", "-o", "json")
FOLDERS = ("/run", "/run/netns", "/var/lib", "/var/log", "/etc", "/etc/cni", "/opt", "/usr/libexec")
SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "net/ipv4/ip_forward",
    "net/bridge/bridge-nf-call-iptables",
    "net/netfilter/nf_conntrack_max",
)


def output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def machine(root: Path) -> Mapping[str, Any]:
    """Return what a node could leave behind on this machine."""
    rules = [line for line in output("iptables-save").splitlines() if not line.startswith(("#", ":"))]
    hierarchies = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if " cgroup" in line]
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        # A process may end meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            commands.append(path.read_bytes())
    return {
        "network namespaces": output("ip", "netns", "list"),
        "interfaces": output("ip", "-brief", "link"),
        "routes": output("ip", "route", "show", "table", "all"),
        "iptables": rules,
        "mounts": Path("/proc/mounts").read_text(),
        "cgroups": sorted(str(path) for hierarchy in hierarchies for path in Path(hierarchy).glob("vellum-bench-*")),
        "kubelet's cgroups": sorted(str(path) for path in Path("/sys/fs/cgroup").glob("*/k*")),
        "sysctls": {name: Path("/proc/sys", name).read_text() for name in SYSCTLS},
        "processes": [line for line in commands if os.fsencode(root) in line],
        "files": {folder: sorted(Path(folder).iterdir()) for folder in FOLDERS if Path(folder).is_dir()},
    }


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Yield a bench that is not started; the machine must be as it was once the test has ended it."""
    root = Path(tempfile.mkdtemp(prefix="vellum-node-"))
    bench = Bench(root / "bench")
    try:
        yield bench
    finally:
        bench.vellum("down", check=False)
        shutil.rmtree(root, ignore_errors=True)


def started(bench: Bench) -> Bench:
    status = json.loads(bench.vellum("up", "--node", "--output", "json").stdout)
    return replace(bench, kubeconfig=status["kubeconfig"], program=status["kubectl"])


def pids(bench: Bench) -> dict[str, int]:
    processes = json.loads(bench.vellum("status", "--output", "json", check=False).stdout)["processes"]
    return {process["name"]: process["pid"] for process in processes}


def program(launcher: int) -> int:
    """Return the pid of the program that a process in the node's namespaces runs as its child."""
    (child,) = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return int(child)


def runs_anew(bench: Bench, name: str, old: int) -> bool:
    """Return whether another process of that name runs."""
    return pids(bench)[name] not in {0, old}


def pod(bench: Bench) -> Any:
    """Return Crossplane's pod if it is ready."""
    (result,) = json.loads(bench.kubectl(*POD))["items"]
    return result if condition(result, "Ready").get("status") == "True" else None


def resolved(bench: Bench, name: str) -> str:
    """Return the address that the cluster's DNS gives a name, asked over TCP through kubectl's port-forward."""
    argv = [bench.program, "-n", "kube-system", "port-forward", "service/kube-dns", ":53"]
    environment = {"PATH": os.environ["PATH"], "KUBECONFIG": bench.kubeconfig}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as forward:
        assert forward.stdout is not None
        port = int(forward.stdout.readline().rpartition(" -> ")[0].rpartition(":")[2])
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        query = struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(struct.pack(">H", len(query)) + query)
            answer = connection.recv(4096)
        forward.terminate()
    return socket.inet_ntoa(answer[-4:])


def test_a_node_runs_pods_survives_kills_and_leaves_no_trace(bench: Bench) -> None:
    """Crossplane runs as pods, which reach the API server through a Service, and installs provider-helm from its package.

    SIGKILL ends the kubelet and containerd: both are back, and the pods continue. SIGKILL ends the first process of the
    node's namespaces: this is a power cut of the node, and the pods are started again.
    """
    before = machine(bench.root)
    bench = started(bench)
    (node,) = bench.list("nodes")
    assert node["metadata"]["name"] == "node"
    assert condition(node, "Ready")["status"] == "True"
    (provider,) = bench.list("providers.pkg.crossplane.io")
    assert [condition(provider, kind)["status"] for kind in ("Installed", "Healthy")] == ["True", "True"]
    running = {result["spec"]["serviceAccountName"]: result["status"]["phase"] for result in bench.list("pods", "-A")}
    assert running == dict.fromkeys(("coredns", "crossplane", "rbac-manager", "provider-helm"), "Running")
    assert resolved(bench, "kubernetes.default.svc.cluster.local") == "10.96.0.1"
    # Logs and exec go from the API server to the kubelet, and exec from there to containerd.
    deployment = ("-n", "crossplane-system", "deployment/crossplane", "-c", "crossplane")
    assert '"logger":"crossplane"' in bench.kubectl("logs", *deployment)
    assert bench.kubectl("exec", *deployment, "--", "/crossplane", "--version") == "v2.3.4\n"

    refused = bench.vellum("up", "--bare", check=False)
    assert "VEL909: the running bench has a node, so leave out FILES" in refused.stderr

    first = pod(bench)
    for name in ("kubelet", "containerd"):
        launcher = pids(bench)[name]
        os.kill(program(launcher), signal.SIGKILL)
        until(functools.partial(runs_anew, bench, name, launcher), 30)
    # Long enough for the kubelet's next look at all pods.
    time.sleep(6)
    later = until(lambda: pod(bench), 60)
    assert later["status"]["containerStatuses"] == first["status"]["containerStatuses"]

    os.kill(program(pids(bench)["holder"]), signal.SIGKILL)
    restarted = until(lambda: (result := pod(bench)) and restarts(result) > restarts(first) and result, 120)
    assert restarted["metadata"]["uid"] == first["metadata"]["uid"]
    assert resolved(bench, "crossplane-webhooks.crossplane-system.svc.cluster.local").startswith("10.96.")

    during = machine(bench.root)
    unchanged = {"network namespaces", "interfaces", "routes", "iptables", "mounts", "sysctls", "kubelet's cgroups"}
    assert {name: during[name] for name in unchanged} == {name: before[name] for name in unchanged}
    bench.vellum("down")
    assert machine(bench.root) == before


def restarts(result: Any) -> int:
    return sum(status["restartCount"] for status in result["status"]["containerStatuses"])


@pytest.mark.parametrize("also", [(), ("containerd", "kubelet", "holder")])
def test_a_killed_bench_leaves_no_trace(bench: Bench, also: tuple[str, ...]) -> None:
    """SIGKILL ends the bench's own process, and programs of the node with it; then `vellum bench down`."""
    before = machine(bench.root)
    bench = started(bench)
    record = json.loads((bench.root / "supervisor.json").read_text())
    running = pids(bench)
    os.kill(record["pid"], signal.SIGKILL)
    for name in also:
        os.kill(running[name], signal.SIGKILL)
    bench.vellum("down")
    assert machine(bench.root) == before


def test_down_reports_a_process_that_does_not_end(bench: Bench) -> None:
    """A frozen process does not die; once it is thawed, the next `down` ends it."""
    freezer = Path("/sys/fs/cgroup/freezer")
    if not freezer.is_dir():
        pytest.skip("this machine has cgroup v2, in which a frozen process dies")
    cgroups.create(bench.root)
    top = freezer / cgroups.name(bench.root)
    with subprocess.Popen(["sleep", "600"]) as frozen:
        (top / "cgroup.procs").write_text(str(frozen.pid))
        (top / "freezer.state").write_text("FROZEN")
        try:
            refused = bench.vellum("down", check=False)
        finally:
            (top / "freezer.state").write_text("THAWED")
    assert refused.returncode == 1
    assert f"VEL910: processes of the node do not end: {frozen.pid}\n  where: {top}\n" in refused.stderr
    bench.vellum("down")
    assert machine(bench.root)["cgroups"] == []


def test_a_user_without_rights_is_refused_before_a_build(bench: Bench) -> None:
    """The refusal comes before anything is built or written."""
    without = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    refused = bench.vellum("up", "--node", check=False, before=without)
    assert refused.returncode == 1
    assert "VEL908: this machine cannot run a node: root lacks CAP_SYS_ADMIN here" in refused.stderr
    assert not bench.root.exists()


def test_files_and_a_node_exclude_each_other(bench: Bench) -> None:
    refused = bench.vellum("up", "--node", "claim.yaml", check=False)
    assert refused.returncode == 2
    assert "--node applies nothing: leave out FILES, or leave out --node" in refused.stderr
