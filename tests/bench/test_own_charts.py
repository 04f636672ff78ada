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
    *(Case(one.chart.name, "-".join(one.profiles), one.values) for one in own_releases() if one.chart.name in OWN),
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
    assert [Key.of(one) for one in first] == [Key.of(one) for one in oldest]


@every_case
def test_pods_pass_pod_security_and_can_write_nowhere_but_in_volumes(rendered: Rendered, case: Case) -> None:
    objects = rendered(case.chart, case.values)
    assert {name: found for name, one in templates(objects).items() if (found := pod_security.faults(one))} == {}
    assert [one["name"] for one in containers(objects) if not one["securityContext"]["readOnlyRootFilesystem"]] == []


@every_case
def test_images_are_pinned_and_containers_ask_for_something(rendered: Rendered, case: Case) -> None:
    for one in containers(rendered(case.chart, case.values)):
        _, colon, tag = one["image"].rpartition(":")
        assert colon
        assert "/" not in tag
        assert tag != "latest"
        assert {"cpu", "memory"} <= one["resources"]["requests"].keys()
        assert "memory" in one["resources"]["limits"]


@every_chart
def test_the_list_for_mirrors_names_every_image_of_a_chart(rendered: Rendered, name: str) -> None:
    objects = rendered(name, {})
    assert sorted(map(images.line, package_images.of_own_chart(name))) == images.of(objects)


@every_case
def test_what_opens_something_comes_from_a_secret_that_must_be_there(rendered: Rendered, case: Case) -> None:
    objects = rendered(case.chart, case.values)
    for container in containers(objects):
        for one in container.get("env") or ():
            reference = (one.get("valueFrom") or {}).get("secretKeyRef")
            assert reference is None or not reference.get("optional"), one
            in_a_file = one["name"].endswith("_FILE") and one["value"].startswith("/")
            assert reference or in_a_file or not chart.SECRET_WORDS.search(one["name"]), one
    for pod in templates(objects).values():
        secrets = [volume["secret"] for volume in pod["spec"].get("volumes") or () if "secret" in volume]
        assert not any(one.get("optional") for one in secrets)


@every_case
def test_secrets_are_drawn(rendered: Rendered, case: Case) -> None:
    """A value that is the same at each rendering without a cluster can be guessed, except names."""
    one, other = (of_kind(rendered(case.chart, case.values), "Secret") for _ in range(2))
    same = {
        f"{name}.{key}"
        for name, secret in one.items()
        for key, value in secret["data"].items()
        if other[name]["data"][key] == value
    }
    named = {"ml-pipeline-identity.header"} if case.values.get("identity") else set()
    assert same == ({"mysql-secret.username"} & {f"{name}.username" for name in one}) | named
    assert all("stringData" not in secret for secret in one.values())


@every_case
def test_services_policies_and_accounts_belong_to_pods(rendered: Rendered, case: Case) -> None:
    objects = rendered(case.chart, case.values)
    pods = templates(objects).values()

    assert {one["spec"].get("serviceAccountName", "default") for one in pods} == {*of_kind(objects, "ServiceAccount")}
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
    for one in (*of_kind(objects, "RoleBinding").values(), *of_kind(objects, "ClusterRoleBinding").values()):
        assert one["roleRef"]["name"] in of_kind(objects, one["roleRef"]["kind"])
        for subject in one["subjects"]:
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
    said = bench.kubectl(
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
    assert [line.partition(" ")[2] for line in said.splitlines()] == ["serverside-applied (server dry run)"] * len(
        objects
    )


@every_chart
def test_what_holds_data_outlives_the_release(rendered: Rendered, name: str) -> None:
    kept = {Key.of(one) for one in rendered(name, {}) if annotations_of(one).get("helm.sh/resource-policy") == "keep"}
    data = {
        Key.of(one)
        for one in rendered(name, {})
        if one["kind"] in ("CustomResourceDefinition", "PersistentVolumeClaim")
    }
    assert data
    assert data <= kept


@pytest.mark.parametrize(
    "release",
    [one for one in own_releases() if one.chart.name in OWN],
    ids=lambda one: f"{one.name}-{'-'.join(one.profiles)}",
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
    everywhere = [rendered(one.chart.name, one.values) for one in own_releases() if one.name == release.name]
    assert {*release.component.custom} == {kind for one in everywhere for kind in facts.custom(one)}


NUMBERS = [(name, path, most) for name in OWN for path, most in chart.largest_numbers(name)]
ALONE = [one for one in NUMBERS if one[1][0] != "resources"]


@pytest.mark.parametrize(
    ("name", "path", "most"), ALONE, ids=lambda one: ".".join(one) if isinstance(one, tuple) else ""
)
def test_the_largest_number_is_written_as_an_integer(
    rendered: Rendered, name: str, path: tuple[str, ...], most: object
) -> None:
    """A template's number is a double, which Helm writes as 1e+06 from a million on."""
    # Parts that are off by default do not read their numbers; an external database needs no volume.
    used = {"kubeflow-pipelines": OUTSIDE, "notebook-controller": EVERYTHING}[name]
    base: Obj = {} if path[:2] == ("database", "storage") else used
    said = json.dumps(rendered(name, chart.with_value(base, path, most)))
    (digits,) = most if isinstance(most, list) else [most]
    assert re.search(rf"(?<![0-9.]){digits}(?![0-9.])", said)
    assert SCIENTIFIC.search(said) is None


@every_chart
def test_the_largest_amount_of_each_resource_is_written_as_an_integer(rendered: Rendered, name: str) -> None:
    values: Obj = {}
    asked = [(path, most) for of, path, most in NUMBERS if of == name and path[0] == "resources"]
    for path, most in asked:
        values = chart.with_value(values, path, most)
    found = containers(rendered(name, values))
    amounts = [amount for one in found for part in one["resources"].values() for amount in part.values()]
    assert {*amounts} == {most for _, most in asked}
    assert len(amounts) == len(asked)


@every_chart
def test_an_image_comes_by_tag_or_digest_from_any_registry(rendered: Rendered, name: str) -> None:
    parts = chart.images(name)
    tags = {part: {"registry": "r.example.org:5000", "repository": f"x/{part.lower()}", "tag": "t"} for part in parts}
    by_tag = {f"r.example.org:5000/x/{part.lower()}:t" for part in parts}
    assert {one["image"] for one in containers(rendered(name, {"images": tags}))} <= by_tag

    digests = {part: {"digest": DIGEST} for part in parts}
    secret = {"registry": "mirror.example.org/hub", "pullSecrets": ["mirror"], "pullPolicy": "Always"}
    objects = rendered(name, {"images": {**digests, **secret}})
    by_digest = {f"mirror.example.org/hub/{said['repository']}@{DIGEST}" for said in parts.values()}
    assert {one["image"] for one in containers(objects)} <= by_digest
    assert {one["imagePullPolicy"] for one in containers(objects)} == {"Always"}
    assert all(one["spec"]["imagePullSecrets"] == [{"name": "mirror"}] for one in templates(objects).values())


def test_all_can_be_parts_of_one_chart(program: helm.Helm, archive: Callable[[str], Path], tmp_path: Path) -> None:
    inside = {f"charts/{name}/{path}": text for name in OWN for path, text in own(name).items()}
    whole = tmp_path / "whole.tgz"
    whole.write_bytes(packed("whole", {"Chart.yaml": b"{apiVersion: v2, name: whole, version: 0.1.0}", **inside}))
    alone = [one for name in OWN for one in program.rendered(archive(name), "whole", "ns", {})]
    assert but_secrets(program.rendered(whole, "whole", "ns", {})) == but_secrets(alone)
