"""The charts that the bench serves. Most are stand-ins, because neither the charts nor their images can be pulled here.

Real are KServe's three charts, and Kubeflow Trainer's with JobSet's in it, which are in their Go modules, and Vellum's
own (``package.charts``). A stand-in has the parts of the real chart that others see: CRDs, workloads, Services with
their ports, labels, accounts, and the values that Vellum sets, with their effect. They were read off the real charts,
rendered at these versions. A stand-in has no webhook configurations, since no process here could answer them, and no
hooks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from vellum.bench.chart import (
    NAMESPACE,
    RELEASE,
    Chart,
    Container,
    If,
    account,
    crd,
    expression,
    files,
    rights,
    scaler,
    service,
    value,
    workload,
)
from vellum.kube.objects import RESTRICTED_POD, Obj, config_map, make
from vellum.objectstore.seaweed import API as SEAWEED
from vellum.package.charts import archives, packed

KSERVE = ("kserve-crd", "kserve-resources", "kserve-runtime-configs")
TRAINER = "kubeflow-trainer"
REAL = (*KSERVE, TRAINER)
_TESTS = "tests/"
"""Files that the charts' .helmignore excludes; otherwise every record of a release would contain them."""


def served(folders: Mapping[str, Path]) -> dict[str, bytes]:
    """Return the archives of all charts by file name; ``folders`` has the real ones by name."""
    made = {f"{chart.name}-{chart.version}.tgz": packed(chart.name, files(chart)) for chart in STAND_INS}
    made |= archives()
    made |= {f"{name}-v0.20.0.tgz": packed(name, _files(folders["kserve-charts"] / name)) for name in KSERVE}
    return {**made, f"{TRAINER}-2.3.0.tgz": packed(TRAINER, _trainer(folders))}


def _trainer(folders: Mapping[str, Path]) -> dict[str, bytes]:
    """Return the files of Kubeflow Trainer's chart, with the two subcharts that its publisher adds."""
    result = _files(folders["trainer-chart"])
    for name in ("jobset", "lws"):
        result |= {f"charts/{name}/{path}": content for path, content in _files(folders[f"{name}-chart"]).items()}
    # The tag has version 0.1.0, which the release replaces. A subchart of another version than required is always on.
    about = "charts/lws/Chart.yaml"
    return {**result, about: re.sub(rb"(?m)^version: .*$", b"version: 0.8.0", result[about])}


def _files(folder: Path) -> dict[str, bytes]:
    paths = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in paths.items() if not name.startswith(_TESTS)}


# cert-manager


def _cert_manager_part(name: str, values: str, ports: dict[str, int]) -> tuple[Obj, ...]:
    """Build one of its three programs; its labels call it ``name``."""
    part = "controller" if name == "cert-manager" else name
    full = RELEASE if name == "cert-manager" else f"{RELEASE}-{name}"
    image = f"quay.io/jetstack/cert-manager-{part}:v1.21.1"
    container = Container(f"cert-manager-{part}", image, ports, f"{values}resources")
    if part == "webhook":
        role = rights("Role", f"{full}:dynamic-serving", full, [_SECRETS])
    else:
        elected = value("global.leaderElection.namespace")
        role = rights("Role", f"{full}:leaderelection", full, [_LEASES], elected)
    return (
        account(full),
        workload(
            full,
            container,
            _cert_manager_labels(name, part),
            beside={"app": name},
            pod={"securityContext": RESTRICTED_POD},
            replicas=value(f"{values}replicaCount"),
        ),
        *role,
    )


def _cert_manager_labels(name: str, part: str) -> dict[str, str]:
    return {"app.kubernetes.io/component": part, "app.kubernetes.io/instance": RELEASE, "app.kubernetes.io/name": name}


