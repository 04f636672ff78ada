"""The contract of a component: a new file in ``components`` keeps it, and nothing else needs to change."""

from __future__ import annotations

import ast
import importlib
import socket
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.compose.render import CLAIM, EVERYTHING, worlds
from tests.compose.world import PLATFORMS, World, settled_platform, written

from vellum import components
from vellum.components import platform_components, team_components
from vellum.compose.order import in_order
from vellum.connect.binding import is_key
from vellum.errors import ComposeError
from vellum.host.child import answer
from vellum.kube.names import is_dns_label
from vellum.kube.objects import COMPONENT, Obj, secret_values
from vellum.model.component import AnyComponent, Component, Spec
from vellum.model.process import Process, Running, Site

FOLDER = Path(components.__file__).parent
TEAM, PLATFORM = dict(team_components()), dict(platform_components())
ALL: dict[str, Any] = {**TEAM, **PLATFORM}
REALISED = [part for part in ALL.values() if part.workload]
LIGHT = frozenset({"__future__", "abc", "base64", "collections", "dataclasses", "json", "pydantic", "typing", "vellum"})


BOUND = [bound for part in TEAM.values() for bound in part.binds]
PUBLIC = {bound.name for bound in BOUND if bound.public}


def composed() -> dict[str, Obj]:
    """Return every object of the fullest claim and platform, settled."""
    team = World(written(CLAIM + EVERYTHING), settled_platform(PLATFORMS["local"]))
    return {**worlds()["platform-local"].settle_objects(), **team.settle_objects()}


def by_name(part: Any) -> str:
    return str(part.name)


def test_every_module_is_one_component_and_none_is_lost() -> None:
    modules = [f"vellum.components.{file.stem}" for file in FOLDER.glob("*.py") if file.stem != "__init__"]
    results = [importlib.import_module(module).component for module in sorted(modules)]
    assert len({part.name for part in results}) == len(results) == len(TEAM) + len(PLATFORM)


