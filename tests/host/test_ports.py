"""Ports: the same at every start, another one if a port is taken, never one port for two names."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from vellum.errors import LaptopError
from vellum.host.files import read_json, write_json
from vellum.host.ports import FIRST, HIGHEST, LAST, Ports, is_free, next_free, release


def listening(port: int = 0) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))


def port_of(server: socket.socket) -> int:
    port: int = server.getsockname()[1]
    return port


def test_a_port_is_remembered_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    ports = Ports(path)
    names = ["envoy/http", "qdrant/http", "weed/s3"]
    first = {name: ports.get(name) for name in names}
    assert len(set(first.values())) == len(names)
    assert {name: Ports(path).get(name) for name in reversed(names)} == first == read_json(path, {})
    assert all(FIRST <= port <= LAST for port in first.values())


def test_a_taken_port_gives_the_next_one_which_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    before = Ports(path).get("weed/s3")
    with listening(before):
        moved = Ports(path).get("weed/s3")
        assert (moved > before, is_free(moved)) == (True, True)
    assert Ports(path).get("weed/s3") == moved


def test_a_port_is_looked_at_once_or_when_its_owner_could_not_start(tmp_path: Path) -> None:
    ports = Ports(tmp_path / "ports.json")
    before = ports.get("weed/s3")
    with listening(before):
        assert ports.get("weed/s3") == before
        ports.recheck("weed/s3")
        assert ports.get("weed/s3") != before


def test_a_twin_is_free_remembered_and_below_the_kernels_own_ports(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    first = Ports(path).get("weed/admin", twin=10_000)
    assert is_free(first + 10_000)
    with listening(first + 10_000):
        moved = Ports(path).get("weed/admin", twin=10_000)
        assert (moved != first, is_free(moved + 10_000)) == (True, True)
    assert Ports(path).get("weed/admin", twin=10_000) == moved
    write_json(path, {"weed/admin": 27000})
    assert Ports(path).get("weed/admin", twin=10_000) + 10_000 <= HIGHEST


def test_the_last_port_is_followed_by_the_first(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    write_json(path, {"other": LAST, "weed/s3": LAST})
    assert FIRST <= Ports(path).get("weed/s3") < LAST


def test_a_port_of_nonsense_is_given_anew(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    write_json(path, {"weed/s3": 80})
    assert Ports(path).get("weed/s3") >= FIRST
    path.write_text("damaged")
    assert Ports(path).get("weed/s3") >= FIRST


def test_no_free_port_is_said() -> None:
    with listening() as server:
        port = port_of(server)
        with pytest.raises(LaptopError, match="VEL403") as error:
            next_free(port, last=port)
        assert error.value.fix
        assert (is_free(port), next_free(port, last=65535) > port) == (False, True)


TWO = """
import sys
from pathlib import Path
from vellum.host.ports import Ports
ports = Ports(Path(sys.argv[1]) / "ports.json")
print(*(ports.get(f"part-{number}", twin=10_000 * (number == 0)) for number in range(40)), flush=True)
input()
"""


def test_two_installations_at_once_never_get_the_same_port(tmp_path: Path) -> None:
    """No process listens on the ports yet, so only reservations can separate the two."""
    both = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        argv = [sys.executable, "-c", TWO, str(tmp_path / name)]
        both.append(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    results = [set(map(int, process.stdout.readline().split())) for process in both if process.stdout]
    assert [len(ports) for ports in results] == [40, 40]
    assert not results[0] & results[1]
    both[0].kill()
    both[0].communicate()
    again = Ports(tmp_path / "one" / "ports.json")
    assert {again.get(f"part-{number}") for number in range(1, 40)} <= results[0]
    both[1].communicate("")
    release(tmp_path / "one")


def test_every_port_of_an_installation_stays_reserved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is down for a while finds its port again, although no program listens there meanwhile."""
    # The first port that is asked for must be free, as on a machine where nothing else runs.
    monkeypatch.setattr("vellum.host.ports.FIRST", next_free(20_500))
    item, two = Ports(tmp_path / "one" / "ports.json"), Ports(tmp_path / "two" / "ports.json")
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    had = [item.get(name) for name in ("a", "b", "c")] + [item.get("twin", twin=10_000)]
    assert not {two.get(name) for name in ("a", "b", "c", "d")} & {*had, had[-1] + 10_000}
    release(tmp_path / "one")
    release(tmp_path / "two")


def test_a_port_that_another_installation_reserved_is_not_the_gateways(tmp_path: Path) -> None:
    item, two = tmp_path / "one", tmp_path / "two"
    first = next_free(31_000, owner=item)
    assert next_free(first, owner=two) > first
    assert next_free(first, owner=item) == first
    release(item)
    assert next_free(first, owner=two) == first
    release(two)
