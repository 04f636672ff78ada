"""Compare values in the API server's normal form, so that the guard does not repair normalisation for ever. Pure.

Besides adding fields, the API server changes a rendered value in these ways. It shortens quantities. It drops values
that are empty, null, or zero in a field without another form of "not set". It fills an empty field with its default,
and writes base64 without line breaks. Helm also reads YAML a little differently than PyYAML.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

from vellum.kube.objects import Json

Path = tuple[str | int, ...]
EMPTY: tuple[Any, ...] = (None, "", {}, [])
AMOUNTS = frozenset({"sizeLimit", "divisor", "averageValue", "storage"})
"""Fields that are always quantities."""
OF_AMOUNTS = frozenset({"limits", "requests", "capacity", "hard", "overhead", "allocatable", "min", "max", "default",
                        "defaultRequest", "maxLimitRequestRatio"})  # fmt: skip
"""Maps of quantities."""
DROPPED = frozenset({
    "hostNetwork", "hostPID", "hostIPC", "hostPort", "nodePort", "readOnly", "stdin", "stdinOnce", "tty", "paused",
    "minReadySeconds", "publishNotReadyAddresses", "initialDelaySeconds", "timeoutSeconds", "periodSeconds",
    "successThreshold", "failureThreshold", "weight", "healthCheckNodePort", "generation", "maxExpirationSeconds",
    "optional",
})  # fmt: skip
"""Fields whose false or 0 the API server drops, or treats as "not set" and fills."""
CHOICES = frozenset({"emptyDir", "namespaceSelector", "podSelector"})
"""Fields that mean something when they are empty, and whose neighbors mean something else."""
CPU = [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]
"""The metric of an autoscaler that names none."""
DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "strategy.type": ("RollingUpdate",), "updateStrategy.type": ("RollingUpdate",), "httpGet.path": ("/",),
    "fieldRef.apiVersion": ("v1",), "volumeClaimTemplates.apiVersion": ("v1",),
    "volumeClaimTemplates.kind": ("PersistentVolumeClaim",), "status.phase": ("Pending",),
    "whenDeleted": ("Retain",), "whenScaled": ("Retain",), "metrics": (CPU,),
    "roleRef.apiGroup": ("rbac.authorization.k8s.io",), "subjects.apiGroup": ("rbac.authorization.k8s.io",),
    # The default depends on the image's tag.
    "imagePullPolicy": ("IfNotPresent", "Always"),
    "protocol": ("TCP",), "restartPolicy": ("Always",), "dnsPolicy": ("ClusterFirst",), "scheme": ("HTTP",),
    "schedulerName": ("default-scheduler",), "sessionAffinity": ("None",),
    "serviceAccountName": ("default",), "serviceAccount": ("default",),
    "externalTrafficPolicy": ("Cluster",), "internalTrafficPolicy": ("Cluster",), "ipFamilyPolicy": ("SingleStack",),
    "terminationMessagePath": ("/dev/termination-log",), "terminationMessagePolicy": ("File",),
    "podManagementPolicy": ("OrderedReady",),
    # The default depends on the rules for Egress.
    "policyTypes": (["Ingress"], ["Ingress", "Egress"]),
    "livenessProbe.timeoutSeconds": (1,), "readinessProbe.timeoutSeconds": (1,), "startupProbe.timeoutSeconds": (1,),
    "periodSeconds": (10,), "successThreshold": (1,), "failureThreshold": (3,),
}  # fmt: skip
"""What the API server writes into a field that is empty or 0, by the field's name, if needed with its parent's."""
ACCOUNT = ("serviceAccountName", "serviceAccount")
"""The two names of a pod's service account field: the API server copies the first that is not empty into both."""
PORTS = frozenset({"nodePort", "healthCheckNodePort"})
"""Numbers that the API server chooses."""
ADDRESSES = frozenset({"clusterIP", "clusterIPs"})
_AMOUNT = re.compile(r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?[0-9]{1,3}))?")
_SCALE = {
    **{suffix: Decimal(10) ** (3 * power) for power, suffix in enumerate("num kMGTPE", -3) if suffix != " "},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)},
}
_NANO = Decimal("1e-9")
_OCTAL = re.compile(r"0o[0-7]+")


