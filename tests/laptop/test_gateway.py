"""Routes as files: written only when they changed, clusters before the routes that name them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vellum.components.gateway import component
from vellum.host.files import read_json
from vellum.laptop.gateway import publish
from vellum.model.process import INFERENCE, Route, Site

S3, QDRANT = Route("/", 1), Route("/qdrant/team/", 2, "/")


def table(folder: Path) -> list[tuple[str, str]]:
    routes = read_json(folder / "rds.json", None)["resources"][0]["virtual_hosts"][0]["routes"]
    return [(next(iter(entry["match"].values())), entry["route"]["cluster"]) for entry in routes if "route" in entry]


def clusters(folder: Path) -> list[str]:
    return [entry["name"] for entry in read_json(folder / "cds.json", None)["resources"]]


def test_the_longest_prefix_wins_and_s3_gets_the_rest(tmp_path: Path) -> None:
    assert publish(tmp_path, 8080, [S3, QDRANT]) is True
    assert table(tmp_path) == [("/qdrant/team/", "port-2"), ("/qdrant/team", "port-2"), ("/", "port-1")]
    assert clusters(tmp_path) == ["port-2", "port-1"]


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    publish(tmp_path, 8080, [S3, QDRANT])
    before = {path: path.stat().st_ino for path in tmp_path.iterdir()}
    assert publish(tmp_path, 8080, [QDRANT, S3]) is False
    assert {path: path.stat().st_ino for path in tmp_path.iterdir()} == before


def test_a_damaged_file_is_written_again(tmp_path: Path) -> None:
    publish(tmp_path, 8080, [S3])
    os.truncate(tmp_path / "rds.json", 5)
    assert publish(tmp_path, 8080, [S3]) is True
    assert table(tmp_path) == [("/", "port-1")]


def test_clusters_come_before_the_routes_that_name_them(tmp_path: Path) -> None:
    publish(tmp_path, 8080, [S3])
    (tmp_path / "rds.json").unlink()
    (tmp_path / "rds.json").mkdir()  # whatever is written after this fails
    before = clusters(tmp_path)
    try:
        publish(tmp_path, 8080, [S3, QDRANT])
    except OSError:
        assert (before, clusters(tmp_path)) == (["port-1"], ["port-2", "port-1"])
    else:
        raise AssertionError("the routes were written first")


def test_two_routes_may_share_a_port(tmp_path: Path) -> None:
    publish(tmp_path, 8080, [S3, QDRANT, Route("/also/", 2)])
    assert clusters(tmp_path) == ["port-2", "port-1"]


def test_only_loopback_names_are_answered_and_nobody_says_who_they_are(tmp_path: Path) -> None:
    publish(tmp_path, 8080, [S3])
    configuration: dict[str, Any] = read_json(tmp_path / "rds.json", None)["resources"][0]
    assert configuration["virtual_hosts"][0]["domains"] == ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"]
    assert configuration["virtual_hosts"][-1]["domains"] == ["*"]
    assert "kubeflow-userid" in configuration["request_headers_to_remove"]


@given(st.lists(st.sampled_from(["/", "/a/", "/a/b/", "/b/"]), unique=True))
def test_no_route_hides_a_longer_one(prefixes: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        publish(Path(folder), 8080, [Route(prefix, number) for number, prefix in enumerate(prefixes, 1)])
        ordered = [prefix for prefix, _ in table(Path(folder)) if prefix in prefixes]
    assert ordered == sorted(prefixes, key=lambda prefix: (-len(prefix), prefix))


def test_every_notebook_has_an_origin_of_its_own(tmp_path: Path) -> None:
    mine, other = (
        Route(f"/notebook/{team}/notebook/", port, host=f"notebook-{team}.localhost")
        for team, port in (("a", 3), ("b", 4))
    )
    publish(tmp_path, 8080, [S3, mine, other])
    hosts = {item["name"]: item for item in read_json(tmp_path / "rds.json", None)["resources"][0]["virtual_hosts"]}
    assert list(hosts) == ["laptop", "notebook-a.localhost", "notebook-b.localhost", "strangers"]
    for host, port in (("notebook-a.localhost", 3), ("notebook-b.localhost", 4)):
        assert hosts[host]["domains"] == [f"{host}:8080"]
        to = {entry["route"]["cluster"] for entry in hosts[host]["routes"] if "route" in entry}
        assert to == {f"port-{port}"}


def test_fifty_notebooks_are_not_too_many_for_envoy(tmp_path: Path) -> None:
    """Envoy itself reads the table: it limits the size of patterns and direct responses."""
    import subprocess

    from vellum.host.wheels import programs

    team = "t" * 40
    routes = [S3, *(Route(f"/qdrant/{team[:-2]}{n:02}/", 2, "/", most_bytes=1) for n in range(50))]
    routes += [
        Route(f"/notebook/{team[:-2]}{n:02}/notebook/", 3, host=f"notebook-{team[:-2]}{n:02}.localhost")
        for n in range(50)
    ]
    routes += [Route(f"/serving/{team[:-2]}{n:02}/{'m' * 20}/", 4, "/", served=INFERENCE) for n in range(50)]
    publish(tmp_path, 8080, routes)
    site = Site(
        tmp_path, tmp_path, {"probe": 8081}, programs=programs(), runtime=tmp_path, loopback=("127.0.0.1", "::1")
    )
    gateway = {"spec": {"listeners": [{"port": 8080}]}}
    boot = json.loads(next(iter(component.process(gateway, site).files.values())))
    table = {**read_json(tmp_path / "rds.json", None)["resources"][0]}
    del table["@type"]
    manager = boot["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"]
    manager["route_config"] = table
    boot["static_resources"]["clusters"] = [
        {name: value for name, value in resource.items() if name != "@type"}
        for resource in read_json(tmp_path / "cds.json", None)["resources"]
    ]
    del boot["dynamic_resources"]
    (tmp_path / "boot.json").write_text(json.dumps(boot))
    argv = [programs()["envoy"], "-c", str(tmp_path / "boot.json"), "--mode", "validate"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
