"""The installation's own authority: valid certificates, renewed before they end, private keys that stay private."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vellum.host import pki

NOW = datetime.now(UTC)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def talk(folder: Path, client: Path) -> bytes:
    """Send a text over TLS with certificates on both sides, as SeaweedFS's gRPC does."""
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
    server_context.load_cert_chain(folder / "server.pem", folder / "server.key")
    server_context.verify_mode = ssl.CERT_REQUIRED
    client_context = ssl.create_default_context(cafile=folder / "ca.pem")
    client_context.load_cert_chain(client / "client.pem", client / "client.key")
    here, there = socket.socketpair()

    def serve() -> None:
        # A client that is refused or leaves is the client's trouble.
        with suppress(OSError), there, server_context.wrap_socket(there, server_side=True) as secured:
            secured.sendall(b"word")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with here, client_context.wrap_socket(here, server_hostname="127.0.0.1") as secured:
            return secured.recv(4)
    finally:
        thread.join()


def test_both_sides_accept_each_others_certificates(tmp_path: Path) -> None:
    assert talk(pki.ensure(tmp_path / "pki", NOW), tmp_path / "pki") == b"word"


def test_another_installations_certificate_is_refused(tmp_path: Path) -> None:
    mine, other = (pki.ensure(tmp_path / name, NOW) for name in ("mine", "other"))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        talk(mine, other)


def test_they_are_made_once_and_renewed_before_they_end(tmp_path: Path) -> None:
    folder = pki.ensure(tmp_path / "pki", NOW)
    first = contents(folder)
    assert contents(pki.ensure(folder, NOW + timedelta(days=334))) == first
    renewed = contents(pki.ensure(folder, NOW + timedelta(days=336)))
    assert [name for name in first if renewed[name] == first[name]] == []


@pytest.mark.parametrize("damage", ["a file is gone", "the date is damaged", "the clock was wrong", "killed half-way"])
def test_they_are_made_again_when_they_cannot_serve(tmp_path: Path, damage: str) -> None:
    folder = pki.ensure(tmp_path / "pki", NOW + timedelta(days=30 * (damage == "the clock was wrong")))
    if damage == "a file is gone":
        (folder / "server.key").unlink()
    elif damage == "the date is damaged":
        (folder / "until").write_text("soon")
    elif damage == "killed half-way":
        (folder / "until").unlink()
        (folder / "client.key").unlink()
    assert talk(pki.ensure(folder, NOW), folder) == b"word"


def test_the_authoritys_key_is_forgotten_and_the_others_are_private(tmp_path: Path) -> None:
    folder = pki.ensure(tmp_path / "pki", NOW)
    assert set(contents(folder)) == {*pki.FILES, "until"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