def same(want: Json, live: Json, path: Path) -> bool:
    """Tell whether the live value is the rendered one in the API server's form; neither is a map or a list."""
    name = path[-1] if path else ""
    if name in CHOICES and isinstance(want, dict) and live is None:
        return False
    if _is_left_out(want, live, name) or _is_filled(want, live, path):
        return True
    if isinstance(want, dict) and live is None:
        # The API server drops a map whose fields are all empty, and one that a feature gate closes.
        return all(same(value, None, (*path, field)) for field, value in want.items())
    if isinstance(want, (dict, list)) or isinstance(live, (Mapping, list)):
        return False
    # YAML and JSON spell a number in a text field alike, and the API server keeps the text.
    if want == live or (live is not None and str(want) == str(live)):
        return True
    if _is_amount(path):
        return amount(want) == amount(live) is not None
    return _is_number(want, live) or (path[:1] == ("binaryData",) and _bytes(want) == _bytes(live) is not None)


def with_account(fields: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """Return rendered fields; those of a pod's spec have the same service account under both of its names."""
    if path[-2:] != ("template", "spec"):
        return fields
    account = fields.get(ACCOUNT[0]) or fields.get(ACCOUNT[1])
    return {**fields, **{name: account for name in ACCOUNT if name in fields}} if account else fields


def amount(value: Json) -> Decimal | None:
    """Return a quantity as the API server reads it, rounded up to a billionth; None if it is not a quantity."""
    match = _AMOUNT.fullmatch(str(value)) if not isinstance(value, bool) and value is not None else None
    if match is None:
        return None
    sign, digits, suffix, exponent = match.groups()
    size = Decimal(digits) * _SCALE.get(suffix or "", Decimal(1)) * Decimal(10) ** int(exponent or 0)
    return (size / _NANO).to_integral_value(ROUND_CEILING) * (-1 if sign == "-" else 1)


def _is_left_out(want: Json, live: Json, name: str | int) -> bool:
    if want in EMPTY and live in EMPTY:
        return True
    return live is None and name in DROPPED and want in (False, 0)


def _is_filled(want: Json, live: Json, path: Path) -> bool:
    """Tell whether the live value is what the API server writes by default."""
    name = path[-1] if path else ""
    if path[:1] in (("data",), ("binaryData",)):
        return want is None
    # Helm drops a null, so a field with an unknown default is treated as if it were not rendered.
    if want is None and live is not True:
        return (known := _default(path, live)) is None or known
    if want is None:
        return name not in DROPPED
    if isinstance(want, bool) or want not in ("", 0, []):
        return False
    return _default(path, live) is True


def _default(path: Path, live: Json) -> bool | None:
    """Tell whether a value is the default of its field; None if the default is not known."""
    if path == ("spec", "type"):
        return bool(live == "ClusterIP")
    names = [step for step in path if isinstance(step, str)]
    name = names[-1] if names else ""
    if name in PORTS:
        return isinstance(live, int)
    if name in ADDRESSES:
        return all(map(_is_address, live if isinstance(live, list) else [live]))
    if name == "ipFamilies":
        return isinstance(live, list) and {*live} <= {"IPv4", "IPv6"}
    known = DEFAULTS.get(".".join(names[-2:]), DEFAULTS.get(name))
    return None if known is None else live in known


def _is_address(value: object) -> bool:
    try:
        ipaddress.ip_address(str(value))
    except ValueError:
        return False
    return True


def _is_amount(path: Path) -> bool:
    if path[:1] in (("data",), ("binaryData",)):
        return False
    if path[-1] in AMOUNTS or (path[-1] == "value" and "metrics" in path):
        return True
    return len(path) > 1 and path[-2] in OF_AMOUNTS


def _is_number(want: Json, live: Json) -> bool:
    """Tell whether Helm reads a text as a number but PyYAML does not: 0o644, 1e3."""
    if not isinstance(want, str) or isinstance(live, bool) or not isinstance(live, (int, float)):
        return False
    try:
        return (int(want, 8) if _OCTAL.fullmatch(want) else float(want)) == live
    except ValueError:
        return False


def _bytes(value: Json) -> bytes | None:
    try:
        return base64.b64decode("".join(str(value).split()), validate=True)
    except (binascii.Error, ValueError):
        return None
