"""Vellum's own charts, without Helm: every value has a comment, a schema and a row in the README."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml
from tests.charts import own as chart
from tests.charts.record import ROOT
from tests.charts.releases import own_releases

from vellum.package.charts import FOLDER, OWN, own, packed, version

OF_OURS = sorted({release.chart.name for release in own_releases()})


def test_every_unpublished_chart_is_ours_or_a_stand_in() -> None:
    from vellum.bench.charts import STAND_INS

    assert {*OWN} <= {*OF_OURS}
    assert {*OF_OURS} - {*OWN} <= {item.name for item in STAND_INS}
    assert {*OWN}.isdisjoint(item.name for item in STAND_INS)


def test_an_installed_package_has_the_charts_too() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"]["charts"] == "vellum/charts"
    assert FOLDER == ROOT / "charts"


@pytest.mark.parametrize("name", OWN)
def test_a_chart_says_what_it_is(name: str) -> None:
    text = yaml.safe_load(own(name)["Chart.yaml"])
    (wanted,) = {release.chart.version for release in own_releases() if release.chart.name == name}

    assert (text["apiVersion"], text["name"], text["version"]) == ("v2", name, wanted)
    assert version(name) == wanted
    assert text["kubeVersion"].startswith(">=1.32")
    assert text["annotations"]["licenses"] == "Apache-2.0"
    assert text["appVersion"] in {image["tag"] for image in chart.images(name).values()}
    assert not text.get("dependencies")


@pytest.mark.parametrize("name", OWN)
def test_every_value_has_a_comment_a_schema_and_a_row_in_the_readme(name: str) -> None:
    text = chart.paths(name)

    assert [*chart.comments(name)] == text
    assert {*text} <= {*chart.known(chart.schema(name))}
    assert [*chart.table(name)] == text


@pytest.mark.parametrize("name", OWN)
def test_no_value_is_taken_or_read_that_is_not_explained(name: str) -> None:
    """But for Kubernetes' own words of what a container may ask for."""
    message = chart.paths(name)
    asked = re.compile(r"resources\.\w+\.(requests|limits)\.(cpu|memory|ephemeral-storage)")
    assert [item for item in {*chart.known(chart.schema(name))} - {*message} if not asked.fullmatch(item)] == []

    templates = "".join(text.decode() for path, text in own(name).items() if path.startswith("templates/"))
    read = {item.rstrip(".") for item in re.findall(r"\.Values\.([\w.]+)", templates)}
    assert read
    assert [item for item in read if not any(f"{path}.".startswith(f"{item}.") for path in message)] == []


@pytest.mark.parametrize("name", OWN)
def test_the_readme_tells_the_defaults_and_says_what_the_comments_say(name: str) -> None:
    assert chart.table(name) == chart.explained(name)


@pytest.mark.parametrize("name", OWN)
def test_the_readmes_have_the_same_sections(name: str) -> None:
    """Who has read the README of one finds his way in the other."""
    readme = own(name)["README.md"].decode()
    shared = "What it needs|Use it|Upgrade, uninstall|Every difference from upstream|Values"
    assert re.findall(rf"^## ({shared})", readme, re.MULTILINE) == shared.split("|")
    alpha = yaml.safe_load(own(name)["Chart.yaml"])["annotations"]["platform.vellum.dev/stage"] == "alpha"
    assert alpha == ("**Alpha: it has not run on a kubelet yet.**" in readme)


@pytest.mark.parametrize("name", OWN)
def test_templates_are_called_by_the_charts_name(name: str) -> None:
    """Helm knows those of all parts of a chart by one name."""
    results = [
        item
        for path, text in own(name).items()
        if path.startswith("templates/")
        for item in re.findall(r'(?:define|include|template) "(.+?)"', text.decode())
    ]
    assert results
    assert [item for item in results if not item.startswith(f"{name}.")] == []


@pytest.mark.parametrize("name", OWN)
def test_a_wrong_key_is_an_error_everywhere(name: str) -> None:
    assert list(chart.open_objects(chart.schema(name))) == []


@pytest.mark.parametrize("name", OWN)
def test_every_number_of_a_schema_has_an_end_that_a_double_holds(name: str) -> None:
    """Helm reads numbers as doubles; the bench renders each chart with these."""
    results = {path: most[0] if isinstance(most, list) else most for path, most in chart.largest_numbers(name)}
    assert results
    assert {path: most for path, most in results.items() if most is None or most >= 2**53} == {}


@pytest.mark.parametrize("name", OWN)
def test_no_value_holds_a_secret(name: str) -> None:
    """What opens something is in a Secret, which values only name."""
    messages = [path for path in chart.paths(name) if chart.SECRET_WORDS.search(path.rpartition(".")[2])]
    assert not [path for path in messages if ".secret." not in path and path != "images.pullSecrets"]


@pytest.mark.parametrize("name", OWN)
def test_the_archive_is_the_same_bytes_each_time(name: str) -> None:
    assert packed(name, own(name)) == packed(name, dict(sorted(own(name).items(), reverse=True)))
    assert {"Chart.yaml", "values.yaml", "values.schema.json", "README.md", "templates/NOTES.txt"} <= {*own(name)}


def test_a_schema_that_lets_any_key_in_is_found() -> None:
    closed = {"type": "object", "additionalProperties": False}
    inner = {
        **closed,
        "properties": {"a": {"type": "object"}, "b": {"anyOf": [{"type": "object", "patternProperties": {}}]}},
    }
    assert list(chart.open_objects(inner)) == [
        "#/properties/a",
        "#/properties/b/anyOf/0",
        "#/properties/b/anyOf/0/patternProperties",
    ]
