"""Vellum's own charts, rendered by the real Helm, with their defaults, with what Vellum sets, and at their limits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.bench.real import Bench
from tests.charts import facts, helm, images, keys, pod_security
from tests.charts import own as chart
from tests.charts.releases import own_releases
from tests.charts.rendered import Rendered, but_secrets, chosen, containers, of_kind, ports, templates
from tests.charts.strangers import EVERYTHING, MESH, OUTSIDE

from vellum.kube.objects import Key, Obj, annotations_of, make
from vellum.package import images as package_images
from vellum.package.charts import OWN, own, packed

DIGEST = f"sha256:{64 * 'a'}"
MORE: dict[str, dict[str, Obj]] = {
    "kubeflow-pipelines": {"outside": OUTSIDE, "mesh": MESH},
    "notebook-controller": {"everything": EVERYTHING},
}
"""Per chart, values of strangers."""
SCIENTIFIC = re.compile(r"\b[0-9]+(\.[0-9]+)?e\+[0-9]+")


@dataclass(frozen=True, slots=True)
class Case:
    """One chart with values."""

    chart: str
    about: str
    values: Obj

    def __str__(self) -> str:
        return f"{self.chart}-{self.about}"


CASES = [
    *(Case(name, "defaults", {}) for name in OWN),
    *(
        Case(release.chart.name, "-".join(release.profiles), release.values)
        for release in own_releases()
        if release.chart.name in OWN
    ),
    *(Case(name, about, values) for name, more in MORE.items() if name in OWN for about, values in more.items()),
]
every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_chart = pytest.mark.parametrize("name", OWN)


@every_chart
def test_helm_has_nothing_to_say_of_a_chart(program: helm.Helm, archive: Callable[[str], Path], name: str) -> None:
    program.lint(archive(name))


@every_case
def test_two_renderings_and_an_upgrade_differ_in_secrets_only(rendered: Rendered, case: Case) -> None:
    """Else every repair, which is an upgrade, would roll the pods."""
    first = rendered(case.chart, case.values)
    assert but_secrets(first) == but_secrets(rendered(case.chart, case.values))
    assert but_secrets(first) == but_secrets(rendered(case.chart, case.values, "--is-upgrade"))
    oldest = rendered(case.chart, case.values, kubernetes=helm.KUBERNETES[0])
    assert but_secrets(first) == but_secrets(oldest)
    assert [Key.of(item) for item in first] == [Key.of(item) for item in oldest]


@every_case
def test_pods_pass_pod_security_and_can_write_nowhere_but_in_volumes(rendered: Rendered, case: Case) -> None:
    objects = rendered(case.chart, case.values)
    assert {name: faults for name, item in templates(objects).items() if (faults := pod_security.faults(item))} == {}
    assert [
        container["name"]
        for container in containers(objects)
        if not container["securityContext"]["readOnlyRootFilesystem"]
    ] == []


@every_case
def test_images_are_pinned_and_containers_ask_for_something(rendered: Rendered, case: Case) -> None:
    for container in containers(rendered(case.chart, case.values)):
        _, colon, tag = container["image"].rpartition(":")
        assert colon
        assert "/" not in tag
        assert tag != "latest"
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]


@every_chart
def test_the_list_for_mirrors_names_every_image_of_a_chart(rendered: Rendered, name: str) -> None:
    objects = rendered(name, {})
    assert sorted(map(images.line, package_images.of_own_chart(name))) == images.of(objects)


@every_case
def test_what_opens_something_comes_from_a_secret_that_must_be_there(rendered: Rendered, case: Case) -> None:
    objects = rendered(case.chart, case.values)
    for container in containers(objects):
        for item in container.get("env") or ():
            reference = (item.get("valueFrom") or {}).get("secretKeyRef")
            assert reference is None or not reference.get("optional"), item
            in_a_file = item["name"].endswith("_FILE") and item["value"].startswith("/")
            assert reference or in_a_file or not chart.SECRET_WORDS.search(item["name"]), item
    for pod in templates(objects).values():
        secrets = [volume["secret"] for volume in pod["spec"].get("volumes") or () if "secret" in volume]
        assert not any(secret.get("optional") for secret in secrets)


@every_case
def test_secrets_are_drawn(rendered: Rendered, case: Case) -> None:
    """A value that is the same at each rendering without a cluster can be guessed, except names."""
    item, other = (of_kind(rendered(case.chart, case.values), "Secret") for _ in range(2))
    same = {
        f"{name}.{key}"
        for name, secret in item.items()
        for key, value in secret["data"].items()
        if other[name]["data"][key] == value
    }
    named = {"ml-pipeline-identity.header"} if case.values.get("identity") else set()
    assert same == ({"mysql-secret.username"} & {f"{name}.username" for name in item}) | named
    assert all("stringData" not in secret for secret in item.values())


@every_case
def test_services_policies_and_accounts_belong_to_pods(rendered: Rendered, case: Case) -> None:
    objects = rendered(case.chart, case.values)
    pods = templates(objects).values()

    assert {pod["spec"].get("serviceAccountName", "default") for pod in pods} == {*of_kind(objects, "ServiceAccount")}
    for name, service in of_kind(objects, "Service").items():
        behind = chosen(pods, {"matchLabels": service["spec"]["selector"]})
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports(behind), name
    for name, policy in of_kind(objects, "NetworkPolicy").items():
        behind = chosen(pods, policy["spec"]["podSelector"])
        assert behind, name
        asked = [port for rule in policy["spec"].get("ingress") or () for port in rule.get("ports") or ()]
        assert {port["port"] for port in asked} <= ports(behind), name


@every_case
def test_roles_are_given_to_accounts_of_the_chart(rendered: Rendered, case: Case) -> None:
    objects = rendered(case.chart, case.values)
    for item in (*of_kind(objects, "RoleBinding").values(), *of_kind(objects, "ClusterRoleBinding").values()):
        assert item["roleRef"]["name"] in of_kind(objects, item["roleRef"]["kind"])
        for subject in item["subjects"]:
            assert (subject["kind"], subject["namespace"]) == ("ServiceAccount", "ns")
            assert subject["name"] in of_kind(objects, "ServiceAccount")


@every_case
def test_the_guard_looks_at_all_but_what_it_leaves_alone_on_purpose(rendered: Rendered, case: Case) -> None:
    assert facts.unguarded(rendered(case.chart, case.values)) == set()


@every_case
def test_the_api_server_knows_every_field_and_would_take_every_object(
    bench: Bench, rendered: Rendered, case: Case
) -> None:
    """Helm sends fields that a server does not know, and the server drops them silently."""
    objects = rendered(case.chart, case.values)
    bench.apply(make("v1", "Namespace", "ns"))
    output = bench.kubectl(
        "apply",
        "--namespace=ns",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        "-",
        given="\n---\n".join(map(json.dumps, objects)),
    )
    assert [line.partition(" ")[2] for line in output.splitlines()] == ["serverside-applied (server dry run)"] * len(
        objects
    )


@every_chart
def test_what_holds_data_outlives_the_release(rendered: Rendered, name: str) -> None:
    kept = {
        Key.of(item) for item in rendered(name, {}) if annotations_of(item).get("helm.sh/resource-policy") == "keep"
    }
    data = {
        Key.of(item)
        for item in rendered(name, {})
        if item["kind"] in ("CustomResourceDefinition", "PersistentVolumeClaim")
    }
    assert data
    assert data <= kept


@pytest.mark.parametrize(
    "release",
    [release for release in own_releases() if release.chart.name in OWN],
    ids=lambda item: f"{item.name}-{'-'.join(item.profiles)}",
)
def test_each_value_has_an_effect_and_the_component_lists_the_kinds(rendered: Rendered, release: object) -> None:
    from tests.charts.releases import Release

    assert isinstance(release, Release)
    objects = rendered(release.chart.name, release.values)
    does = keys.of(
        release.values, chart.values(release.chart.name), lambda values: rendered(release.chart.name, values)
    )
    assert does.nothing == []
    assert facts.custom(objects) <= {*release.component.custom}
    assert {*release.component.serves} <= facts.served(objects)
    everywhere = [rendered(item.chart.name, item.values) for item in own_releases() if item.name == release.name]
    assert {*release.component.custom} == {kind for item in everywhere for kind in facts.custom(item)}


NUMBERS = [(name, path, most) for name in OWN for path, most in chart.largest_numbers(name)]
ALONE = [number for number in NUMBERS if number[1][0] != "resources"]


@pytest.mark.parametrize(
    ("name", "path", "most"), ALONE, ids=lambda item: ".".join(item) if isinstance(item, tuple) else ""
)
def test_the_largest_number_is_written_as_an_integer(
    rendered: Rendered, name: str, path: tuple[str, ...], most: object
) -> None:
    """A template's number is a double, which Helm writes as 1e+06 from a million on."""
    # Parts that are off by default do not read their numbers; an external database needs no volume.
    used = {"kubeflow-pipelines": OUTSIDE, "notebook-controller": EVERYTHING}[name]
    base: Obj = {} if path[:2] == ("database", "storage") else used
    text = json.dumps(rendered(name, chart.with_value(base, path, most)))
    (digits,) = most if isinstance(most, list) else [most]
    assert re.search(rf"(?<![0-9.]){digits}(?![0-9.])", text)
    assert SCIENTIFIC.search(text) is None