@pytest.mark.parametrize("part", ALL.values(), ids=by_name)
def test_a_component_says_what_it_is(part: AnyComponent) -> None:
    assert is_dns_label(part.name)
    assert part.summary[0].isupper()
    assert not part.summary.endswith(".")
    assert issubclass(part.spec, Spec)
    assert (part.spec is Spec) == (part.block == "")
    assert all(field.description for field in part.spec.model_fields.values())
    assert part.actor


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.stem)
def test_a_component_imports_nothing_heavy(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= LIGHT | {"functools", "importlib", "pkgutil", "types"}


def test_needs_exist_and_have_an_order() -> None:
    for parts in (TEAM, PLATFORM):
        assert all(need in parts for part in parts.values() for need in part.needs)
    assert {name for name, _ in in_order(TEAM)} == set(TEAM)
    assert {name for name, _ in in_order(PLATFORM)} == set(PLATFORM)


def test_needs_in_a_circle_are_an_error() -> None:
    circle: dict[str, Any] = {
        "a": SimpleNamespace(needs=("b",), after=()),
        "b": SimpleNamespace(needs=("a",), after=()),
    }
    with pytest.raises(ComposeError, match=r"VEL201: components need each other in a circle: a -> b -> a|b -> a -> b"):
        in_order(circle)


def test_switches_blocks_and_images_belong_to_one_component_each() -> None:
    for field in ("switch", "block", "image"):
        written_by = [getattr(part, field) for part in TEAM.values() if getattr(part, field)]
        assert len(set(written_by)) == len(written_by)


def test_every_key_of_the_binding_has_a_meaning_and_one_part() -> None:
    claim = World(written(CLAIM + EVERYTHING), settled_platform(PLATFORMS["light"]))
    names = [bound.name for bound in BOUND]
    assert all(map(is_key, names))
    assert sorted(secret_values(claim.settle_objects()["binding"])) == sorted(names)


@pytest.mark.parametrize("part", TEAM.values(), ids=by_name)
def test_a_page_is_at_an_endpoint_and_its_token_in_a_secret(part: Any) -> None:
    if part.page:
        claim = World(written(CLAIM + EVERYTHING), settled_platform(PLATFORMS["local"]))
        objects = claim.settle_objects().values()
        assert part.page.endpoint in claim.composite["status"]["endpoints"]
        assert [
            part.page.key in secret_values(obj) for obj in objects if obj["metadata"]["name"] == part.page.secret
        ] == [True]
        assert "{token}" in part.page.path


def test_every_object_is_named_after_its_component_and_labelled_with_it() -> None:
    for resource, obj in composed().items():
        label = obj["metadata"]["labels"]["app.kubernetes.io/component"]
        assert resource == label or resource.startswith(f"{label}-"), resource
        assert label in {*ALL, "binding"}


@pytest.mark.parametrize("part", ALL.values(), ids=by_name)
def test_workload_process_and_status_come_together(part: Any) -> None:
    own = {name for name in ("process", "status") if getattr(type(part), name) is not getattr(Component, name)}
    assert own == ({"process", "status"} if part.workload else set())
    assert bool(part.ports) <= bool(own)
    if not own:
        for call in (part.process, part.status):
            with pytest.raises(TypeError, match=part.name):
                call({"kind": "Thing"}, None)


def site(part: Any, folder: Path) -> Site:
    """Return a site whose every secret value can be recognised."""
    return Site(
        directory=folder / "own",
        secrets=folder / "secrets",
        ports={name: 20000 + n for n, name in enumerate(part.ports)},
        env={"JUPYTER_TOKEN": "S3CRET-token", "QDRANT__SERVICE__API_KEY": "S3CRET-key"},
        programs={"weed": "/bin/weed", "envoy": "/bin/envoy"},
        tls=folder / "tls",
        runtime=folder / "run",
    )


@pytest.mark.parametrize("part", REALISED, ids=by_name)
def test_a_process_shows_no_secret_to_other_users(part: Any, tmp_path: Path) -> None:
    objects = composed()
    workload = _workload(part, objects)
    process: Process = part.process(workload, site(part, tmp_path))
    secrets = {
        value
        for obj in objects.values()
        if obj["kind"] == "Secret"
        for key, value in secret_values(obj).items()
        if key not in PUBLIC
    }
    shown = f"{process.argv} {process!r}"
    assert "S3CRET" not in shown
    assert secrets
    assert not [value for value in secrets if value in shown]
    assert process.argv[0].startswith("/") or process.argv[0] == "python3"
    assert "0.0.0.0" not in shown
    assert process == part.process(workload, site(part, tmp_path)), "a new value would restart it"


@pytest.mark.parametrize("part", REALISED, ids=by_name)
def test_a_probe_tells_no_secret_to_whoever_has_the_port(part: Any, tmp_path: Path) -> None:
    process: Process = part.process(_workload(part, composed()), site(part, tmp_path))
    assert process.probe is not None
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        probe = replace(process.probe, port=stranger.getsockname()[1])
        asking = threading.Thread(target=answer, args=(probe, 1.0))
        asking.start()
        connection, _ = stranger.accept()
        with connection:
            text = connection.recv(65536)
        asking.join()
    assert text.startswith(b"GET /")
    assert b"S3CRET" not in text


@pytest.mark.parametrize("part", REALISED, ids=by_name)
def test_the_status_of_a_running_process_makes_its_object_ready(part: Any) -> None:
    from vellum.kube.health import health

    workload = {**_workload(part, composed())}
    for ready in (True, False):
        running = Running(ready=ready, message="" if ready else "it starts")
        obj = {**workload, "status": part.status(workload, running)}
        assert health(obj, part.name)[0] is ready
    assert "it starts" in health(obj, part.name)[1]


def _workload(part: Any, objects: dict[str, Obj]) -> Obj:
    own = [obj for obj in objects.values() if obj["metadata"]["labels"][COMPONENT] == part.name]
    (workload,) = [obj for obj in own if (obj["apiVersion"], obj["kind"]) == part.workload]
    return workload