_LEASES: Obj = {
    "apiGroups": ["coordination.k8s.io"],
    "resources": ["leases"],
    "verbs": ["create", "get", "patch", "update"],
}
_SECRETS: Obj = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "get", "list", "update", "watch"]}
_KEPT = expression("ternary `keep` `delete` .Values.crds.keep")
CERT_MANAGER = Chart(
    "cert-manager", "v1.21.1",
    (
        *(If("crds.enabled", crd("cert-manager.io/v1", kind, scope=scope, keep=_KEPT)) for kind, scope in (
            ("Certificate", "Namespaced"), ("CertificateRequest", "Namespaced"), ("Issuer", "Namespaced"),
            ("ClusterIssuer", "Cluster"))),
        *(If("crds.enabled", crd("acme.cert-manager.io/v1", kind, keep=_KEPT)) for kind in ("Order", "Challenge")),
        *_cert_manager_part("cert-manager", "", {"http-metrics": 9402, "http-healthz": 9403}),
        *_cert_manager_part("webhook", "webhook.", {"https": 10250, "healthcheck": 6080, "http-metrics": 9402}),
        *_cert_manager_part("cainjector", "cainjector.", {"http-metrics": 9402}),
        service(RELEASE, _cert_manager_labels("cert-manager", "controller"),
                {"tcp-prometheus-servicemonitor": (9402, 9402)}),
        service(f"{RELEASE}-webhook", _cert_manager_labels("webhook", "webhook"),
                {"https": (443, 10250), "metrics": (9402, 9402)}),
        service(f"{RELEASE}-cainjector", _cert_manager_labels("cainjector", "cainjector"),
                {"http-metrics": (9402, 9402)}),
    ),
    {
        "crds": {"enabled": False, "keep": True}, "global": {"leaderElection": {"namespace": "kube-system"}},
        "replicaCount": 1, "resources": {}, "webhook": {"replicaCount": 1, "resources": {}},
        "cainjector": {"replicaCount": 1, "resources": {}},
    },
)  # fmt: skip


# Istio

