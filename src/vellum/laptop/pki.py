"""This installation's own authority, for SeaweedFS's gRPC: without a certificate anybody local could read every key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from vellum.laptop.state import write

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
FILES = ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")


def ensure(folder: Path, now: datetime) -> Path:
    """Make the authority, a server and a client certificate unless they last for another 30 days; return the folder."""
    if not _lasts(folder, now):
        _make(folder, now)
        write(folder / "until", (now + LIFETIME).isoformat(), durable=True)
    return folder


def _lasts(folder: Path, now: datetime) -> bool:
    try:
        left = datetime.fromisoformat((folder / "until").read_text()) - now
    except (FileNotFoundError, ValueError):
        return False
    # More than a lifetime is left when the clock was wrong on the day they were made: then they are not valid yet.
    return RENEW_BEFORE < left <= LIFETIME and all((folder / name).exists() for name in FILES)


def _make(folder: Path, now: datetime) -> None:
    # Imported late: most starts find their certificates and need none of this.
    from cryptography.hazmat.primitives import serialization

    authority, authority_key = _certificate("vellum", now)
    pairs = {"ca": (authority, authority_key)}
    for name in ("server", "client"):
        pairs[name] = _certificate(name, now, issuer=authority, issuer_key=authority_key)
    for name, (certificate, key) in pairs.items():
        write(folder / f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM), durable=True)
        if name == "ca":
            continue  # the authority's key is forgotten: new certificates come with a new authority
        write(
            folder / f"{name}.key",
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            durable=True,
        )


def _certificate(
    name: str,
    now: datetime,
    *,
    issuer: x509.Certificate | None = None,
    issuer_key: EllipticCurvePrivateKey | None = None,
) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    addresses = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - timedelta(hours=1))
        .not_valid_after(now.astimezone(UTC) + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
    )
    return builder.sign(issuer_key or key, hashes.SHA256()), key
