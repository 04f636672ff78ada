"""Values that users may give to Vellum's own charts and that differ from the defaults."""

from __future__ import annotations

from vellum.kube.objects import Obj

OUTSIDE: Obj = {
    "database": {"external": {"host": "db.example.org", "tls": "verify", "secret": {"name": "db"}}},
    "objectStore": {"endpoint": "https://s3.example.org"},
    "ui": {"enabled": False},
}
MESH: Obj = {"istio": {"enabled": True}, "identity": {"header": "kubeflow-userid"}}
"""Of Kubeflow Pipelines."""
EVERYTHING: Obj = {
    "istio": {"enabled": True},
    "culling": {"enabled": True},
    "replicas": 2,
    "userRoles": {"enabled": True},
    "networkPolicies": {"metricsFrom": ["monitoring"]},
}
"""For the notebook controller: everything that is off by default."""
