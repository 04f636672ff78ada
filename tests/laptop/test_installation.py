"""What users write is stored with a port for the gateway that no other program has; nothing is started here."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from vellum.api import claim, platform
from vellum.host.ports import release
from vellum.host.state import State
from vellum.kube.objects import Obj
from vellum.laptop.installation import Installation
from vellum.model.platform import PLATFORM


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    result = Installation(State.open(tmp_path / "state"))
    yield result
    result.supervisor.close()
    result.store.close()
    release(result.state.root)


def written(port: int) -> Obj:
    spec = platform.platform_spec().model_validate({"gateway": {"port": port}})
    return platform.Platform(spec, labels={"stage": "trial"}).manifest()


def port_of(obj: Obj | None) -> int:
    assert obj
    port: int = obj["spec"]["gateway"]["port"]
    return port


def told(installation: Installation) -> list[str]:
    return [f"{event['reason']}: {event['message']}" for event in installation.store.events()]


def neighbours(count: int) -> tuple[list[socket.socket], int]:
    """Listen on ``count`` ports in a row, before a free one; return the sockets and the first port."""
    for first in range(20000, 32000):
        listening: list[socket.socket] = []
        try:
            listening.extend(socket.create_server(("127.0.0.1", first + number)) for number in range(count + 1))
        except OSError:
            for server in listening:
                server.close()
            continue
        listening.pop().close()
        return listening, first
    raise AssertionError("this machine has too few free ports in a row")


def test_a_platforms_port_that_another_program_has_gives_the_next_free_one(installation: Installation) -> None:
    strangers, first = neighbours(2)
    stored = installation.apply(written(first))
    for stranger in strangers:
        stranger.close()
    assert port_of(stored) == port_of(installation.store.get(PLATFORM)) == first + 2
    assert told(installation) == [f"PortTaken: port {first} is taken by another program; the gateway is at {first + 2}"]


def test_the_same_file_again_leaves_the_gateway_where_it_is(installation: Installation) -> None:
    (stranger, gateway), first = neighbours(2)
    gateway.close()
    installation.apply(written(first))
    gateway = socket.create_server(("127.0.0.1", first + 1))
    again = installation.apply(written(first))
    stranger.close()
    gateway.close()
    assert (port_of(again), again["metadata"]["generation"]) == (first + 1, 1)


def test_a_port_that_the_gateway_has_itself_is_kept(installation: Installation) -> None:
    (gateway,), first = neighbours(1)
    gateway.close()
    installation.apply(written(first))
    with socket.create_server(("127.0.0.1", first)):
        assert port_of(installation.apply(written(first))) == first
    assert told(installation) == []


def test_the_first_claims_platform_gets_a_free_port(installation: Installation) -> None:
    """The answer names the port when it is not the wanted one."""
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            stranger.bind(("127.0.0.1", 28000))
            stranger.listen()
        except OSError:
            pass  # another gateway has the port, which is as good
        installation.apply(claim.Claim("default", "team-a", claim.claim_spec()()).manifest())
    assert port_of(installation.store.get(PLATFORM)) > 28000
    assert len(told(installation)) == 1


def test_a_gateway_that_moves_keeps_what_its_owner_wrote(installation: Installation) -> None:
    (stranger,), first = neighbours(1)
    stranger.close()
    installation.apply(written(first))
    with socket.create_server(("127.0.0.1", first)):
        installation._move_gateway()
    result = installation.store.get(PLATFORM)
    assert result
    assert (port_of(result), result["metadata"]["labels"]) == (first + 1, {"stage": "trial"})
    assert told(installation) == [f"PortTaken: port {first} is taken by another program; the gateway is at {first + 1}"]