_ISTIO_KINDS = {
    "networking.istio.io/v1": (
        ("v1beta1", "v1alpha3"),
        "DestinationRule Gateway ServiceEntry Sidecar VirtualService WorkloadEntry WorkloadGroup",
    ),
    "networking.istio.io/v1alpha3": ((), "EnvoyFilter"),
    "networking.istio.io/v1beta1": ((), "ProxyConfig"),
    "security.istio.io/v1": (("v1beta1",), "AuthorizationPolicy PeerAuthentication RequestAuthentication"),
    "telemetry.istio.io/v1": (("v1alpha1",), "Telemetry"),
    "extensions.istio.io/v1alpha1": ((), "TrafficExtension WasmPlugin"),
}
ISTIO_BASE = Chart(
    "base",
    "1.30.3",
    (
        *(crd(api, kind, more=more) for api, (more, kinds) in _ISTIO_KINDS.items() for kind in kinds.split()),
        account("istio-reader-service-account"),
    ),
)
_DISCOVERY = {
    "http-debug": 8080,
    "grpc-xds": 15010,
    "tls-xds": 15012,
    "https-webhooks": 15017,
    "http-monitoring": 15014,
}
ISTIOD = Chart(
    "istiod", "1.30.3",
    (
        account("istiod"),
        config_map("istio", NAMESPACE, {"mesh": "defaultConfig: {}\n"}),
        workload(
            "istiod",
            Container("discovery", "registry.istio.io/release/pilot:1.30.3", _DISCOVERY, "resources", ("discovery",),
                      security={"readOnlyRootFilesystem": True,
                                "seccompProfile": expression("default nil .Values.seccompProfile")}),
            {"istio": "pilot"}, beside={"app": "istiod", "istio.io/rev": "default"}, replicas=value("replicaCount"),
        ),
        service("istiod", {"app": "istiod", "istio": "pilot"}, {
            "grpc-xds": (15010, 15010), "https-dns": (15012, 15012), "https-webhook": (443, 15017),
            "http-monitoring": (15014, 15014)}),
        If("autoscaleEnabled", scaler("istiod")),
    ),
    {"resources": {"requests": {"cpu": "500m", "memory": "2048Mi"}}, "autoscaleEnabled": True, "replicaCount": 1,
     "seccompProfile": {}},
)  # fmt: skip
_CNI_CAPABILITIES = ["NET_ADMIN", "NET_RAW", "SYS_PTRACE", "SYS_ADMIN", "DAC_OVERRIDE"]
ISTIO_CNI = Chart(
    "cni", "1.30.3",
    (
        account("istio-cni"),
        config_map("istio-cni-config", NAMESPACE, {"AMBIENT_ENABLED": "false"}),
        workload(
            "istio-cni-node",
            Container("install-cni", "registry.istio.io/release/install-cni:1.30.3", {"metrics": 15014}, "resources",
                      security={"runAsNonRoot": False, "runAsUser": 0, "allowPrivilegeEscalation": True,
                                "capabilities": {"drop": ["ALL"], "add": _CNI_CAPABILITIES}}),
            {"k8s-app": "istio-cni-node"}, kind="DaemonSet", account="istio-cni",
            pod={"priorityClassName": "system-node-critical",
                 "volumes": [{"name": "cni-bin-dir", "hostPath": {"path": "/opt/cni/bin"}}]},
        ),
    ),
    {"resources": {"requests": {"cpu": "100m", "memory": "100Mi"}}},
)  # fmt: skip
_GATEWAY_LABELS = {"app": RELEASE, "istio": expression("trimPrefix `istio-` .Release.Name")}
_GATEWAY_SYSCTL = "(dict `sysctls` (list (dict `name` `net.ipv4.ip_unprivileged_port_start` `value` `0`)))"
_GATEWAY_ACCOUNT = expression("default .Release.Name .Values.serviceAccount.name")
GATEWAY = Chart(
    "gateway", "1.30.3",
    (
        account(_GATEWAY_ACCOUNT),
        workload(
            RELEASE,
            # While injecting, istiod replaces this word with the proxy's image; without injection it stays.
            Container("istio-proxy", "auto", {"http-envoy-prom": 15090}, "resources",
                      security={"readOnlyRootFilesystem": True, "runAsUser": 1337, "runAsGroup": 1337}),
            _GATEWAY_LABELS, account=_GATEWAY_ACCOUNT, replicas=value("replicaCount"),
            pod={"securityContext": expression(f"default {_GATEWAY_SYSCTL} .Values.securityContext")},
        ),
        service(RELEASE, _GATEWAY_LABELS, {"status-port": (15021, 15021), "http2": (80, 80), "https": (443, 443)},
                value("service.type")),
        If("autoscaling.enabled", scaler(RELEASE)),
    ),
    {
        "serviceAccount": {"name": ""}, "service": {"type": "LoadBalancer"}, "autoscaling": {"enabled": True},
        "replicaCount": None, "resources": {"requests": {"cpu": "100m", "memory": "128Mi"},
                                            "limits": {"cpu": "2000m", "memory": "1024Mi"}},
        "securityContext": {},
    },
)  # fmt: skip


# The object store's operator

_SEAWEED_KINDS = (
    "AdminScript BucketLifecyclePolicy Bucket ResourceReferenceGrant S3Credentials S3Identity S3OIDCProvider S3Policy "
    "S3PolicyBinding SeaweedBackup SeaweedCSIDriver SeaweedRestore Seaweed"
)
_OPERATOR = {"app.kubernetes.io/name": "seaweedfs-operator", "app.kubernetes.io/instance": RELEASE}
_SEAWEED_ALL: Obj = {"apiGroups": ["seaweed.seaweedfs.com"], "resources": ["*"], "verbs": ["*"]}
_SEAWEED_READ: Obj = {**_SEAWEED_ALL, "verbs": ["get", "list", "watch"]}
_OPERATOR_CERTIFICATE = (
    make("cert-manager.io/v1", "Issuer", f"{RELEASE}-webhook-selfsigned-issuer", NAMESPACE, spec={"selfSigned": {}}),
    make(
        "cert-manager.io/v1",
        "Certificate",
        f"{RELEASE}-webhook-cert",
        NAMESPACE,
        spec={
            "secretName": f"{RELEASE}-webhook-server-cert",
            "dnsNames": [f"{RELEASE}-webhook.{NAMESPACE}.svc"],
            "issuerRef": {"kind": "Issuer", "name": f"{RELEASE}-webhook-selfsigned-issuer"},
        },
    ),
)
SEAWEEDFS_OPERATOR = Chart(
    "seaweedfs-operator",
    "0.1.39",
    (
        *(crd(SEAWEED, kind) for kind in _SEAWEED_KINDS.split()),
        account(RELEASE),
        *rights(
            "ClusterRole", f"{RELEASE}-manager-role", RELEASE, [_SEAWEED_ALL], binding=f"{RELEASE}-manager-rolebinding"
        ),
        make("rbac.authorization.k8s.io/v1", "ClusterRole", "seaweed-editor-role", rules=[_SEAWEED_ALL]),
        make("rbac.authorization.k8s.io/v1", "ClusterRole", "seaweed-viewer-role", rules=[_SEAWEED_READ]),
        workload(
            RELEASE,
            Container(
                "seaweedfs-operator",
                "docker.io/chrislusf/seaweedfs-operator:1.0.36",
                # Its container port is 443 and it listens at 9443, which its Service targets.
                {"http": 8080, "https": 443},
                "resources",
            ),
            _OPERATOR,
            replicas=value("replicaCount"),
            pod={"securityContext": value("podSecurityContext")},
        ),
        service(RELEASE, _OPERATOR, {"http": (8080, 8080)}),
        service(f"{RELEASE}-webhook", _OPERATOR, {"https": (443, 9443)}),
        *(If("webhook.certManager.enabled", item) for item in _OPERATOR_CERTIFICATE),
    ),
    {
        "replicaCount": 1,
        "podSecurityContext": {"runAsNonRoot": True},
        "webhook": {"certManager": {"enabled": False}},
        "resources": {"requests": {"cpu": "100m", "memory": "50Mi"}, "limits": {"cpu": "500m", "memory": "500Mi"}},
    },
)


