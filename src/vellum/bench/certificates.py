"""The bench's own certificate authority: it signs a certificate for each program, and its key is not kept."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from vellum.host.files import write
from vellum.host.pki import certificate, pem

MASTERS = "system:masters"
NODE = "node"
"""The name of the node whose kubelet is real."""
USERS = {
    "admin": ("admin", MASTERS),
    "controllers": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kwok": ("kwok", MASTERS),
    "crossplane": ("system:serviceaccount:crossplane-system:crossplane", ""),
    "rbac-manager": ("system:serviceaccount:crossplane-system:rbac-manager", ""),
    "provider-helm": ("system:serviceaccount:crossplane-system:provider-helm", ""),
    "composer": ("system:serviceaccount:crossplane-system:function-vellum", ""),
    "kserve": ("system:serviceaccount:kserve:kserve-controller-manager", ""),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
    "kube-proxy": ("system:kube-proxy", ""),
    "kubelet-client": ("kubelet-client", MASTERS),
}
"""The clients of the API server: file name to (user, group). Those from crossplane to kserve are the accounts of pods
on a cluster, with the rights that charts and packages give those. The API server itself is a client of the kubelet."""
SERVERS = ("etcd", "apiserver", "function", "crossplane-webhooks")


@dataclass(frozen=True, slots=True)
class Certificates:
    """The paths of the certificates."""

    folder: Path

    @property
    def authority(self) -> Path:
        """The certificate of the authority that signed all others."""
        return self.folder / "ca.crt"

    def pair(self, name: str) -> tuple[Path, Path]:
        """Return the certificate and the key of a server or a user."""
        return self.folder / name / "tls.crt", self.folder / name / "tls.key"

    def kubeconfig(self, user: str) -> Path:
        """Return the kubeconfig of a user."""
        return self.folder / user / "kubeconfig"

    @property
    def accounts(self) -> tuple[Path, Path]:
        """Return the key that signs service account tokens, and its public half."""
        return self.folder / "accounts.key", self.folder / "accounts.pub"


def make(folder: Path, server: str, now: datetime, also: tuple[str, ...] = ()) -> Certificates:
    """Create all certificates.

    Args:
        folder: where they are written.
        server: the API server's address in the kubeconfigs.
        now: the certificates are valid from one hour before this time.
        also: further addresses and names of the API server.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    certificates = Certificates(folder)
    issuer = certificate("vellum-bench", now)
    authority = issuer[0].public_bytes(serialization.Encoding.PEM)
    write(certificates.authority, authority)
    for name, (user, group) in {**USERS, **{name: (name, "") for name in SERVERS}}.items():
        names = also if name == "apiserver" else ()
        made, key = certificate(user, now, organization=group, issuer=issuer, also=names)
        chain = made.public_bytes(serialization.Encoding.PEM)
        write(certificates.pair(name)[0], chain)
        write(certificates.pair(name)[1], pem(key))
        # Crossplane and the function look for the authority's certificate beside their own.
        write(folder / name / "ca.crt", authority)
        if name in USERS:
            write(certificates.kubeconfig(name), _kubeconfig(server, authority, chain, pem(key)))
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    write(certificates.accounts[0], pem(key))
    write(certificates.accounts[1], public)
    return certificates


def _kubeconfig(server: str, authority: bytes, chain: bytes, key: bytes) -> str:
    def data(value: bytes) -> str:
        """Return bytes in the form of a kubeconfig."""
        return base64.b64encode(value).decode()

    cluster = {"server": server, "certificate-authority-data": data(authority)}
    user = {"client-certificate-data": data(chain), "client-key-data": data(key)}
    # JSON is YAML, so kubectl can read it.
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": cluster}],
            "users": [{"name": "user", "user": user}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "user"}}],
        }
    )
