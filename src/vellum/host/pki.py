"""This installation's certificate authority. Without it any local user could read every key over SeaweedFS's gRPC."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from vellum.host.files import write

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
FILES = ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")


def ensure(folder: Path, now: datetime) -> Path:
    """Create the authority, a server and a client certificate unless they last another 30 days; return the folder."""
    if not _lasts(folder, now):
        _make(folder, now)
        write(folder / "until", (now + LIFETIME).isoformat(), durable=True)
    return folder


def _lasts(folder: Path, now: datetime) -> bool:
    try:
        left = datetime.fromisoformat((folder / "until").read_text()) - now
    except (FileNotFoundError, ValueError):
        return False
    # More than a lifetime is left if the clock was wrong when they were made: then they are not valid yet.
    return RENEW_BEFORE < left <= LIFETIME and all((folder / name).exists() for name in FILES)


def _make(folder: Path, now: datetime) -> None:
    # Imported late: most starts find their certificates and need none of this.
    from cryptography.hazmat.primitives import serialization

    authority, authority_key = certificate("vellum", now)
    pairs = {"ca": (authority, authority_key)}
    for name in ("server", "client"):
        pairs[name] = certificate(name, now, issuer=(authority, authority_key))
    for name, (made, key) in pairs.items():
        write(folder / f"{name}.pem", made.public_bytes(serialization.Encoding.PEM), durable=True)
        if name == "ca":
            continue  # its key is not kept: new certificates come with a new authority
        write(folder / f"{name}.key", pem(key), durable=True)


def pem(key: EllipticCurvePrivateKey) -> bytes:
    """Return a private key as PEM (PKCS 8, not encrypted)."""
    from cryptography.hazmat.primitives import serialization

    form, hidden = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, hidden)


def certificate(
    name: str,
    now: datetime,
    *,
    organization: str = "",
    issuer: tuple[x509.Certificate, EllipticCurvePrivateKey] | None = None,
    also: Iterable[str] = (),
) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    """Make a certificate for loopback and the names in ``also``, and its key; without an issuer it is an authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    signer, signer_key = issuer or (None, key)
    words = [(x509.NameOID.COMMON_NAME, name), (x509.NameOID.ORGANIZATION_NAME, organization)]
    subject = x509.Name([x509.NameAttribute(oid, word) for oid, word in words if word])
    addresses = [
        x509.IPAddress(ip_address(name)) if name.replace(".", "").isdigit() else x509.DNSName(name)
        for name in ("127.0.0.1", "localhost", *also)
    ]
    identifier = x509.SubjectKeyIdentifier.from_public_key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - timedelta(hours=1))
        .not_valid_after(now.astimezone(UTC) + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        # Python 3.13 refuses certificates without these (VERIFY_X509_STRICT).
        .add_extension(identifier(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key.public_key()), critical=False)
    )
    if signer is None:
        # Only key_cert_sign and crl_sign, the sixth and the seventh of nine uses.
        uses = x509.KeyUsage(*[use in (5, 6) for use in range(9)])
        builder = builder.add_extension(uses, critical=True)
    return builder.sign(signer_key, hashes.SHA256()), key