# Argo Workflows

_ARGO_KINDS = (
    "CronWorkflow WorkflowArtifactGCTask WorkflowEventBinding Workflow WorkflowTaskResult WorkflowTaskSet "
    "WorkflowTemplate"
)
_ARGO = f"{RELEASE}-workflow-controller"
_ARGO_RULES: tuple[Obj, ...] = (
    {"apiGroups": ["argoproj.io"], "resources": ["*"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["pods", "pods/exec"], "verbs": ["*"]},
)
ARGO_WORKFLOWS = Chart(
    "argo-workflows", "1.0.14",
    (
        If("crds.install", crd("argoproj.io/v1alpha1", "ClusterWorkflowTemplate", scope="Cluster", keep=_KEPT)),
        *(If("crds.install", crd("argoproj.io/v1alpha1", kind, keep=_KEPT)) for kind in _ARGO_KINDS.split()),
        account(_ARGO),
        *(If("singleNamespace", item) for item in rights("Role", _ARGO, _ARGO, _ARGO_RULES)),
        *(If("singleNamespace | not", item) for item in rights("ClusterRole", _ARGO, _ARGO, _ARGO_RULES)),
        If("controller.configMap.create", config_map(f"{RELEASE}-workflow-controller-configmap", NAMESPACE, {})),
        workload(
            _ARGO,
            Container("controller", "quay.io/argoproj/workflow-controller:v4.0.5", {"metrics": 9090, "probe": 6060},
                      "controller.resources",
                      ("--configmap",
                       expression("default (printf `%s-workflow-controller-configmap` .Release.Name)"
                                  " .Values.controller.configMap.name"),
                       "--executor-image", "quay.io/argoproj/argoexec:v4.0.5",
                       expression("ternary `--namespaced` `--loglevel=info` .Values.singleNamespace")),
                      security={"readOnlyRootFilesystem": True}),
            {"app.kubernetes.io/name": "argo-workflows-workflow-controller", "app.kubernetes.io/instance": RELEASE},
            beside={"app": "workflow-controller"},
            replicas=value("controller.replicas"), pod={"securityContext": value("controller.podSecurityContext")},
        ),
    ),
    {
        "crds": {"install": True, "keep": True}, "singleNamespace": False,
        "controller": {"configMap": {"create": True, "name": ""}, "podSecurityContext": {}, "resources": {},
                       "replicas": 1},
    },
)  # fmt: skip


STAND_INS = (CERT_MANAGER, ISTIO_BASE, ISTIOD, ISTIO_CNI, GATEWAY, SEAWEEDFS_OPERATOR, ARGO_WORKFLOWS)
