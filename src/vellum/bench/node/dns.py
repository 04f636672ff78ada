"""The objects of the cluster's DNS: CoreDNS as a Deployment behind the Service that every pod's resolv.conf names."""

from __future__ import annotations

from vellum.bench.node.images import COREDNS
from vellum.bench.node.processes import DNS
from vellum.kube.objects import RESTRICTED_CONTAINER, RESTRICTED_POD, Key, Obj, config_map, make

NAME, NAMESPACE, SERVICE = "coredns", "kube-system", "kube-dns"
_RBAC = "rbac.authorization.k8s.io/v1"
_LABELS = {"k8s-app": SERVICE}
_PORT, _HEALTH, _READY = 1053, 8080, 8181
_COREFILE = f"""
.:{_PORT} {{
  errors
  health :{_HEALTH}
  ready :{_READY}
  kubernetes cluster.local in-addr.arpa
  cache 5
}}
"""
DEPLOYMENT = Key("apps/v1", "Deployment", NAMESPACE, NAME)


def objects() -> list[Obj]:
    """Return all objects; names outside the cluster do not resolve, because the node has no way out."""
    reads = [
        {"apiGroups": [""], "resources": ["services", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME}
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    ports = [
        {"name": name, "port": 53, "targetPort": _PORT, "protocol": protocol}
        for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP"))
    ]
    return [
        make("v1", "ServiceAccount", NAME, NAMESPACE),
        make(_RBAC, "ClusterRole", NAME, rules=reads),
        make(_RBAC, "ClusterRoleBinding", NAME, roleRef=role, subjects=[subject]),
        config_map(NAME, NAMESPACE, {"Corefile": _COREFILE}),
        make("v1", "Service", SERVICE, NAMESPACE, spec={"clusterIP": DNS, "selector": _LABELS, "ports": ports}),
        _deployment(),
    ]


def _deployment() -> Obj:
    container = {
        "name": NAME,
        "image": COREDNS,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "securityContext": RESTRICTED_CONTAINER,
        "readinessProbe": {"httpGet": {"path": "/ready", "port": _READY}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/health", "port": _HEALTH}},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "170Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    pod = {
        "serviceAccountName": NAME,
        "dnsPolicy": "Default",
        "securityContext": RESTRICTED_POD,
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": NAME}}],
    }
    template = {"metadata": {"labels": _LABELS}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": _LABELS}, "template": template}
    return make("apps/v1", "Deployment", NAME, NAMESPACE, labels=_LABELS, spec=spec)
