"""A rewrite by the API server is not a difference, and a change by a user is one.

Each row is a rendered value and what the API server (1.36) keeps of it.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vellum.compose.helm.diff import differences
from vellum.compose.helm.normal import amount
from vellum.compose.helm.records import Rendered, _Loader
from vellum.kube.objects import Kind, Obj

POD = ("spec", "template", "spec")
MAIN = (*POD, "containers", "0")
SAME: dict[str, tuple[tuple[str, ...], Any, Any]] = {
    "a limit in thousandths": ((*MAIN, "resources", "limits", "cpu"), "0.5", "500m"),
    "a limit with an exponent": ((*MAIN, "resources", "limits", "memory"), "1e9", "1G"),
    "a limit as a number": ((*MAIN, "resources", "limits", "cpu"), 2, "2"),
    "a limit with a sign": ((*MAIN, "resources", "limits", "cpu"), "+1.50", "1500m"),
    "bytes in thousandths": ((*MAIN, "resources", "requests", "memory"), "128974848000m", "128974848"),
    "less than can be kept": ((*MAIN, "resources", "requests", "cpu"), "0.0000000001", "1n"),
    "a folder's size": ((*POD, "volumes", "0", "emptyDir", "sizeLimit"), "1024Mi", "1Gi"),
    "a claim's size": (
        (*POD, "volumes", "0", "ephemeral", "volumeClaimTemplate", "spec", "resources", "requests", "storage"),
        "1024Gi",
        "1Ti",
    ),
    "a divisor": ((*MAIN, "env", "0", "valueFrom", "resourceFieldRef", "divisor"), "1000m", "1"),
    "a metric's average": (("spec", "metrics", "0", "resource", "target", "averageValue"), "0.5", "500m"),
    "a metric's value": (("spec", "metrics", "0", "external", "target", "value"), "1000m", "1"),
    "a host network that is not": ((*POD, "hostNetwork"), False, None),
    "a mount that may be written": ((*MAIN, "volumeMounts", "0", "readOnly"), False, None),
    "no wait": (("spec", "minReadySeconds"), 0, None),
    "no node port": (("spec", "ports", "0", "nodePort"), 0, 31234),
    "a probe's default": ((*MAIN, "livenessProbe", "timeoutSeconds"), 0, 1),
    "an empty protocol": (("spec", "ports", "0", "protocol"), "", "TCP"),
    "an address that is given": (("spec", "clusterIP"), "", "10.0.0.7"),
    "a null": ((*POD, "securityContext"), None, {"runAsUser": 1000}),
    "an empty variable": ((*MAIN, "env", "0", "value"), "", None),
    "an empty map": ((*POD, "nodeSelector"), {}, None),
    "an empty list": ((*POD, "tolerations"), [], None),
    "no policy types": (("spec", "policyTypes"), [], ["Ingress"]),
    "a mode in octal": ((*POD, "volumes", "0", "configMap", "defaultMode"), "0o644", 420),
    "bytes with line breaks": (("binaryData", "key"), "AAEC\nAwQ=\n", "AAECAwQ="),
    "a service's type": (("spec", "type"), "", "ClusterIP"),
    "a null type": (("spec", "type"), None, "ClusterIP"),
    "a null account": ((*POD, "serviceAccountName"), None, "default"),
    "an account": ((*POD, "serviceAccountName"), "", "default"),
    "a latest image": ((*MAIN, "imagePullPolicy"), "", "Always"),
    "a probe's path": ((*MAIN, "livenessProbe", "httpGet", "path"), "", "/"),
    "a null probe": ((*MAIN, "livenessProbe", "failureThreshold"), None, 3),
    "an address of six": (("spec", "clusterIP"), "", "fd00::7"),
    "addresses": (("spec", "clusterIPs"), [], ["10.0.0.7", "fd00::7"]),
    "a null host network": ((*POD, "hostNetwork"), None, None),
    "a null that has no default": ((*POD, "priorityClassName"), None, "system-node-critical"),
    "a variable's version": ((*MAIN, "env", "0", "valueFrom", "fieldRef", "apiVersion"), "", "v1"),
    "both policy types": (("spec", "policyTypes"), [], ["Ingress", "Egress"]),
    "an update": (("spec", "strategy", "type"), "", "RollingUpdate"),
    "a setting of sessions that are not kept": (
        ("spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"),
        0,
        None,
    ),
    "a map of empty fields": ((*MAIN, "lifecycle"), {"stopSignal": "", "postStart": {}}, None),
    "a name that is empty": (("imagePullSecrets",), [{"name": ""}], [{}]),
    "a key that is empty": ((*POD, "tolerations"), [{"key": "", "operator": "Exists"}], [{"operator": "Exists"}]),
    "no metrics": (
        ("spec", "metrics"),
        [],
        [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
            }
        ],
    ),
    "what becomes of claims": (("spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted"), "", "Retain"),
    "a template's kind": (("spec", "volumeClaimTemplates", "0", "kind"), "", "PersistentVolumeClaim"),
    "a template's phase": (("spec", "volumeClaimTemplates", "0", "status", "phase"), "", "Pending"),
    "a template's generation": (("spec", "volumeClaimTemplates", "0", "metadata", "generation"), 0, None),
    "the old name of an account": (
        POD,
        {"serviceAccountName": "main", "serviceAccount": ""},
        {"serviceAccountName": "main", "serviceAccount": "main"},
    ),
    "an account by its old name": (
        POD,
        {"serviceAccountName": "", "serviceAccount": "main"},
        {"serviceAccountName": "main", "serviceAccount": "main"},
    ),
    "no account by its old name": ((*POD, "serviceAccount"), "", "default"),
    "an empty API group": (("roleRef", "apiGroup"), "", "rbac.authorization.k8s.io"),
}
CHANGED: dict[str, tuple[tuple[str, ...], Any, Any]] = {
    "another limit": ((*MAIN, "resources", "limits", "cpu"), "0.5", "501m"),
    "a limit that is gone": ((*MAIN, "resources", "limits", "cpu"), "0.5", None),
    "another size": ((*POD, "volumes", "0", "emptyDir", "sizeLimit"), "1Gi", "1G"),
    "the host's network": ((*POD, "hostNetwork"), False, True),
    "a mount that may be written": ((*MAIN, "volumeMounts", "0", "readOnly"), True, None),
    "a token that is mounted": ((*POD, "automountServiceAccountToken"), False, None),
    "privileges": ((*MAIN, "securityContext", "allowPrivilegeEscalation"), False, None),
    "a user": ((*MAIN, "securityContext", "runAsUser"), 0, None),
    "a host port": ((*MAIN, "ports", "0", "hostPort"), 0, 8080),
    "a variable": ((*MAIN, "env", "0", "value"), "", "evil"),
    "a variable that looks like a quantity": ((*MAIN, "env", "0", "value"), "1000m", "1"),
    "a text that looks like a quantity": (("data", "cpu"), "1000m", "1"),
    "an empty text": (("data", "type"), "", "evil"),
    "a text for a number": (("data", "mode"), "0o644", "420"),
    "a text that looks like an account": (
        ("data",),
        {"serviceAccountName": "a", "serviceAccount": "b"},
        {"serviceAccountName": "a", "serviceAccount": "a"},
    ),
    "an open policy": (("spec", "ingress"), [], [{}]),
    "other bytes": (("binaryData", "key"), "AAEC", "AAED"),
    "a service that is open to the world": (("spec", "type"), "", "LoadBalancer"),
    "a service with a port of every node": (("spec", "type"), None, "NodePort"),
    "traffic that stays on a node": (("spec", "externalTrafficPolicy"), "", "Local"),
    "no address": (("spec", "clusterIP"), "", "None"),
    "another protocol": (("spec", "ports", "0", "protocol"), "", "UDP"),
    "another account": ((*POD, "serviceAccountName"), "", "cluster-admin"),
    "another account by its old name": ((*POD, "serviceAccount"), "", "cluster-admin"),
    "an account in place of a null": ((*POD, "serviceAccountName"), None, "cluster-admin"),
    "an image that is never pulled": ((*MAIN, "imagePullPolicy"), "", "Never"),
    "another scheduler": ((*POD, "schedulerName"), "", "evil"),
    "the host's names": ((*POD, "dnsPolicy"), "", "Default"),
    "a probe of another path": ((*MAIN, "livenessProbe", "httpGet", "path"), "", "/shutdown"),
    "a probe that waits": ((*MAIN, "livenessProbe", "timeoutSeconds"), 0, 86400),
    "a probe that never fails": ((*MAIN, "livenessProbe", "failureThreshold"), None, 9999),
    "a policy for what goes out only": (("spec", "policyTypes"), [], ["Egress"]),
    "another API group": (("roleRef", "apiGroup"), "", "evil.example.org"),
    "a host network in place of a null": ((*POD, "hostNetwork"), None, True),
    "an update of all pods together": (("spec", "strategy", "type"), "", "Recreate"),
    "a type of a folder": ((*POD, "volumes", "0", "hostPath", "type"), "", "Socket"),
    "no replicas": (("spec", "replicas"), 0, 3),
    "a folder of the host": (
        (*POD, "volumes"),
        [{"name": "x", "emptyDir": {}}],
        [{"name": "x", "hostPath": {"path": "/"}}],
    ),
    "pods in place of namespaces": (
        ("spec", "ingress"),
        [{"from": [{"namespaceSelector": {}}]}],
        [{"from": [{"podSelector": {}}]}],
    ),
    "a security context that is gone": ((*MAIN, "securityContext"), {"allowPrivilegeEscalation": False}, None),
    "claims that go": (("spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted"), "", "Delete"),
    "another metric": (
        ("spec", "metrics"),
        [],
        [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 1}}}],
    ),
}


def at(path: tuple[str, ...], value: Any) -> Any:
    """Return a value at a path; a step that is a number is a list with one named entry."""
    if not path:
        return value
    rest = at(path[1:], value)
    return [{"name": "x", **rest}] if path[0] == "0" else ({} if len(path) == 1 and value is None else {path[0]: rest})


def found(path: tuple[str, ...], rendered: Any, live: Any) -> list[str]:
    want: Obj = at(path, rendered) if rendered is not None else nulled(path)
    kind = Kind("apps/v1", "DaemonSet")
    return [
        str(difference)
        for difference in differences(Rendered(kind, "ns", "x", want), {"metadata": {}, **at(path, live)})
    ]


def nulled(path: tuple[str, ...]) -> Any:
    made: Any = {path[-1]: None}
    for step in reversed(path[:-1]):
        made = [{"name": "x", **made}] if step == "0" else {step: made}
    return made


@pytest.mark.parametrize("name", SAME)
def test_what_the_api_server_rewrote_is_no_difference(name: str) -> None:
    assert found(*SAME[name]) == []


@pytest.mark.parametrize("name", CHANGED)
def test_what_somebody_changed_is_a_difference(name: str) -> None:
    assert len(found(*CHANGED[name])) == 1


SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"]


@given(st.integers(0, 10**6), st.sampled_from(SUFFIXES), st.integers(0, 3))
def test_an_amount_has_one_value_however_it_is_spelled(number: int, suffix: str, zeros: int) -> None:
    """With zeros behind, with a sign, with an exponent, as the next smaller unit."""
    spelled = f"{number}{suffix}"
    same = [f"+{spelled}", f"0{spelled}", f"{number}.{'0' * zeros}{suffix}"]
    if not suffix:
        same += [f"{number}e0", f"{number * 1000}m", f"{number}000e-3"]
    assert {amount(item) for item in same} == {amount(spelled)}
    assert amount(f"{number + 1}{suffix}") != amount(spelled)


@given(st.one_of(st.text(max_size=8), st.booleans(), st.none(), st.lists(st.integers(), max_size=1)))
def test_what_is_no_amount_is_none(value: Any) -> None:
    result = amount(value)
    assert result is None or isinstance(result, Decimal)


@pytest.mark.parametrize("text", ["12:30:00", "2026-11-29", "2026-11-29T10:00:00Z", "1:30", "190:20:30"])
def test_a_time_without_quotes_is_a_text_as_it_is_for_helm(text: str) -> None:
    assert yaml.load(f"at: {text}", _Loader) == {"at": text}  # a safe loader of our own


@pytest.mark.parametrize("number", ["0", "-12", "0644", "0x1f", "1_000", "3.5", "0b11"])
def test_numbers_are_read_as_before(number: str) -> None:
    assert yaml.load(number, _Loader) == yaml.safe_load(number)  # a safe loader of our own


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda item: st.lists(item, max_size=3) | st.dictionaries(st.text(max_size=5), item, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_everything_equals_itself(value: Any) -> None:
    whole = {"spec": {"any": value}}
    live = {"metadata": {}, **json.loads(json.dumps(whole))}
    assert list(differences(Rendered(Kind("v1", "ConfigMap"), "", "x", whole), live)) == []