@every_chart
def test_the_largest_amount_of_each_resource_is_written_as_an_integer(rendered: Rendered, name: str) -> None:
    values: Obj = {}
    asked = [(path, most) for of, path, most in NUMBERS if of == name and path[0] == "resources"]
    for path, most in asked:
        values = chart.with_value(values, path, most)
    result = containers(rendered(name, values))
    amounts = [amount for item in result for part in item["resources"].values() for amount in part.values()]
    assert {*amounts} == {most for _, most in asked}
    assert len(amounts) == len(asked)


@every_chart
def test_an_image_comes_by_tag_or_digest_from_any_registry(rendered: Rendered, name: str) -> None:
    parts = chart.images(name)
    tags = {part: {"registry": "r.example.org:5000", "repository": f"x/{part.lower()}", "tag": "t"} for part in parts}
    by_tag = {f"r.example.org:5000/x/{part.lower()}:t" for part in parts}
    assert {container["image"] for container in containers(rendered(name, {"images": tags}))} <= by_tag

    digests = {part: {"digest": DIGEST} for part in parts}
    secret = {"registry": "mirror.example.org/hub", "pullSecrets": ["mirror"], "pullPolicy": "Always"}
    objects = rendered(name, {"images": {**digests, **secret}})
    by_digest = {f"mirror.example.org/hub/{text['repository']}@{DIGEST}" for text in parts.values()}
    assert {container["image"] for container in containers(objects)} <= by_digest
    assert {container["imagePullPolicy"] for container in containers(objects)} == {"Always"}
    assert all(template["spec"]["imagePullSecrets"] == [{"name": "mirror"}] for template in templates(objects).values())


def test_all_can_be_parts_of_one_chart(program: helm.Helm, archive: Callable[[str], Path], tmp_path: Path) -> None:
    inside = {f"charts/{name}/{path}": text for name in OWN for path, text in own(name).items()}
    whole = tmp_path / "whole.tgz"
    whole.write_bytes(packed("whole", {"Chart.yaml": b"{apiVersion: v2, name: whole, version: 0.1.0}", **inside}))
    alone = [item for name in OWN for item in program.rendered(archive(name), "whole", "ns", {})]
    assert but_secrets(program.rendered(whole, "whole", "ns", {})) == but_secrets(alone)
