"""Names of images and registries, and which registries plain HTTP may reach. Nothing is sent."""

from __future__ import annotations

import pytest

from vellum.errors import UsageError
from vellum.oci.reference import is_loopback, parsed, place
from vellum.oci.registry import Registry

DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("python:3.12-slim", "docker.io/library/python:3.12-slim"),
        ("team/tool", "docker.io/team/tool"),
        ("localhost/tool:1", "localhost/tool:1"),
        (f"[::1]:5000/a/b@{DIGEST}", f"[::1]:5000/a/b@{DIGEST}"),
        (f"ghcr.io/a/b__c:v1@{DIGEST}", f"ghcr.io/a/b__c:v1@{DIGEST}"),
    ],
)
def test_a_name_is_read_as_other_tools_read_it(text: str, full: str) -> None:
    assert str(parsed(text)) == full


@pytest.mark.parametrize("text", ["", "Upper/case", "a//b", "https://ghcr.io/a", "ghcr.io/a@sha256:12", "a/../b"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^VEL752: "):
        parsed(text)


def test_a_registry_has_a_host_and_an_optional_path() -> None:
    assert place("registry.example.org:5000/a/b/") == ("registry.example.org:5000", "a/b")
    assert place("oci://registry.example.org") == ("registry.example.org", "")
    with pytest.raises(UsageError, match=r"^VEL752: "):
        place("https://registry.example.org")


@pytest.mark.parametrize("host", ["203.0.113.1:5000", "[2001:db8::1]:5000", "172.32.0.1", "169.254.0.1", "0.0.0.0"])
def test_plain_http_to_a_public_address_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match=r"^VEL753: .* is not a loopback or private address"):
        Registry(host, plain=True)


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "10.1.2.3", "172.31.0.1:80", "192.168.1.1", "[fd00::1]:5000"])
def test_plain_http_to_a_private_address_is_allowed(host: str) -> None:
    assert Registry(host, plain=True).plain


def test_only_localhost_and_loopback_addresses_are_loopback() -> None:
    hosts = ("localhost:5000", "127.0.0.9", "[::1]:5000", "127.0.0.1.example.org", "10.0.0.1")
    assert [is_loopback(host) for host in hosts] == [True, True, True, False, False]
