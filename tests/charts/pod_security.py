"""What Pod Security ``restricted`` forbids in a pod, as Kubernetes 1.36 checks it.

The checks exist as a Go library only; to start an API server for every chart is much for two dozen fields. Held
against all cases of k8s.io/pod-security-admission 0.36.3 for 1.35, baseline and restricted: no other verdict in any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vellum.kube.objects import Obj

_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_SECCOMP = ("RuntimeDefault", "Localhost")
_SELINUX = (None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


def faults(template: Obj) -> tuple[str, ...]:
    """Return the fields of a pod, or of a pod's template, for which ``restricted`` refuses it; none if it passes."""
    spec: Obj = template["spec"]
    containers = [
        item for kind in ("initContainers", "containers", "ephemeralContainers") for item in spec.get(kind) or ()
    ]
    results = {*_of_pod(template), *(fault for container in containers for fault in _of_container(container, spec))}
    return tuple(sorted(results))


def _of_pod(template: Obj) -> Iterator[str]:
    spec: Obj = template["spec"]
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name))
    for volume in spec.get("volumes") or ():
        yield from (f"volume {kind}" for kind in volume.keys() - {"name"} - _VOLUMES)
    security = _security(spec)
    yield from (
        f"sysctl {sysctl['name']}" for sysctl in security.get("sysctls") or () if sysctl["name"] not in _SYSCTLS
    )
    yield from _of_security(security, spec)
    for name, profile in (template.get("metadata", {}).get("annotations") or {}).items():
        if name.startswith(_APPARMOR) and not profile.startswith(("runtime/default", "localhost/")):
            yield "appArmorProfile"


def _of_container(container: Obj, spec: Obj) -> Iterator[str]:
    security, pods = _security(container), _security(spec)
    yield from _of_security(security, spec)
    yield from (name for name in ("privileged",) if security.get(name))
    yield from ("hostPort" for port in container.get("ports") or () if port.get("hostPort"))
    if any(_host(container.get(probe)) for probe in ("livenessProbe", "readinessProbe", "startupProbe")):
        yield "host of a probe"
    if any(map(_host, (container.get("lifecycle") or {}).values())):
        yield "host of a lifecycle hook"
    if security.get("procMount") not in (None, "", "Default"):
        yield "procMount"
    # The pod's setting applies to a container without its own.
    if not _own_users(spec) and not {**pods, **security}.get("runAsNonRoot"):
        yield "runAsNonRoot"
    if spec.get("os", {}).get("name") == "windows":
        return
    if not (security.get("seccompProfile") or pods.get("seccompProfile")):
        yield "seccompProfile"
    if security.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    capabilities = security.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or ()):
        yield "capabilities.drop"
    yield from (f"capability {item}" for item in capabilities.get("add") or () if item != "NET_BIND_SERVICE")


def _of_security(security: Mapping[str, Any], spec: Obj) -> Iterator[str]:
    """Yield what neither the security context of a pod nor that of a container may say."""
    if not _own_users(spec):
        if security.get("runAsNonRoot") is False:
            yield "runAsNonRoot"
        if security.get("runAsUser") == 0:
            yield "runAsUser"
    if "seccompProfile" in security and spec.get("os", {}).get("name") != "windows":
        yield from ("seccompProfile" for kind in [security["seccompProfile"].get("type")] if kind not in _SECCOMP)
    if "appArmorProfile" in security and security["appArmorProfile"].get("type") not in _SECCOMP:
        yield "appArmorProfile"
    selinux = security.get("seLinuxOptions") or {}
    if selinux.get("type") not in _SELINUX or selinux.get("user") or selinux.get("role"):
        yield "seLinuxOptions"
    if (security.get("windowsOptions") or {}).get("hostProcess"):
        yield "hostProcess"


def _security(of: Obj) -> Mapping[str, Any]:
    return of.get("securityContext") or {}


def _own_users(spec: Obj) -> bool:
    """Root in the pod's own user namespace has no rights outside it (1.35)."""
    return spec.get("hostUsers") is False


def _host(action: Mapping[str, Any] | None) -> bool:
    return any((action or {}).get(kind, {}).get("host") for kind in ("httpGet", "tcpSocket"))
